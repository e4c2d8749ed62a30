"""DynamoDB tables of a CloudFormation stack: what ministack leaves out of their properties."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from ministack.services import dynamodb
from ministack.services.cloudformation import provisioners

from emulator.seams import replace_item, seam

Properties = dict[str, Any]
SETTINGS = {
    "TimeToLiveSpecification": "_update_ttl",
    "PointInTimeRecoverySpecification": "_update_continuous_backups",
    "SSESpecification": "_update_table",
}


def install() -> None:
    """Let a table expire its items, be restorable and have a key where its template says so.

    AWS documentation: "AWS::DynamoDB::Table" (AWS CloudFormation template reference).
    """
    replace_item(provisioners, "_RESOURCE_HANDLERS", "AWS::DynamoDB::Table", table_handlers)


def table_handlers(handlers: Properties) -> Properties:
    """How CloudFormation makes tables: with all their settings."""
    create, update = handlers["create"], handlers["update"]

    def create_table(logical_id: str, properties: Properties, stack: str) -> Any:
        made = create(logical_id, properties, stack)
        set_up(made[0], properties)
        return made

    def update_table(table: str, old: Properties, new: Properties, *rest: Any, **named: Any) -> Any:
        made = update(table, old, new, *rest, **named)
        set_up(made[0], new)
        return made

    return {**handlers, "create": create_table, "update": update_table}


def set_up(table: str, properties: Properties) -> None:
    """Give a table these settings; raises ValueError, which fails the stack."""
    for name, action in SETTINGS.items():
        update: Callable[[Properties], Any] = seam(dynamodb, action)
        if specification := properties.get(name):
            status, _, body = update({"TableName": table, name: specification})
            if status != HTTPStatus.OK:
                raise ValueError(f"AWS::DynamoDB::Table {name}: {body!r}")
