"""DynamoDB: tables, queries and conditions, as queues of turns need them."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.tests.account import Account
from emulator.tests.dynamodb_table import TABLE, Table, decoded, encoded
from emulator.tests.stacks import created


def refusal(error: pytest.ExceptionInfo[ClientError]) -> dict[str, Any]:
    """What a refused request came back with."""
    return dict(error.value.response)


def test_cloudformation_makes_the_table_and_keeps_it_when_the_stack_goes(account: Account) -> None:
    """AWS CloudFormation template reference, "AWS::DynamoDB::Table" and "DeletionPolicy"."""
    # Given
    api = account.client("dynamodb")

    # When
    with created(account, {"Turns": TABLE}) as stack:
        name = stack["Turns"]

        # Then
        described = api.describe_table(TableName=name)["Table"]
        assert described["TableStatus"] == "ACTIVE"
        assert described["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
        to_live = api.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        assert to_live == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}
        backups = api.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
        recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
        assert recovery == "ENABLED"
    assert api.describe_table(TableName=name)["Table"]["TableName"] == name


def test_cloudformation_makes_a_table_with_a_key_of_ones_own(account: Account) -> None:
    """AWS CloudFormation template reference, "AWS::DynamoDB::Table SSESpecification".

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-dynamodb-table-ssespecification.html
    """
    # Given a table that is encrypted with a key
    key = account.client("kms").create_key()["KeyMetadata"]["Arn"]
    sse = {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
    table: dict[str, Any] = TABLE
    properties = table["Properties"] | {"SSESpecification": sse}
    # When
    with created(account, {"Turns": table | {"Properties": properties}}) as stack:
        described = account.client("dynamodb").describe_table(TableName=stack["Turns"])["Table"]
    # Then
    assert described["SSEDescription"]["SSEType"] == "KMS"
    assert described["SSEDescription"]["KMSMasterKeyArn"] == key


def test_a_query_is_ordered_by_the_bytes_of_its_sort_key(table: Table) -> None:
    """DynamoDB developer guide, "Query": results are sorted, strings by their UTF-8 bytes."""
    # Given
    orders = ["b", "B", "a", "10", "9", "ä", "\uff5e", "🙂", "a#2", "a#10", ""]
    for order in filter(None, orders):
        table.put(order)

    # Then
    in_order = sorted(filter(None, orders), key=lambda order: order.encode())
    assert table.pages() == [in_order]
    assert table.pages(ScanIndexForward=False) == [in_order[::-1]]
    first = table.api.query(
        TableName=table.name,
        KeyConditionExpression="queue = :queue",
        ExpressionAttributeValues=encoded({":queue": table.queue}),
        Limit=1,
        ConsistentRead=True,
    )
    assert [decoded(item) for item in first["Items"]] == [{"queue": table.queue, "order": "10"}]


def test_a_query_takes_a_prefix_and_pages_before_it_filters(table: Table) -> None:
    """DynamoDB developer guide, "Query": begins_with, Limit and FilterExpression, pagination."""
    # Given
    for number in range(5):
        table.put(f"ticket#{number}", odd=bool(number % 2))
    table.put("holder")

    # When
    pages = table.pages(
        and_=" AND begins_with(#order, :prefix)",
        ExpressionAttributeNames={"#order": "order"},
        FilterExpression="odd = :odd",
        PaginationConfig={"PageSize": 2},
        values={":prefix": "ticket#", ":odd": True},
    )

    # Then a page has what the filter leaves of as many items as the limit says
    assert pages == [["ticket#1"], ["ticket#3"], []]


def test_maps_and_what_is_in_them_are_set_checked_and_removed(table: Table) -> None:
    """DynamoDB developer guide, "Update expressions" and "Condition and filter expressions"."""
    # Given
    holder = {"turn_id": "t-1", "redrive_count": 0, "mark": None}

    # When, then
    new = table.update(
        "SET holder = :holder, posts = if_not_exists(posts, :zero) + :one",
        ConditionExpression="attribute_not_exists(holder)",
        ReturnValues="ALL_NEW",
        values={":holder": holder, ":zero": 0, ":one": 1},
    )
    assert decoded(new["Attributes"]) == {
        "queue": table.queue,
        "order": "head",
        "holder": holder,
        "posts": 1,
    }
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        table.update(
            "SET posts = :zero",
            ConditionExpression="attribute_not_exists(holder)",
            values={":zero": 0},
        )

    # When, then
    old = table.update(
        "SET holder.#mark = :mark, holder.redrive_count = :two REMOVE posts",
        ConditionExpression="holder.turn_id = :t AND holder.redrive_count < :two"
        " AND attribute_type(holder.#mark, :null)",
        ExpressionAttributeNames={"#mark": "mark"},
        ReturnValues="ALL_OLD",
        values={":mark": {"id": "m", "until": 5}, ":t": "t-1", ":two": 2, ":null": "NULL"},
    )
    assert (decoded(old["Attributes"]) or {})["holder"] == holder
    assert table.get() == {
        "holder": {"turn_id": "t-1", "redrive_count": 2, "mark": {"id": "m", "until": 5}}
    }

    # When, then
    table.update(
        "REMOVE holder.mark.id",
        ConditionExpression="holder.mark.id = :m AND size(holder) = :three",
        values={":m": "m", ":three": 3},
    )
    assert (table.get() or {})["holder"]["mark"] == {"until": 5}
    table.update("REMOVE holder")
    assert table.get() == {}


def test_a_nested_path_needs_its_map(table: Table) -> None:
    """DynamoDB developer guide, "Update expressions": a document path must exist in the item."""
    # Given an item without the map, when, then
    table.put()
    with pytest.raises(ClientError, match=r"ValidationException.*document path"):
        table.update("SET holder.turn_id = :t", values={":t": "t"})
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        table.update("SET a = :t", ConditionExpression="holder.turn_id = :t", values={":t": "t"})
    assert table.get() == {}


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("SET holder = :m, holder.id = :v", {":m": {"id": 1}, ":v": 2}),
        ("SET holder.id = :v REMOVE holder", {":v": 2}),
        ("SET marks[0].id = :v, marks[0] = :m", {":m": {}, ":v": 2}),
    ],
)
def test_an_attribute_is_not_updated_together_with_a_part_of_it(
    table: Table, expression: str, values: dict[str, Any]
) -> None:
    """DynamoDB developer guide, "Update expressions": paths must not overlap."""
    # Given
    before: dict[str, Any] = {"holder": {"id": 0}, "marks": [{"id": 0}]}
    table.put(**before)

    # When, then
    with pytest.raises(ClientError, match=r"ValidationException.*paths overlap"):
        table.update(expression, values=values)
    assert table.get() == before
    table.update("SET holder.id = :v, marks[0].id = :v REMOVE posts", values={":v": 2})


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        ("put_item", {"Item": {}}),
        ("update_item", {"UpdateExpression": "REMOVE holder"}),
        ("delete_item", {}),
    ],
)
def test_a_failed_condition_gives_the_item_only_when_asked(
    table: Table, action: str, fields: dict[str, Any]
) -> None:
    """DynamoDB API reference, "PutItem": ReturnValuesOnConditionCheckFailure."""
    # Given
    table.put(holder={"turn_id": "t-1"})
    operation = table.operation(
        ConditionExpression="holder.turn_id = :t", values={":t": "t-2"}, **fields
    )

    # When
    with pytest.raises(ClientError) as plain:
        getattr(table.api, action)(**operation)
    with pytest.raises(ClientError) as asked:
        getattr(table.api, action)(**operation, ReturnValuesOnConditionCheckFailure="ALL_OLD")

    # Then
    assert refusal(plain)["Error"]["Code"] == "ConditionalCheckFailedException"
    assert "Item" not in refusal(plain)
    item = decoded(refusal(asked)["Item"])
    assert item == {"queue": table.queue, "order": "head", "holder": {"turn_id": "t-1"}}
    assert table.get() == {"holder": {"turn_id": "t-1"}}
