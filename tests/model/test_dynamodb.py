"""The model's table changes items as moto's does."""

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from straight_through.queue.table import Table
from tests.model.dynamodb import TABLE, DynamoDB

KEY = ("queues", "q-claims")
HOLDER = {"run": "first", "kills": 1, "mark": {"id": "m"}}
UPDATES: list[tuple[str, dict[str, Any]]] = [
    ("SET #paused = :paused", {"paused": {"by": "hand", "told": False, "at": None}}),
    ("SET #holder = :holder, #order = :order", {"holder": HOLDER, "order": ["a", 2]}),
    (
        "SET #holder.#kills = #holder.#kills + :one, #at = :at REMOVE #holder.#mark",
        {"one": 1, "at": "now"},
    ),
    ("SET #holder.#mark = :mark,#at = :at REMOVE #holder.#ended", {"mark": {}, "at": "then"}),
    ("SET #at = if_not_exists(#at, :at), #to = if_not_exists(#to, :at)", {"at": "later"}),
    ("REMOVE #paused, #order", {}),
    ("REMOVE #paused", {}),
]


@pytest.fixture
def tables() -> Any:
    """The model's table, and moto's with all that is before it."""
    with mock_aws():
        client = boto3.client(
            "dynamodb", "eu-west-1", aws_access_key_id="a", aws_secret_access_key="b"
        )
        client.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": k, "AttributeType": "S"} for k in ("pk", "sk")],
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
        )
        yield Table(DynamoDB(lambda _writes: None), TABLE), Table(client, TABLE)  # type: ignore[arg-type]


def test_each_update_gives_what_motos_gives(tables: tuple[Table, Table]) -> None:
    ours, motos = tables
    for change, values in UPDATES:
        assert ours.update(KEY, change, **values) == motos.update(KEY, change, **values), change
    assert ours.get(KEY) == motos.get(KEY)
    assert ours.get(KEY)


@pytest.mark.parametrize("before", [{}, {"at": "now"}])
def test_a_change_that_cannot_be_made_changes_nothing(
    tables: tuple[Table, Table], before: dict[str, Any]
) -> None:
    for table in tables:
        # Given an item, or none, without the map that is written into
        if before:
            table.update(KEY, "SET #at = :at", **before)
        # When a change of more than that map is asked for
        with pytest.raises(ClientError, match="ValidationException"):
            table.update(KEY, "SET #at = :at, #holder.#mark = :mark", at="later", mark={})
        # Then nothing of it was made
        assert (table.get(KEY) or {}).get("at") == before.get("at")
        assert bool(table.get(KEY)) == bool(before)


@pytest.mark.parametrize(
    "change",
    [
        "ADD #count :one",
        "SET #at = :one ADD #count :one",
        "ADD #count :one SET #at = :one",
        "DELETE #names :one",
        "REMOVE #at DELETE #names :one",
        "SET #at = :one, #count = #at - :one",
        "SET #at = list_append(#at, :one)",
        "SET #at = if_not_exists(#count, :one)",
        "REMOVE #at = :one",
        "set #at = :one",
        "",
    ],
)
def test_what_the_model_does_not_play_of_an_update_is_an_error(change: str) -> None:
    table = Table(DynamoDB(lambda _writes: None), TABLE)  # type: ignore[arg-type]
    table.update(KEY, "SET #at = :at", at="now")
    before = table.get(KEY)
    # When a change is asked for of which only a part is played, or nothing
    with pytest.raises(AssertionError, match="is not played"):
        table.update(KEY, change, one=1)
    # Then it is no change that anybody takes for made
    assert table.get(KEY) == before
