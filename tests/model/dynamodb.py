"""DynamoDB as the layer uses it: plain dictionaries, in the place of boto3's client.

Nothing that is stored is ever changed: a write puts something new in its place. So what is read
needs no copy, and what the model looks at after each step costs nearly nothing.
"""

import operator
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from botocore import xform_name
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from tests.model.invocations import stop

TABLE = "turns"
VALUES = "ExpressionAttributeValues"
# What the layer writes: a value, one unless there is one, what is there and a number, or no more.
CLAUSES = re.compile(r"(SET|REMOVE) (.+?)(?: (?=SET |REMOVE )|$)")
ACTIONS = {
    "SET": re.compile(r"([#\w.]+) = (if_not_exists\(\1, (?=.*\)$)|\1 \+ |)(:\w+)\)?"),
    "REMOVE": re.compile(r"([#\w.]+)()()"),
}
# And on what condition: what is there or not, and how it compares with a value.
TOKENS = re.compile(
    r"attribute_exists|attribute_not_exists|AND|OR|[()]|<>|<=|>=|[=<>]|#\w+(?:\.#\w+)*|:\w+"
)
Value = dict[str, Any]  # as DynamoDB sends it, with its type
Read = Callable[[str], Value | None]  # what a path or the name of a value stands for
Condition = Callable[[Read], bool]


class DynamoDB:
    """The calls of boto3's client that the table of turns makes."""

    def __init__(self, wrote: Callable[[list[dict[str, Any]]], None]) -> None:
        """Make the table; `wrote` is told of every write, just before it is made."""
        self._wrote = wrote
        self._partitions: dict[str, dict[str, dict[str, Value]]] = {}

    def get_item(self, **request: Any) -> dict[str, Any]:
        """Return an item, if there is one."""
        _fail_before(stop(f"get {request['Key']['pk']['S']}"))
        item = self._at(request["Key"])
        return {"Item": dict(item)} if item else {}

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
        return {"Attributes": dict(self._at(request["Key"]))}

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
        return [
            dict(item)
            for name in ([partition] if partition else sorted(self._partitions))
            for _, item in sorted(self._partitions.get(name, {}).items())
        ]

    def _at(self, key: dict[str, Value]) -> dict[str, Value]:
        """Return an item, an empty one where there is none."""
        return self._partitions.get(key["pk"]["S"], {}).get(key["sk"]["S"], {})

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
        item = self._at(request["Key"])
        names, values = request["ExpressionAttributeNames"], request.get(VALUES, {})

        def read(what: str) -> Value | None:
            if what.startswith(":"):
                return dict(values[what])
            within, found = item, None
            for part in what.split("."):
                found = within.get(names[part])
                within = (found or {}).get("M", {})
            return found

        return None if _condition(request["ConditionExpression"])(read) else dict(item)

    def _write(self, items: list[dict[str, Any]]) -> None:
        """Make writes whose conditions hold."""
        self._wrote(items)
        for item in items:
            for kind, request in item.items():
                if kind == "Delete":
                    key = request["Key"]
                    self._partitions.get(key["pk"]["S"], {}).pop(key["sk"]["S"], None)
                if kind == "Update":
                    self._update(request)

    def _update(self, request: dict[str, Any]) -> None:
        """Change an item, or make it; all of the change, or nothing where it cannot be made."""
        key = request["Key"]
        attributes: dict[str, Value] = {**key, **self._at(key)}
        names, values = request["ExpressionAttributeNames"], request.get(VALUES, {})
        for clause, path, how, value in _actions(request["UpdateExpression"]):
            *maps, name = (names[part] for part in path.split("."))
            within = attributes
            for part in maps:
                if "M" not in within.get(part, {}):
                    raise _error("ValidationException")
                within[part] = {"M": dict(within[part]["M"])}
                within = within[part]["M"]
            if clause == "REMOVE":
                within.pop(name, None)
            elif how.endswith("+ "):
                number = int(within[name]["N"]) + int(values[value]["N"])
                within[name] = {"N": str(number)}
            elif not (how and name in within):
                within[name] = values[value]
        self._partitions.setdefault(key["pk"]["S"], {})[key["sk"]["S"]] = attributes


@cache
def _actions(expression: str) -> list[tuple[str, ...]]:
    """Return each action of an update: its clause, path, how it is set and to what.

    What this does not play is an error: left out, it would be no fault that anybody sees.
    """
    at, actions = 0, []
    for clause in CLAUSES.finditer(expression):
        for action in re.split(r", *(?=#)", clause[2]):
            found = ACTIONS[clause[1]].fullmatch(action)
            assert found, f"{action!r} of {expression!r} is not played"
            actions.append((clause[1], *found.groups()))
        assert clause.start() == at, f"{expression[at:]!r} is not played"
        at = clause.end()
    assert 0 < at == len(expression), f"{expression[at:]!r} is not played"
    return actions


@cache
def _condition(expression: str) -> Condition:
    """Return whether a condition holds of what is read; what is not played is an error here too."""
    tokens = TOKENS.findall(expression)
    assert "".join(tokens) == expression.replace(" ", ""), f"{expression!r} is not played"
    try:
        condition = _one_of(tokens)
    except (IndexError, KeyError) as error:
        raise AssertionError(f"{expression!r} is not played") from error
    assert not tokens, f"{expression!r} is not played"
    return condition


def _one_of(tokens: list[str]) -> Condition:
    """Take what OR joins off the tokens."""
    parts = [_each_of(tokens)]
    while tokens[:1] == ["OR"]:
        del tokens[0]
        parts.append(_each_of(tokens))
    return lambda read: any(part(read) for part in parts)


def _each_of(tokens: list[str]) -> Condition:
    """Take what AND joins off the tokens."""
    parts = [_comparison(tokens)]
    while tokens[:1] == ["AND"]:
        del tokens[0]
        parts.append(_comparison(tokens))
    return lambda read: all(part(read) for part in parts)


def _comparison(tokens: list[str]) -> Condition:
    """Take a comparison, a function's call or what stands in brackets off the tokens."""
    first = tokens.pop(0)
    if first == "(":
        inner = _one_of(tokens)
        assert tokens.pop(0) == ")", "a bracket stays open, which is not played"
        return inner
    if first.startswith("attribute_"):
        opening, path, closing = (tokens.pop(0) for _ in range(3))
        assert (opening, path[0], closing) == ("(", "#", ")"), f"{first} is not played so"
        there = first == "attribute_exists"
        return lambda read: (read(path) is not None) == there
    how, other = COMPARE[tokens.pop(0)], tokens.pop(0)
    assert {first[0], other[0]} <= {"#", ":"}, f"{first} beside {other} is not played"
    return lambda read: how(read(first), read(other))


def _in_order(how: Callable[[Any, Any], bool]) -> Callable[[Value | None, Value | None], bool]:
    """Compare two numbers or two texts; nothing else is more or less than another."""

    def compare(one: Value | None, other: Value | None) -> bool:
        for kind, read in (("N", int), ("S", str)):
            if one and other and kind in one and kind in other:
                return how(read(one[kind]), read(other[kind]))
        return False

    return compare


COMPARE: dict[str, Callable[[Value | None, Value | None], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": _in_order(operator.lt),
    "<=": _in_order(operator.le),
    ">": _in_order(operator.gt),
    ">=": _in_order(operator.ge),
}


def serve_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let boto3's clients of DynamoDB have a new table of this kind."""
    of_all: Any = BaseClient
    dynamodb, api_call = DynamoDB(lambda _writes: None), of_all._make_api_call

    def make_api_call(client: Any, operation: str, given: dict[str, Any]) -> Any:
        if client.meta.service_model.service_name == "dynamodb":
            return getattr(dynamodb, xform_name(operation))(**given)
        return api_call(client, operation, given)

    monkeypatch.setattr(BaseClient, "_make_api_call", make_api_call)


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
