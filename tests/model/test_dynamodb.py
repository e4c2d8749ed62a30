"""The model's table changes items as moto's does, and on the same conditions."""

import re
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from straight_through.queue.table import Refused, Table, check, delete
from tests.model.dynamodb import TABLE, DynamoDB

KEY = ("queues", "q-claims")
HOLDER: dict[str, Any] = {"run": "first", "kills": 1, "mark": {"id": "m"}}
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
# An item, and conditions of each kind that the layer has, true and false of it.
THERE = {"run": "b", "kills": 10, "at": None, "mark": {"id": "m", "until": 5}, "names": ["a"]}
VALUES = {"a": "a", "b": "b", "five": 5, "ten": 10, "none": None, "names": ["a"], "mark": {}}
PARTS = [
    *("attribute_exists(#run)", "attribute_not_exists(#run)", "attribute_exists(#at)"),
    *("attribute_exists(#mark.#id)", "attribute_not_exists(#mark.#id)"),
    *("attribute_exists(#mark.#gone)", "attribute_not_exists(#gone.#id)"),
    *("attribute_not_exists(#run.#id)", "attribute_exists(#pk)"),
    *(f"#run {how} :{value}" for how in ("=", "<>", "<", "<=", ">", ">=") for value in "ab"),
    *(f"#kills {how} :{value}" for how in ("=", "<>", "<", ">=") for value in ("five", "ten")),
    *("#mark.#until < :ten", "#mark.#until > :ten", "#mark.#until <= :five", "#kills > :five"),
    *("#gone = :a", "#gone <> :a", "#gone < :a", "#gone >= :ten", "#gone.#id <> :a"),
    # moto takes what is not there for null, which DynamoDB and the model do not.
    *("attribute_exists(#at) AND #at = :none", "attribute_exists(#at) AND #at <> :none"),
    *("#names = :names", "#mark = :mark", "#run = :ten"),
]
TRUE, FALSE = "#run = :b", "#run = :a"
JOINED = [
    f"{one} OR {two} AND {three}"
    for one in (TRUE, FALSE)
    for two in (TRUE, FALSE)
    for three in (TRUE, FALSE)
] + [
    f"({one} OR {two}) AND ({three})"
    for one in (TRUE, FALSE)
    for two in (TRUE, FALSE)
    for three in (TRUE, FALSE)
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


def test_each_condition_holds_where_motos_does(tables: tuple[Table, Table]) -> None:
    # Given an item, and none
    for table in tables:
        table.update(
            KEY, ", ".join(f"#{name} = :{name}" for name in THERE).join(("SET ", "")), **THERE
        )
    outcomes = set()
    for key in (KEY, ("queues", "q-none")):
        for condition in [*PARTS, *JOINED]:
            # When something is written on a condition
            ours, motos = (refused(table, key, condition) for table in tables)
            # Then both make it, or both refuse it and tell what stood there
            assert ours == motos, condition
            outcomes.add(ours is None)
    assert outcomes == {True, False}


def refused(table: Table, key: tuple[str, str], condition: str) -> Any:
    """What a write that changes nothing met, None where its condition held."""
    used = {name: VALUES[name] for name in re.findall(r":(\w+)", condition)}
    try:
        table.together(check(key, condition, **used))
    except Refused as refusal:
        return refusal.items
    return None


def test_what_was_read_stays_as_it_was(tables: tuple[Table, Table]) -> None:
    for table in tables:
        table.update(KEY, "SET #holder = :holder", holder=HOLDER)
        # Given what was read
        before = table._dynamodb.get_item(
            TableName=TABLE, Key={"pk": {"S": KEY[0]}, "sk": {"S": KEY[1]}}
        )
        # When the item is changed, and deleted
        table.update(KEY, "SET #holder.#kills = #holder.#kills + :one", one=1)
        assert (table.get(KEY) or {})["holder"]["kills"] == HOLDER["kills"] + 1
        table.together(delete(KEY, "attribute_exists(#pk)"))
        # Then it is gone, and what was read before has not changed
        assert table.get(KEY) is None
        assert before["Item"]["holder"]["M"]["kills"] == {"N": "1"}


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


@pytest.mark.parametrize(
    "condition",
    [
        "begins_with(#at, :one)",
        "NOT #at = :one",
        "#at IN (:one)",
        "size(#at) > :one",
        "#at BETWEEN :one AND :one",
        "(#at = :one",
        "#at = :one)",
        "#at = :one AND",
        "#at",
        "attribute_exists(:one)",
        "#at AND :one",
    ],
)
def test_what_the_model_does_not_play_of_a_condition_is_an_error(condition: str) -> None:
    table = Table(DynamoDB(lambda _writes: None), TABLE)  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="is not played"):
        table.update(KEY, "SET #two = :one", condition, one=1)
    assert table.get(KEY) is None
