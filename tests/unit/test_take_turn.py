"""TakeTurn: the version is pinned, and the execution waits for its queue's turn."""

import json
from typing import Any

import pytest

from straight_through.errors import (
    EmptyFile,
    InputInvalid,
    NoRoute,
    RouteInvalid,
    SourceNotFound,
    StraightThroughError,
    WrongFormat,
)
from straight_through.names import run_name
from straight_through.queue.records import record_key
from straight_through.queue.table import Table
from straight_through.queue.turns import queue_key, tickets
from straight_through.run_state import SCHEMA
from tests.unit.conftest import INBOX, ROUTE, Event, Handler, made_once
from tests.unit.fake_states import FakeStates
from tests.unit.wire import Wire

FILE = b"id,paid\nC-1,1.00\n"


@pytest.fixture
def take(handler: Any) -> Handler:
    """The handler."""
    loaded: Handler = handler("take_turn")
    return loaded


def drop(s3: Any, given: dict[str, Any], content: bytes = FILE) -> dict[str, Any]:
    """Put the file that the event's input names, and pin the input to it."""
    named = given["execution"]["Input"]
    put = s3.put_object(Bucket=named["bucket"], Key=named["key"], Body=content)
    named["version_id"] = put["VersionId"]
    return given


def typed(given: dict[str, Any], name: str, **named: Any) -> dict[str, Any]:
    """The event of an execution that a person has started."""
    given["execution"] |= {"Name": name, "Id": f"arn:{name}", "Input": named}
    return given


def test_a_free_queue_gives_its_turn_at_once(
    take: Handler, s3: Any, event: Event, states: FakeStates, table: Table
) -> None:
    given = drop(s3, event("take_turn"))
    states.wait(given["token"], given["execution"]["Id"])
    assert take(given) is None
    # Then the answer has the shape that the next step's sample has
    (answer,) = states.answers.values()
    sample = event("upload_and_execute")["record"]
    assert answer.keys() == sample.keys()
    assert answer["turn"].keys() == sample["turn"].keys()
    assert answer["turn"]["queue"] == sample["turn"]["queue"]
    # And the pinned version is kept for the next step
    record = table.get(record_key(given["execution"]["Name"])) or {}
    measured = {"sha256", "rows"}  # while it goes up
    assert record["source"].keys() == event("check_status")["record"]["source"].keys() - measured
    assert record["route"] == "claims"
    assert table.first(tickets("p-claims")) is None


def test_what_is_noted_of_a_turn_tells_its_schema(
    take: Handler, s3: Any, event: Event, states: FakeStates, table: Table
) -> None:
    # Given a file that has the turn, and another that waits for it
    given, waits = drop(s3, event("take_turn")), event("take_turn")
    states.wait(given["token"], given["execution"]["Id"])
    take(given)
    source = {"bucket": INBOX, "key": given["execution"]["Input"]["key"]}
    take(typed(waits, "by-hand", **source))
    # Then each item tells it, so that a release to come knows what it reads
    noted = [
        (table.get(queue_key("p-claims")) or {})["holder"],
        table.first(tickets("p-claims")) or {},
        table.get(record_key("by-hand")) or {},
    ]
    assert [item["schema"] for item in noted] == [SCHEMA, SCHEMA, SCHEMA]


def test_what_a_person_types_pins_the_version_of_the_first_attempt(
    take: Handler, s3: Any, event: Event, table: Table
) -> None:
    # Given an execution that names no version, and that waits
    table.update(queue_key("p-claims"), "SET #holder = :other", other={"execution_arn": "x"})
    version = s3.put_object(Bucket=INBOX, Key="claims/may.csv", Body=FILE)["VersionId"]
    given = typed(event("take_turn"), "by-hand", bucket=INBOX, key="claims/may.csv")
    take(given)
    # When the key is overwritten, and the execution is redriven
    s3.put_object(Bucket=INBOX, Key="claims/may.csv", Body=FILE + FILE)
    given["execution"] |= {"RedriveCount": 1, "RedriveTime": "2026-05-04T09:00:00.000Z"}
    take(given)
    # Then it is still about the version of its first attempt
    record = table.get(record_key("by-hand")) or {}
    assert record["source"]["version_id"] == version


def test_an_attached_execution_needs_no_turn(
    take: Handler, s3: Any, event: Event, states: FakeStates, table: Table
) -> None:
    s3.put_object(Bucket=INBOX, Key="claims/may.csv", Body=FILE)
    table.update(queue_key("p-claims"), "SET #holder = :other", other={"execution_arn": "x"})
    named = {"bucket": INBOX, "key": "claims/may.csv", "execution_id": "e-7"}
    given = typed(event("take_turn"), "by-hand", **named)
    states.wait(given["token"], "arn:by-hand")
    take(given)
    assert states.answers == {given["token"]: {"schema": SCHEMA, "turn": None}}
    assert table.first(tickets("p-claims")) is None
    # And where nobody waits for the answer any more, all is well
    take(given)


@pytest.mark.parametrize(
    ("content", "error"), [(b"", EmptyFile), (b"PK\x03\x04 and more", WrongFormat)]
)
def test_an_execution_of_a_definition_without_a_check_is_checked_here(
    take: Handler, s3: Any, event: Event, table: Table, content: bytes, error: type
) -> None:
    given = drop(s3, event("take_turn"), content)
    del given["checked"]
    with pytest.raises(error, match="Schäden a"):
        take(given)
    # Then it has not queued, and its record says what it is about
    assert table.first(tickets("p-claims")) is None
    record = table.get(record_key(given["execution"]["Name"])) or {}
    assert record["route"] == "claims"
    assert record["source"]["version_id"] == given["execution"]["Input"]["version_id"]


def test_who_has_asked_before_asks_in_the_queue_that_the_route_has_now(
    take: Handler, s3: Any, event: Event, states: FakeStates, table: Table
) -> None:
    # Given a dropped file that has asked for its turn, in a process that has read its route
    given = drop(s3, event("take_turn"))
    named = given["execution"]["Input"]
    run = run_name(named["bucket"], named["key"], named["version_id"])
    given["execution"] |= {"Name": run}
    states.wait(given["token"], given["execution"]["Id"])
    take(given)
    # When a person gives the route another queue, and the file has lost its turn by that
    route = {**ROUTE, "queue": "elsewhere"}
    made_once("ssm").put_parameter(
        Name="/straight-through/routes/claims", Value=json.dumps(route), Overwrite=True
    )
    given["state"] |= {"EnteredTime": "2099-01-01T00:00:00.000Z"}
    states.wait(given["token"], given["execution"]["Id"])
    take(given)
    # Then it asks there at once, or it would go round until the old route was forgotten
    assert (table.get(record_key(run)) or {})["queue"] == "elsewhere"


def test_what_was_checked_is_not_checked_again(
    take: Handler, s3: Any, event: Event, table: Table
) -> None:
    table.update(queue_key("p-claims"), "SET #holder = :other", other={"execution_arn": "x"})
    take(drop(s3, event("take_turn"), b"PK\x03\x04 and more"))
    assert table.first(tickets("p-claims"))


@pytest.mark.parametrize(
    ("key", "content", "error"),
    [
        ("premiums/may.csv", FILE, NoRoute),
        ("may.csv", FILE, NoRoute),
        ("broken/may.csv", FILE, RouteInvalid),
        ("queue/may.csv", FILE, RouteInvalid),
    ],
)
def test_a_file_that_cannot_go_up_is_told_before_it_waits(
    take: Handler,
    s3: Any,
    wire: Wire,
    event: Event,
    table: Table,
    key: str,
    content: bytes,
    error: type,
) -> None:
    odd: dict[str, dict[str, Any]] = {"broken": {"x": 1}, "queue": {"queue": "no name"}}
    for name, wrong in odd.items():
        made_once("ssm").put_parameter(
            Name=f"/straight-through/routes/{name}", Type="String", Value=json.dumps(ROUTE | wrong)
        )
    given = event("take_turn")
    given["execution"]["Input"] |= {"key": key}
    with pytest.raises(StraightThroughError, match=key) as raised:
        take(drop(s3, given, content))
    assert type(raised.value) is error
    assert wire.requests == []
    assert list(table.items("queues")) == []


def test_a_file_that_is_gone_is_told(take: Handler, event: Event) -> None:
    gone = event("take_turn")
    del gone["execution"]["Input"]["version_id"]
    with pytest.raises(SourceNotFound, match="Schäden a"):
        take(gone)


@pytest.mark.parametrize("wrong", [{}, [], "claims/may.csv", {"key": "claims/may.csv"}])
def test_an_input_without_a_file_is_told(take: Handler, event: Event, wrong: Any) -> None:
    given = event("take_turn")
    given["execution"]["Input"] = wrong
    with pytest.raises(InputInvalid):
        take(given)
