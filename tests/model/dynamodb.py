"""moto's DynamoDB without what would take most of the model's time.

That is boto3 and HTTP before it, and moto's reading of update expressions.
"""

import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest
from botocore import xform_name
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from moto.dynamodb.comparisons import get_filter_expression
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.utilities import dynamo_json_dump

from tests.model.invocations import stop

TABLE = "turns"
VALUES = "ExpressionAttributeValues"
# What the layer writes: a value, one unless there is one, what is there and a number, or no more.
CLAUSES = re.compile(r"(SET|REMOVE) (.+?)(?: (?=SET |REMOVE )|$)")
ACTIONS = {
    "SET": re.compile(r"([#\w.]+) = (if_not_exists\(\1, (?=.*\)$)|\1 \+ |)(:\w+)\)?"),
    "REMOVE": re.compile(r"([#\w.]+)()()"),
}


class DynamoDB:
    """The calls of boto3's client that the table of turns makes."""

    def __init__(self, wrote: Callable[[list[dict[str, Any]]], None]) -> None:
        """Make the table; `wrote` is told of every write, just before it is made."""
        self._wrote = wrote
        self._backend = DynamoDBBackend("eu-west-1", "000000000000")
        keys = {"pk": "HASH", "sk": "RANGE"}
        self._backend.create_table(
            TABLE,
            schema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],
            attr=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
            throughput=None,
            indexes=[],
            global_indexes=[],
            streams=None,
            billing_mode="PAY_PER_REQUEST",
            sse_specification=None,
            tags=[],
            deletion_protection_enabled=None,
            warm_throughput=None,
        )

    def get_item(self, **request: Any) -> dict[str, Any]:
        """Return an item, if there is one."""
        _fail_before(stop(f"get {request['Key']['pk']['S']}"))
        item = self._backend.get_item(TABLE, request["Key"])
        return {"Item": _attributes(item)} if item else {}

    def query(self, **request: Any) -> dict[str, Any]:
        """Return a partition's items in order: all pages at once, none but the first with Limit."""
        (partition,) = request[VALUES].values()
        _fail_before(stop(f"query {partition['S']}"))
        found = self.items(partition["S"])[:: 1 if request.get("ScanIndexForward", True) else -1]
        return {"Items": found[: request.get("Limit")]}

    def scan(self, **_request: Any) -> dict[str, Any]:
        """Return all items."""
        return {"Items": self.items()}

    def update_item(self, **request: Any) -> dict[str, Any]:
        """Change one item under a condition."""
        self._one("Update", request)
        return {"Attributes": _attributes(self._backend.get_item(TABLE, request["Key"]))}

    def delete_item(self, **request: Any) -> dict[str, Any]:
        """Delete one item under a condition."""
        self._one("Delete", request)
        return {}

    def transact_write_items(self, TransactItems: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Make all writes, or none where a condition does not hold."""
        trouble = stop("write " + ", ".join(_name(item) for item in TransactItems))
        _fail_before(trouble)
        if trouble == "conflict":
            raise _error(
                "TransactionCanceledException",
                CancellationReasons=[{"Code": "TransactionConflict"}],
            )
        reasons = [
            {"Code": "None"} if stood is None else {"Code": "ConditionalCheckFailed", "Item": stood}
            for stood in (self._refuses(part) for item in TransactItems for part in item.values())
        ]
        if any(reason["Code"] != "None" for reason in reasons):
            raise _error("TransactionCanceledException", CancellationReasons=reasons)
        self._write(TransactItems)
        _fail_after(trouble)
        return {}

    def items(self, partition: str = "") -> list[dict[str, Any]]:
        """Return the items of one partition or of all, sorted by their keys."""
        table = self._backend.get_table(TABLE)
        one = DynamoType({"S": partition})
        partitions = {one: table.items.get(one, {})} if partition else table.items
        found = [
            (hash_key.value, range_key.value, item)
            for hash_key, rows in partitions.items()
            for range_key, item in rows.items()
        ]
        return [_attributes(item) for *_, item in sorted(found, key=lambda row: row[:2])]

    def _one(self, kind: str, request: dict[str, Any]) -> None:
        """Make one write. In the trouble `twice` its reply is lost, and boto3 sends it again."""
        item = {kind: request}
        trouble = stop(f"write {_name(item)}")
        _fail_before(trouble)
        if trouble == "conflict":
            raise _error("TransactionConflictException")
        for _ in range(2 if trouble == "twice" else 1):
            stood = self._refuses(request)
            if stood is not None:
                raise _error("ConditionalCheckFailedException", Item=stood)
            self._write([item])
        _fail_after(trouble)

    def _refuses(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """Return the item that does not meet the condition, if it does not."""
        if "ConditionExpression" not in request:
            return None
        item = self._backend.get_item(TABLE, request["Key"])
        condition = get_filter_expression(
            request["ConditionExpression"],
            request["ExpressionAttributeNames"],
            request.get(VALUES, {}),
        )
        if condition.expr(item):
            return None
        return _attributes(item) if item else {}

    def _write(self, items: list[dict[str, Any]]) -> None:
        """Make writes whose conditions hold."""
        self._wrote(items)
        for item in items:
            for kind, request in item.items():
                if kind == "Delete":
                    self._backend.delete_item(TABLE, request["Key"])
                if kind == "Update":
                    self._update(request)

    def _update(self, request: dict[str, Any]) -> None:
        """Change an item, or make it; all of the change, or nothing where it cannot be made."""
        table, key = self._backend.get_table(TABLE), request["Key"]
        item = self._backend.get_item(TABLE, key)
        attributes = dict(deepcopy(item.attrs)) if item else {}
        names, values = request["ExpressionAttributeNames"], request.get(VALUES, {})
        for clause, path, how, value in _actions(request["UpdateExpression"]):
            *maps, name = (names[part] for part in path.split("."))
            within = attributes
            for part in maps:
                if part not in within:
                    raise _error("ValidationException")
                within = within[part].value
            if clause == "REMOVE":
                within.pop(name, None)
            elif how.endswith("+ "):
                number = int(within[name].value) + int(values[value]["N"])
                within[name] = DynamoType({"N": str(number)})
            elif not (how and name in within):
                within[name] = DynamoType(values[value])
        if item is None:
            item = table.put_item(key)
            attributes |= item.attrs
        item.attrs = attributes


def _actions(expression: str) -> Iterator[tuple[str, ...]]:
    """Yield each action of an update: its clause, path, how it is set and to what.

    What this does not play is an error: left out, it would be no fault that anybody sees.
    """
    at = 0
    for clause in CLAUSES.finditer(expression):
        for action in re.split(r", *(?=#)", clause[2]):
            found = ACTIONS[clause[1]].fullmatch(action)
            assert found, f"{action!r} of {expression!r} is not played"
            yield clause[1], *found.groups()
        assert clause.start() == at, f"{expression[at:]!r} is not played"
        at = clause.end()
    assert 0 < at == len(expression), f"{expression[at:]!r} is not played"


def serve_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let boto3's clients of DynamoDB have a new table of this kind."""
    of_all: Any = BaseClient
    dynamodb, api_call = DynamoDB(lambda _writes: None), of_all._make_api_call

    def make_api_call(client: Any, operation: str, given: dict[str, Any]) -> Any:
        if client.meta.service_model.service_name == "dynamodb":
            return getattr(dynamodb, xform_name(operation))(**given)
        return api_call(client, operation, given)

    monkeypatch.setattr(BaseClient, "_make_api_call", make_api_call)


def _attributes(item: Any) -> dict[str, Any]:
    """Return an item of moto's as DynamoDB sends it."""
    return dict(json.loads(dynamo_json_dump(item.to_json()["Attributes"])))


def _name(item: dict[str, Any]) -> str:
    """Say what is written."""
    ((kind, request),) = item.items()
    change = request.get("UpdateExpression", "")
    what = f" {change.split()[0]} {change.split()[1]}" if change else ""
    return f"{kind} {request['Key']['pk']['S']}{what}"


def _fail_before(trouble: str) -> None:
    """Fail before the call has done anything, where that is its trouble."""
    if trouble == "refused":
        raise _error("InternalServerError")


def _fail_after(trouble: str) -> None:
    """Fail although the call has done what it should, where that is its trouble."""
    if trouble == "lost":
        raise _error("InternalServerError")


def _error(code: str, **more: Any) -> ClientError:
    """Return boto3's error."""
    status = 500 if code == "InternalServerError" else 400
    answer: Any = {
        "Error": {"Code": code, "Message": code},
        "ResponseMetadata": {"HTTPStatusCode": status},
        **more,
    }
    return ClientError(answer, "call")
