"""DynamoDB's transactions: all or nothing, one after the other, and only what is allowed."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.tests.account import REGION, Account
from emulator.tests.dynamodb_table import Table, decoded
from emulator.tests.sessions import session_clients


def granting(table: Table, ticket: str) -> list[dict[str, Any]]:
    """A transaction of all four kinds: a ticket gets the turn that nobody holds."""
    return [
        {
            "Delete": table.operation(
                ticket,
                ConditionExpression="execution = :execution",
                values={":execution": "e-1"},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        },
        {
            "Update": table.operation(
                "head",
                UpdateExpression="SET holder = :holder",
                ConditionExpression="attribute_not_exists(holder)",
                values={":holder": {"ticket": ticket}},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        },
        {"Put": table.operation("log", Item={"granted": ticket})},
        {
            "ConditionCheck": table.operation(
                "binding", ConditionExpression="attribute_exists(#queue)"
            )
            | {"ExpressionAttributeNames": {"#queue": "queue"}}
        },
    ]


def test_a_transaction_applies_all_its_parts(table: Table) -> None:
    """DynamoDB developer guide, "Amazon DynamoDB transactions: how it works"."""
    # Given
    table.put("ticket", execution="e-1")
    table.put("head", posts=1)
    table.put("binding")

    # When
    table.api.transact_write_items(TransactItems=granting(table, "ticket"))

    # Then
    assert table.get("ticket") is None
    assert table.get("head") == {"posts": 1, "holder": {"ticket": "ticket"}}
    assert table.get("log") == {"granted": "ticket"}


def test_a_failed_condition_cancels_all_and_says_why_in_order(table: Table) -> None:
    """DynamoDB API reference, "TransactWriteItems": CancellationReasons."""
    # Given
    table.put("ticket", execution="e-1")
    table.put("head", holder={"ticket": "other"})

    # When
    with pytest.raises(ClientError) as cancelled:
        table.api.transact_write_items(TransactItems=granting(table, "ticket"))

    # Then
    response: dict[str, Any] = dict(cancelled.value.response)
    assert response["Error"]["Code"] == "TransactionCanceledException"
    reasons = response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == [
        "None",
        "ConditionalCheckFailed",
        "None",
        "ConditionalCheckFailed",
    ]
    item = decoded(reasons[1]["Item"]) or {}
    assert item["holder"] == {"ticket": "other"}
    assert not any("Item" in reasons[part] for part in (0, 2, 3))
    assert table.get("ticket") == {"execution": "e-1"}
    assert table.get("head") == {"holder": {"ticket": "other"}}
    assert table.get("log") is None


def test_two_parts_of_a_transaction_cannot_be_about_one_item(table: Table) -> None:
    """DynamoDB API reference, "TransactWriteItems": no two actions on the same item."""
    # Given
    twice = [{"Put": table.operation("head", Item={"number": number})} for number in range(2)]

    # When, then
    with pytest.raises(ClientError, match=r"ValidationException.*multiple operations on one item"):
        table.api.transact_write_items(TransactItems=twice)
    assert table.get("head") is None


def test_concurrent_transactions_lose_no_update(table: Table) -> None:
    """DynamoDB developer guide, "Amazon DynamoDB transactions: how it works", isolation levels."""
    # Given
    table.put("head", count=0, last="")

    def add(worker: int) -> int:
        """Count one up by hand, until it has worked, and say how often that was refused."""
        for refused in range(1000):
            seen = table.get("head") or {}
            change = table.operation(
                "head",
                UpdateExpression="SET #count = :next, #last = :me",
                ConditionExpression="#count = :seen",
                ExpressionAttributeNames={"#count": "count", "#last": "last"},
                values={":next": seen["count"] + 1, ":seen": seen["count"], ":me": str(worker)},
            )
            mark = table.operation(
                f"mark#{seen['count']:04}",
                Item={"by": str(worker)},
                ConditionExpression="attribute_not_exists(#queue)",
                ExpressionAttributeNames={"#queue": "queue"},
            )
            try:
                table.api.transact_write_items(TransactItems=[{"Update": change}, {"Put": mark}])
            except table.api.exceptions.TransactionCanceledException:
                continue
            return refused
        raise AssertionError("never worked")

    # When
    with ThreadPoolExecutor(20) as pool:
        refused = list(pool.map(add, [worker for worker in range(20) for _ in range(5)]))

    # Then
    assert (table.get("head") or {})["count"] == 100
    assert sum(refused) > 0
    marks = [order for page in table.pages() for order in page if order.startswith("mark")]
    assert marks == [f"mark#{number:04}" for number in range(100)]


@pytest.mark.parametrize("missing", ["PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem"])
def test_a_transaction_needs_the_permission_of_each_of_its_parts(
    account: Account, table: Table, missing: str
) -> None:
    """DynamoDB developer guide, "Using IAM with DynamoDB transactions"."""
    # Given
    arn = f"arn:aws:dynamodb:{REGION}:000000000000:table/{table.name}"
    parts = {
        f"dynamodb:{part}" for part in ("PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem")
    }
    allowed = {"Effect": "Allow", "Action": sorted(parts), "Resource": arn}
    role = account.role(allowed)
    api = session_clients(account, role)("dynamodb")
    table.put("ticket", execution="e-1")
    table.put("binding")

    # When
    account.allow(role, {**allowed, "Action": sorted(parts - {f"dynamodb:{missing}"})})

    # Then
    with pytest.raises(ClientError, match=f"AccessDenied.*dynamodb:{missing}"):
        api.transact_write_items(TransactItems=granting(table, "ticket"))
    assert table.get("ticket") == {"execution": "e-1"}

    # When
    account.allow(role, allowed)
    api.transact_write_items(TransactItems=granting(table, "ticket"))

    # Then
    assert table.get("ticket") is None


@pytest.mark.parametrize("action", ["GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"])
def test_an_action_needs_its_permission_on_the_very_table(
    account: Account, table: Table, action: str
) -> None:
    """AWS service authorization reference, "Actions for Amazon DynamoDB"."""
    # Given
    arn = f"arn:aws:dynamodb:{REGION}:000000000000:table/{table.name}"
    allowed = {"Effect": "Allow", "Action": f"dynamodb:{action}", "Resource": arn}
    role = account.role(allowed)
    mine = Table(session_clients(account, role)("dynamodb"), table.name, table.queue)
    calls: dict[str, Callable[[], Any]] = {
        "GetItem": mine.get,
        "Query": mine.pages,
        "PutItem": mine.put,
        "UpdateItem": lambda: mine.update("REMOVE holder"),
        "DeleteItem": lambda: mine.api.delete_item(**mine.operation()),
    }

    # When it is allowed, then
    calls[action]()

    # When it is allowed on another table, then
    account.allow(role, {**allowed, "Resource": f"{arn}-other"})
    with pytest.raises(ClientError, match=f"AccessDenied.*dynamodb:{action}"):
        calls[action]()
