"""CloudWatch Logs: pages of events with ids, and saved queries of a stack: not in ministack."""

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from ministack import app
from ministack.core.responses import AccountRegionScopedDict
from ministack.services.cloudformation import provisioners

from emulator.seams import replace_item

Properties = dict[str, Any]
TARGET = "Logs_20140328."
CONTENT = {"Content-Type": "application/x-amz-json-1.1"}
PAGE = 10_000  # what ministack returns at most, and AWS too

definitions: Any = AccountRegionScopedDict()  # by id


def install() -> None:
    """Let CloudFormation make them, and everybody list them.

    AWS documentation: "AWS::Logs::QueryDefinition" (AWS CloudFormation template reference) and
    "DescribeQueryDefinitions" (Amazon CloudWatch Logs API reference).
    """
    handlers = {"create": create, "update": update, "delete": delete}
    kind = "AWS::Logs::QueryDefinition"
    replace_item(provisioners, "_RESOURCE_HANDLERS", kind, lambda _: handlers)
    replace_item(app, "SERVICE_HANDLERS", "logs", serving)


def serving(handle: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """The service's entry point, which lists saved queries too, and gives events by pages."""

    async def handle_request(
        method: str, path: str, headers: dict[str, str], body: bytes, query: Any
    ) -> Any:
        operation = headers.get("x-amz-target", "").removeprefix(TARGET)
        if operation == "DescribeQueryDefinitions":
            prefix = json.loads(body).get("queryDefinitionNamePrefix", "")
            found = [each for each in definitions.values() if each["name"].startswith(prefix)]
            return 200, dict(CONTENT), json.dumps({"queryDefinitions": found}).encode()
        if operation != "FilterLogEvents":
            return await handle(method, path, headers, body, query)
        asked = json.loads(body)
        of_page = json.dumps(beginning(asked)).encode()
        status, kind, content = await handle(method, path, headers, of_page, query)
        if status == 200:
            content = json.dumps(page_of(asked, json.loads(content))).encode()
        return status, kind, content

    return handle_request


def beginning(asked: Properties) -> Properties:
    """A request for all that ministack gives from where a page begins."""
    without = {name: asked[name] for name in asked if name not in ("limit", "nextToken")}
    start, _ = place_of(asked)
    return without if start is None else {**without, "startTime": start}


def page_of(asked: Properties, answer: Properties) -> Properties:
    """The page that was asked for, with the token of the next where there may be one.

    A token holds the time of the page's last event, and how many of that time were given.
    """
    start, given = place_of(asked)
    limit = min(asked.get("limit", PAGE), PAGE)
    events = identified(answer["events"])[given : given + limit]
    page = {**answer, "events": events}
    if events and (given + len(events) < len(answer["events"]) or len(answer["events"]) == PAGE):
        last = events[-1]["timestamp"]
        same = sum(each["timestamp"] == last for each in events)
        page["nextToken"] = f"{last}:{same + (given if last == start else 0)}"
    return page


def identified(events: list[Properties]) -> list[Properties]:
    """Events with the ids that AWS gives them, which are the same whenever they are asked for."""
    seen: Counter[str] = Counter()
    found = []
    for event in events:
        of = json.dumps([event.get("logStreamName"), event["timestamp"], event["message"]])
        seen[of] += 1
        digest = hashlib.sha256(f"{of}{seen[of]}".encode()).hexdigest()
        found.append({**event, "eventId": str(int(digest[:40], 16))})
    return found


def place_of(asked: Properties) -> tuple[int | None, int]:
    """From which time on a page is, and how many events of that time were given before."""
    if not (token := asked.get("nextToken")):
        return asked.get("startTime"), 0
    start, given = map(int, token.split(":"))
    return start, given


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
