"""A transaction under way keeps others off its items.

"Transaction conflict handling in DynamoDB":
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-conflict-handling
"""

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.tests.account import Account, eventually
from emulator.tests.dynamodb_table import Table
from emulator.tests.quotas import limited, told

KINDS = ["Put", "Update", "Delete", "ConditionCheck"]
CONFLICT = {"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}
NOTHING = {"Code": "None"}


def part(table: Table, kind: str, order: str = "head") -> dict[str, Any]:
    """A part of a transaction that is about one item."""
    details: dict[str, dict[str, Any]] = {
        "Put": {"Item": {"by": kind}},
        "Update": {
            "UpdateExpression": "SET #by = :by",
            "ExpressionAttributeNames": {"#by": "by"},
            "values": {":by": kind},
        },
        "Delete": {},
        "ConditionCheck": {
            "ConditionExpression": "attribute_exists(#queue)",
            "ExpressionAttributeNames": {"#queue": "queue"},
        },
    }
    return {kind: table.operation(order, **details[kind])}


@contextmanager
def under_way(account: Account, *parts: dict[str, Any], **fields: Any) -> Iterator[None]:
    """A transaction is under way for the time being; it must come to its end."""

    def begun() -> bool:
        counts = told(account.endpoint, "GET").json()["counts"]
        return bool(counts.get("TransactWriteItems", {}).get("taken"))

    with ThreadPoolExecutor(1) as pool:
        with limited(account.endpoint, transaction_ms=50_000):
            api = account.client("dynamodb")
            running: Future[Any] = pool.submit(
                api.transact_write_items, TransactItems=list(parts), **fields
            )
            eventually(begun)
            yield
        running.result()


def cancelled(error: pytest.ExceptionInfo[ClientError]) -> list[Any]:
    """The reasons for which a transaction was cancelled."""
    response: dict[str, Any] = dict(error.value.response)
    assert response["Error"]["Code"] == "TransactionCanceledException"
    codes = ", ".join(reason["Code"] for reason in response["CancellationReasons"])
    assert response["Error"]["Message"].endswith(f"specific reasons [{codes}]")
    return list(response["CancellationReasons"])


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
def test_a_transaction_that_meets_another_is_cancelled(
    account: Account, table: Table, first: str, second: str
) -> None:
    # Given a transaction under way on an item
    table.put("head", by="nobody")
    with (
        under_way(account, part(table, first)),
        # When another has the same item among others
        pytest.raises(ClientError) as error,
    ):
        table.api.transact_write_items(
            TransactItems=[part(table, "Put", "before"), part(table, second)]
        )
    # Then it is cancelled for that item, and has written nothing
    assert cancelled(error) == [NOTHING, CONFLICT]
    assert table.get("before") is None
    written = {"Put": {"by": "Put"}, "Update": {"by": "Update"}, "Delete": None}
    assert table.get("head") == written.get(first, {"by": "nobody"})
    # And when the first has ended, it is made
    table.put("head", by="nobody")
    table.api.transact_write_items(TransactItems=[part(table, second)])


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_write_that_meets_a_transaction_is_refused(
    account: Account, table: Table, kind: str
) -> None:
    """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_PutItem.html, Errors."""
    # Given a transaction under way
    table.put("head", by="nobody")
    key = {"TableName": table.name, "Key": table.key()}
    writes: list[Callable[[], Any]] = [
        lambda: table.put("head", by="alone"),
        lambda: table.update("REMOVE x"),
        lambda: table.api.delete_item(**key),
    ]
    with under_way(account, part(table, kind)):
        # When the item is written alone, then that is refused
        for write in writes:
            with pytest.raises(ClientError) as error:
                write()
            assert error.value.response["Error"]["Code"] == "TransactionConflictException"
            assert error.value.response["Error"]["Message"] == CONFLICT["Message"]
        # And when it is read, then it is as it was before
        assert table.get("head") == {"by": "nobody"}
        assert table.pages() == [["head"]]
        # And other items are written
        table.put("other", by="alone")
    # When the transaction has ended, then the item is written alone
    for write in writes:
        write()


def test_reads_together_that_meet_a_transaction_are_cancelled(
    account: Account, table: Table
) -> None:
    """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactGetItems.html."""
    reads = [
        {"Get": {"TableName": table.name, "Key": table.key(order)}} for order in ("other", "head")
    ]
    with (
        under_way(account, part(table, "Put")),
        pytest.raises(ClientError) as error,
    ):
        table.api.transact_get_items(TransactItems=reads)
    assert cancelled(error) == [NOTHING, CONFLICT]
    found = table.api.transact_get_items(TransactItems=reads)["Responses"]
    assert [bool(each.get("Item")) for each in found] == [False, True]


def test_a_transaction_that_fails_lets_its_items_go(account: Account, table: Table) -> None:
    # Given a transaction whose condition does not hold
    with pytest.raises(ClientError) as error:
        table.api.transact_write_items(TransactItems=[part(table, "ConditionCheck")])
    assert [reason["Code"] for reason in cancelled(error)] == ["ConditionalCheckFailed"]
    # When its item is written, then that is done
    table.put("head", by="alone")
    assert table.get("head") == {"by": "alone"}
    assert told(account.endpoint, "GET").status_code == 200


def test_the_same_request_again_waits_for_the_first(account: Account, table: Table) -> None:
    """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html.

    ClientRequestToken, and TransactionInProgressException.
    """
    # Given a transaction under way that has a token
    token = uuid.uuid4().hex
    request = {"TransactItems": [part(table, "Put")], "ClientRequestToken": token}
    with (
        under_way(account, part(table, "Put"), ClientRequestToken=token),
        # When it is sent again, then that is refused
        pytest.raises(ClientError, match="TransactionInProgressException"),
    ):
        table.api.transact_write_items(**request)
    # And when it is sent again after its end, then it has been made, and is not made again
    table.put("head", by="another")
    with under_way(account, part(table, "ConditionCheck")):
        table.api.transact_write_items(**request)
    assert table.get("head") == {"by": "another"}


def test_without_a_time_no_transaction_meets_another(account: Account, table: Table) -> None:
    # Given transactions that take no time
    with limited(account.endpoint, transaction_ms=0), ThreadPoolExecutor(8) as pool:
        # When many want one item at once, then none is refused
        for made in [
            pool.submit(table.api.transact_write_items, TransactItems=[part(table, "Put")])
            for _ in range(40)
        ]:
            made.result()
        counts = told(account.endpoint, "GET").json()["counts"]
    assert counts["TransactWriteItems"] == {"taken": 40, "refused": 0}


@pytest.mark.parametrize("quotas", [{"transaction_ms": -1}, {"transaction_ms": "1"}])
def test_a_time_that_makes_no_sense_is_refused(account: Account, quotas: Any) -> None:
    assert told(account.endpoint, "PUT", quotas).status_code == 400
