"""Roles of a CloudFormation stack: what ministack leaves out of their properties."""

from typing import Any

from ministack.services import iam
from ministack.services.cloudformation import provisioners

from emulator.seams import replace_item, seam

Properties = dict[str, Any]


def install() -> None:
    """Let a stack's role have its permissions boundary, which ministack's evaluation goes by.

    AWS documentation: "AWS::IAM::Role" (AWS CloudFormation template reference).
    """
    replace_item(provisioners, "_RESOURCE_HANDLERS", "AWS::IAM::Role", role_handlers)


def role_handlers(handlers: Properties) -> Properties:
    """How CloudFormation makes roles: within their boundary."""
    roles, create, update = seam(iam, "_roles"), handlers["create"], handlers["update"]

    def create_role(logical_id: str, properties: Properties, stack: str) -> Any:
        made = create(logical_id, properties, stack)
        roles[made[0]]["PermissionsBoundary"] = properties.get("PermissionsBoundary")
        return made

    def update_role(role: str, old: Properties, new: Properties, *rest: Any, **named: Any) -> Any:
        made = update(role, old, new, *rest, **named)
        roles[made[0]]["PermissionsBoundary"] = new.get("PermissionsBoundary")
        return made

    return {**handlers, "create": create_role, "update": update_role}
