"""A table for queues of turns, and one queue in it."""

from dataclasses import dataclass
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

TABLE = {
    "Type": "AWS::DynamoDB::Table",
    "DeletionPolicy": "Retain",
    "UpdateReplacePolicy": "Retain",
    "Properties": {
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [
            {"AttributeName": "queue", "KeyType": "HASH"},
            {"AttributeName": "order", "KeyType": "RANGE"},
        ],
        "AttributeDefinitions": [
            {"AttributeName": "queue", "AttributeType": "S"},
            {"AttributeName": "order", "AttributeType": "S"},
        ],
        "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True},
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        "SSESpecification": {"SSEEnabled": True},
    },
}
to_dynamodb, from_dynamodb = TypeSerializer().serialize, TypeDeserializer().deserialize


def encoded(item: dict[str, Any]) -> dict[str, Any]:
    """An item, key or set of values as DynamoDB's API takes it."""
    return {name: to_dynamodb(value) for name, value in item.items()}


def decoded(item: dict[str, Any] | None) -> dict[str, Any] | None:
    """An item of DynamoDB's API as plain values."""
    return None if item is None else {name: from_dynamodb(value) for name, value in item.items()}


@dataclass(frozen=True)
class Table:
    """A table with one queue of its own for each test."""

    api: Any
    name: str
    queue: str

    def key(self, order: str = "head") -> dict[str, Any]:
        """The key of one item of the queue."""
        return encoded({"queue": self.queue, "order": order})

    def put(self, order: str = "head", **attributes: Any) -> None:
        """Write one item."""
        item = {**self.key(order), **encoded(attributes)}
        self.api.put_item(TableName=self.name, Item=item)

    def get(self, order: str = "head") -> dict[str, Any] | None:
        """Read one item consistently: all but its key."""
        found = self.api.get_item(TableName=self.name, Key=self.key(order), ConsistentRead=True)
        item = decoded(found.get("Item"))
        return item and {name: item[name] for name in item.keys() - {"queue", "order"}}

    def update(self, expression: str, **fields: Any) -> dict[str, Any]:
        """Update the item `head`; `values` are plain."""
        return dict(self.api.update_item(**self.operation(UpdateExpression=expression, **fields)))

    def operation(self, order: str = "head", **fields: Any) -> dict[str, Any]:
        """An operation on one item, alone or as a part of a transaction."""
        values = fields.pop("values", None)
        if "Item" in fields:
            fields["Item"] = {**self.key(order), **encoded(fields["Item"])}
        else:
            fields["Key"] = self.key(order)
        if values:
            fields["ExpressionAttributeValues"] = encoded(values)
        return {"TableName": self.name, **fields}

    def pages(self, **fields: Any) -> list[list[str]]:
        """The sort keys of the pages of a consistent query of the queue."""
        condition, values = "queue = :queue", {":queue": self.queue, **fields.pop("values", {})}
        pages = self.api.get_paginator("query").paginate(
            TableName=self.name,
            KeyConditionExpression=condition + fields.pop("and_", ""),
            ExpressionAttributeValues=encoded(values),
            ConsistentRead=True,
            **fields,
        )
        return [[item["order"]["S"] for item in page["Items"]] for page in pages]
