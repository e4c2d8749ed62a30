"""Saved queries of CloudWatch Logs Insights, which ministack does not know: those of a stack."""

import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from ministack import app
from ministack.core.responses import AccountRegionScopedDict
from ministack.services.cloudformation import provisioners

from emulator.seams import replace_item

Properties = dict[str, Any]
TARGET = "Logs_20140328.DescribeQueryDefinitions"

definitions: Any = AccountRegionScopedDict()  # by id


def install() -> None:
    """Let CloudFormation make them, and everybody list them.

    AWS documentation: "AWS::Logs::QueryDefinition" (AWS CloudFormation template reference) and
    "DescribeQueryDefinitions" (Amazon CloudWatch Logs API reference).
    """
    handlers = {"create": create, "update": update, "delete": delete}
    kind = "AWS::Logs::QueryDefinition"
    replace_item(provisioners, "_RESOURCE_HANDLERS", kind, lambda _: handlers)
    replace_item(app, "SERVICE_HANDLERS", "logs", listing)


def listing(handle: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """The service's entry point, which lists saved queries too."""

    async def handle_request(
        method: str, path: str, headers: dict[str, str], body: bytes, query: Any
    ) -> Any:
        if headers.get("x-amz-target") != TARGET:
            return await handle(method, path, headers, body, query)
        prefix = json.loads(body).get("queryDefinitionNamePrefix", "")
        found = [each for each in definitions.values() if each["name"].startswith(prefix)]
        content = {"Content-Type": "application/x-amz-json-1.1"}
        return 200, content, json.dumps({"queryDefinitions": found}).encode()

    return handle_request


def create(_logical_id: str, properties: Properties, _stack: str) -> tuple[str, Properties]:
    """Save a query under an id of its own, which is what Ref returns."""
    return save(str(uuid.uuid4()), properties)


def update(
    physical_id: str, _old: Properties, new: Properties, _stack: str
) -> tuple[str, Properties]:
    """Change a saved query."""
    return save(physical_id, new)


def delete(physical_id: str, _properties: Properties) -> None:
    """Remove a saved query."""
    definitions.pop(physical_id, None)


def save(query_id: str, properties: Properties) -> tuple[str, Properties]:
    """Keep a query as the API describes it; return its id and what Fn::GetAtt has."""
    definitions[query_id] = {
        "queryDefinitionId": query_id,
        "name": properties["Name"],
        "queryString": properties["QueryString"],
        "logGroupNames": properties.get("LogGroupNames", []),
    }
    return query_id, {"QueryDefinitionId": query_id}
