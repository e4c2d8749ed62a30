"""The table: writes that others are in the way of are made again, within bounds."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from straight_through.errors import AwsDenied, AwsUnavailable
from straight_through.queue.table import Table, update

KEY = ("queues", "p-claims")


class Busy:
    """DynamoDB, where other transactions are in the way of the first writes."""

    def __init__(self, real: Any, conflicts: int) -> None:
        """Take the real client, and how many writes are refused."""
        self.real, self.exceptions, self.left = real, real.exceptions, conflicts

    def __getattr__(self, name: str) -> Any:
        """Return an operation."""
        return lambda **given: self._call(name, **given)

    def _call(self, name: str, **given: Any) -> Any:
        """Refuse a write as DynamoDB does, while another is in its way."""
        if name not in ("update_item", "transact_write_items") or self.left == 0:
            return getattr(self.real, name)(**given)
        self.left -= 1
        together = name == "transact_write_items"
        code = "TransactionCanceledException" if together else "TransactionConflictException"
        answer: Any = {"Error": {"Code": code}}
        if together:
            answer["CancellationReasons"] = [{"Code": "TransactionConflict"}]
        raise ClientError(answer, name)


def written(table: Table, conflicts: int, *, together: bool) -> Any:
    """Return what stands in the table after one write that meets so many conflicts."""
    table._dynamodb = Busy(table._dynamodb, conflicts)  # type: ignore[assignment]
    if together:
        table.together(update(KEY, "SET #n = :n", n=1))
    else:
        table.update(KEY, "SET #n = :n", n=1)
    return (table.get(KEY) or {})["n"]


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it waited between two tries, without waiting."""
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    return waited


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("conflicts", [0, 1, 19])
def test_a_write_that_others_are_in_the_way_of_is_made_again(
    table: Table, pauses: list[float], conflicts: int, *, together: bool
) -> None:
    assert written(table, conflicts, together=together) == 1
    # And between two tries it waits, for a time that others do not wait too, longer and longer
    assert len(pauses) == len(set(pauses)) == conflicts
    assert all(0 <= pause <= min(0.05 * 2**n, 1) for n, pause in enumerate(pauses))
    assert not conflicts > 1 or max(pauses) > 0.05


@pytest.mark.parametrize("together", [False, True])
def test_a_write_that_others_are_always_in_the_way_of_has_an_end(
    table: Table, *, together: bool
) -> None:
    with pytest.raises(AwsUnavailable, match="changed by others 20 times"):
        written(table, 20, together=together)


class Refusing:
    """DynamoDB, which answers every call with one error."""

    def __init__(self, code: str, reason: str = "") -> None:
        """Take the error's code, and the reason of a transaction that was cancelled."""
        self.answer: Any = {"Error": {"Code": code, "Message": "No."}}
        if reason:
            self.answer["CancellationReasons"] = [{"Code": "None"}, {"Code": reason}]

    def __getattr__(self, name: str) -> Any:
        """Return an operation."""

        def refuse(**_given: Any) -> None:
            raise ClientError(self.answer, name)

        return refuse


CALLS: dict[str, Any] = {
    "get": lambda table: table.get(KEY),
    "query": lambda table: list(table.items("queues")),
    "update": lambda table: table.update(KEY, "SET #n = :n", n=1),
    "delete": lambda table: table.delete(KEY, "#n = :n", n=1),
    "together": lambda table: table.together(update(KEY, "SET #n = :n", n=1)),
}
ANSWERS = {
    "AccessDeniedException": AwsDenied,
    "ProvisionedThroughputExceededException": AwsUnavailable,
    "ThrottlingException": AwsUnavailable,
    "ValidationException": ClientError,
    "ResourceNotFoundException": ClientError,
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("code", ANSWERS)
def test_what_dynamodb_refuses_is_not_taken_for_what_passes(call: str, code: str) -> None:
    with pytest.raises((AwsDenied, AwsUnavailable, ClientError), match=code) as raised:
        CALLS[call](Table(Refusing(code), "turns"))  # type: ignore[arg-type]
    assert type(raised.value) is ANSWERS[code]


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("ThrottlingError", AwsUnavailable),
        ("ProvisionedThroughputExceeded", AwsUnavailable),
        ("ValidationError", ClientError),
    ],
)
def test_a_cancelled_transaction_goes_by_its_reasons(reason: str, error: type) -> None:
    """Amazon DynamoDB API reference, "TransactWriteItems": the codes of cancellation reasons."""
    dynamodb: Any = Refusing("TransactionCanceledException", reason)
    with pytest.raises((AwsUnavailable, ClientError)) as raised:
        CALLS["together"](Table(dynamodb, "turns"))
    assert type(raised.value) is error


class Sparing:
    """DynamoDB that reads one item of those asked for at once, and leaves the others for later."""

    def __init__(self, real: Any, most: int = 1) -> None:
        """Take the real client, and how many items it reads at once."""
        self.real, self.most = real, most

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> Any:  # noqa: N803 - boto3's
        """Read some of the items."""
        ((name, asked),) = RequestItems.items()
        now, later = asked["Keys"][: self.most], asked["Keys"][self.most :]
        read = [self.real.get_item(TableName=name, Key=key).get("Item") for key in now]
        return {
            "Responses": {name: [item for item in read if item]},
            "UnprocessedKeys": {name: asked | {"Keys": later}} if later else {},
        }


def test_many_items_are_read_to_the_last(table: Table) -> None:
    # Given two items, and a DynamoDB that reads one at once
    keys = [("queues", name) for name in "abc"]
    for key in keys[:2]:
        table.update(key, "SET #n = :n", n=7)
    table._dynamodb = Sparing(table._dynamodb)  # type: ignore[assignment]
    # When three are asked for, then those that there are come, as they are
    assert {key: item["n"] for key, item in table.many(keys).items()} == dict.fromkeys(keys[:2], 7)


def test_items_that_stay_unread_are_not_taken_for_none(table: Table) -> None:
    # Given a DynamoDB that reads nothing, then that is said
    table._dynamodb = Sparing(table._dynamodb, most=0)  # type: ignore[assignment]
    with pytest.raises(AwsUnavailable, match="unread"):
        table.many([KEY])
