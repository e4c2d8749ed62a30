"""The DynamoDB table of turns, run records and bindings: consistent reads, conditional writes."""

import random
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from straight_through.aws import answering
from straight_through.errors import AwsUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Item = dict[str, Any]
Key = tuple[str, str]
Write = dict[str, Any]

# Two writes of one item at the same time: the one that is refused for it is repeated.
CONFLICTS = {
    "TransactionConflict",
    "TransactionConflictException",
    "TransactionInProgressException",
}
TRIES = 20
SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 1  # seconds, with full jitter: seven for all tries on average


class Refused(Exception):
    """A write's condition did not hold; `items` has, for each write, the item that stood there.

    None stands for a write that was not refused, an empty item for one that met nothing.
    """

    def __init__(self, items: list[Item | None]) -> None:
        """Keep what stood there."""
        super().__init__("A condition did not hold.")
        self.items = items


class _Plain(TypeDeserializer):
    """Gives whole numbers as such and not as decimals: the table has no others."""

    def _deserialize_n(self, value: str) -> int:
        """Return a number."""
        return int(value)


_PLAIN, _STORED = _Plain(), TypeSerializer()


class Table:
    """One table with the keys `pk` and `sk`. In expressions each name is written as `#name`.

    Every method raises AwsUnavailable where DynamoDB does not answer, AwsDenied where it denies.
    What it refuses for good, such as what is no table or no expression, stays botocore's error.
    """

    def __init__(self, dynamodb: "DynamoDBClient", name: str) -> None:
        """Read nothing yet."""
        self._dynamodb = dynamodb
        self._name = name

    def get(self, key: Key) -> Item | None:
        """Return one item as it is now."""
        found = self._call("get_item", Key=_key(key), ConsistentRead=True)
        return _item(found["Item"]) if "Item" in found else None

    def many(self, keys: Sequence[Key]) -> dict[Key, Item]:
        """Return those that there are of at most a hundred items, as they are now, by key."""
        found: dict[Key, Item] = {}
        left: Any = [_key(key) for key in keys]
        for tried in range(TRIES):
            if not left:
                return found
            back_off(tried)
            asked: Any = {self._name: {"Keys": left, "ConsistentRead": True}}
            with answering("DynamoDB"):
                answer = self._dynamodb.batch_get_item(RequestItems=asked)
            items = map(_item, answer["Responses"].get(self._name, []))
            found |= {(item["pk"], item["sk"]): item for item in items}
            unread: Any = answer["UnprocessedKeys"]
            left = unread.get(self._name, {}).get("Keys")
        raise AwsUnavailable(f"The table of turns left items unread {TRIES} times in a row.")

    def first(self, pk: str) -> Item | None:
        """Return the first item of a partition as it is now: one request, however many follow."""
        return next(self._query(pk, Limit=1), None)

    def items(self, pk: str, *, newest_first: bool = False) -> Iterator[Item]:
        """Return all items of a partition, in their order, or the other way round."""
        yield from self._query(pk, **({"ScanIndexForward": False} if newest_first else {}))

    def update(self, key: Key, change: str, condition: str = "", /, **values: Any) -> Item:
        """Change one item and return it as it is then. Raises Refused."""
        write = update(key, change, condition, **values)["Update"]
        return _item(self._write("update_item", write, ReturnValues="ALL_NEW")["Attributes"])

    def delete(self, key: Key, condition: str, /, **values: Any) -> None:
        """Delete one item. Raises Refused."""
        self._write("delete_item", delete(key, condition, **values)["Delete"])

    def together(self, *writes: Write) -> None:
        """Make all the writes or none. Raises Refused."""
        parts = [
            {kind: {"TableName": self._name, **part} for kind, part in write.items()}
            for write in writes
        ]
        for tried in range(TRIES):
            back_off(tried)
            try:
                with answering("DynamoDB"):
                    self._dynamodb.transact_write_items(TransactItems=parts)  # type: ignore[arg-type]
                return
            except ClientError as error:
                reasons = error.response.get("CancellationReasons", [])
                codes = {reason.get("Code") for reason in reasons}
                if "ConditionalCheckFailed" in codes:
                    raise Refused([_stood_there(reason) for reason in reasons]) from None
                if not (codes | {error.response["Error"]["Code"]}) & CONFLICTS:
                    raise
        raise AwsUnavailable(f"The table of turns was changed by others {TRIES} times in a row.")

    def _query(self, pk: str, **options: Any) -> Iterator[Item]:
        """Read a partition page by page."""
        page: dict[str, Any] = {}
        while True:
            found = self._call(
                "query",
                KeyConditionExpression="#pk = :pk",
                ExpressionAttributeNames={"#pk": "pk"},
                ExpressionAttributeValues={":pk": {"S": pk}},
                ConsistentRead=True,
                **options,
                **page,
            )
            yield from map(_item, found["Items"])
            if "LastEvaluatedKey" not in found or "Limit" in options:
                return
            page = {"ExclusiveStartKey": found["LastEvaluatedKey"]}

    def _write(self, operation: str, write: Mapping[str, Any], **options: Any) -> Any:
        """Make one conditional write. Raises Refused with the item that stood there."""
        for tried in range(TRIES):
            back_off(tried)
            try:
                return self._call(operation, **write, **options)
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code == "ConditionalCheckFailedException":
                    raise Refused([_item(error.response.get("Item", {}))]) from None  # type: ignore[arg-type]
                if code not in CONFLICTS:
                    raise
        raise AwsUnavailable(f"The table of turns was changed by others {TRIES} times in a row.")

    def _call(self, operation: str, **parameters: Any) -> Any:
        """Call DynamoDB."""
        with answering("DynamoDB"):
            return getattr(self._dynamodb, operation)(TableName=self._name, **parameters)


def back_off(tried: int) -> None:
    """Wait before another try, so that those who met do not meet again."""
    if tried:
        most = min(SHORTEST_PAUSE * 2 ** (tried - 1), LONGEST_PAUSE)
        time.sleep(random.uniform(0, most))  # noqa: S311 - no secret


def update(key: Key, change: str, condition: str = "", /, **values: Any) -> Write:
    """Return a conditional change of one item as a part of `together`."""
    return {"Update": {"UpdateExpression": change, **_part(key, condition, change, values)}}


def delete(key: Key, condition: str, /, **values: Any) -> Write:
    """Return a conditional deletion as a part of `together`."""
    return {"Delete": _part(key, condition, "", values)}


def check(key: Key, condition: str, /, **values: Any) -> Write:
    """Return a condition on an item that is not written, as a part of `together`."""
    return {"ConditionCheck": _part(key, condition, "", values)}


def _part(key: Key, condition: str, change: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what all kinds of writes have in common."""
    names = set(re.findall(r"#(\w+)", f"{change} {condition}"))
    part: dict[str, Any] = {
        "Key": _key(key),
        "ExpressionAttributeNames": {f"#{name}": name for name in names},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    if condition:
        part["ConditionExpression"] = condition
    if values:
        part["ExpressionAttributeValues"] = {
            f":{name}": _STORED.serialize(value) for name, value in values.items()
        }
    return part


def _key(key: Key) -> dict[str, Any]:
    """Return a key as DynamoDB takes it."""
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


def _item(attributes: Mapping[str, Any]) -> Item:
    """Return an item as plain data; most of it is text: boto3 is slow at that."""
    return {
        name: value["S"] if "S" in value else _PLAIN.deserialize(value)
        for name, value in attributes.items()
    }


def _stood_there(reason: Mapping[str, Any]) -> Item | None:
    """Return the item that a refused write of a transaction met."""
    return _item(reason.get("Item", {})) if reason["Code"] == "ConditionalCheckFailed" else None
