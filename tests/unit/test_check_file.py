"""CheckFile: version and route are known, and what is wrong is said before anybody waits."""

import gzip
import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest

from straight_through.errors import (
    EmptyFile,
    HeaderMismatch,
    InputInvalid,
    NoRoute,
    SourceNotFound,
    StraightThroughError,
    WrongFormat,
)
from straight_through.files import intake
from straight_through.files.checks import check_file, known_check
from straight_through.names import run_name
from straight_through.queue.arrivals import arrivals_of, expect_key
from straight_through.queue.records import record_key
from straight_through.queue.table import Item, Table
from straight_through.queue.turns import tickets
from straight_through.routes import parse_route
from tests.unit.conftest import INBOX, ROUTE, Event, Handler, made_once
from tests.unit.wire import Wire

FILE = b"id,paid\nC-1,1.00\n"


@pytest.fixture
def check(handler: Any) -> Handler:
    """The handler."""
    loaded: Handler = handler("check_file")
    return loaded


@pytest.fixture
def given(event: Event) -> dict[str, Any]:
    """The sample event."""
    return event("check_file")


def drop(s3: Any, given: dict[str, Any], content: bytes = FILE, key: str = "") -> dict[str, Any]:
    """Put the file that the event's input names, and pin the input to it."""
    named = given["execution"]["Input"]
    named |= {"key": key or named["key"]}
    put = s3.put_object(Bucket=named["bucket"], Key=named["key"], Body=content)
    named["version_id"] = put["VersionId"]
    return given


def record_of(table: Table, given: dict[str, Any]) -> Item:
    """What the table knows of the execution."""
    return table.get(record_key(given["execution"]["Name"])) or {}


def route_of(**fields: Any) -> Any:
    """A route of the folder `claims` with more fields."""
    document = json.dumps(ROUTE | fields)
    made_once("ssm").put_parameter(
        Name="/straight-through/routes/claims", Type="String", Value=document, Overwrite=True
    )
    return parse_route("claims", document)


def test_a_good_file_is_pinned_noted_and_goes_on(
    check: Handler, s3: Any, given: dict[str, Any], table: Table, wire: Wire
) -> None:
    found = check(drop(s3, given))
    name = given["execution"]["Name"]
    assert found == {"run": name, "route": "claims", "status": "Checked", "wait_seconds": 0}
    record = record_of(table, given)
    assert record["source"]["version_id"] == given["execution"]["Input"]["version_id"]
    assert record["route"] == "claims"
    # And it is known by which settings it was judged
    assert known_check(record, route_of())
    assert known_check(record, route_of(queue="another"))
    assert known_check(record, route_of(header=["id"])) is None
    # And nobody was asked, and nobody waits
    assert wire.requests == []
    assert table.first(tickets("p-claims")) is None


@pytest.mark.parametrize(
    ("key", "content", "error", "fields"),
    [
        ("premiums/may.csv", FILE, NoRoute, {}),
        ("may.csv", FILE, NoRoute, {}),
        ("claims/may.csv", gzip.compress(FILE, mtime=0), WrongFormat, {}),
        ("claims/may.csv.gz", gzip.compress(FILE * 99, mtime=0)[:-9], WrongFormat, {}),
        ("claims/may.csv", FILE, HeaderMismatch, {"header": ["id", "amount"]}),
        ("claims/may.csv.gz", gzip.compress(FILE, mtime=0), HeaderMismatch, {"header": ["a", "b"]}),
    ],
)
def test_a_refused_file_is_told_with_its_version_and_route(
    check: Handler,
    s3: Any,
    given: dict[str, Any],
    table: Table,
    key: str,
    content: bytes,
    error: type,
    fields: dict[str, Any],
) -> None:
    route_of(**fields)
    drop(s3, given, content, key)
    with pytest.raises(StraightThroughError, match=key) as raised:
        check(given)
    assert type(raised.value) is error
    # Then what people are told of it can name both
    record = record_of(table, given)
    assert record["source"]["version_id"] == given["execution"]["Input"]["version_id"]
    assert record.get("route") == (None if error is NoRoute else "claims")
    assert "checked" not in record


def test_a_redriven_one_is_checked_anew_at_the_version_of_the_first_attempt(
    check: Handler, s3: Any, given: dict[str, Any], table: Table
) -> None:
    # Given a file that a person has named without a version, and that was refused
    given["execution"]["Input"] = {"bucket": INBOX, "key": "claims/may.csv"}
    first = s3.put_object(Bucket=INBOX, Key="claims/may.csv", Body=FILE)["VersionId"]
    route_of(header=["id", "amount"])
    with pytest.raises(HeaderMismatch):
        check(given)
    # When another was dropped, the route is mended, and the execution is redriven
    s3.put_object(Bucket=INBOX, Key="claims/may.csv", Body=b"other\n")
    route_of(header=["id", "paid"])
    given["execution"] |= {"RedriveCount": 1, "RedriveTime": "2026-05-04T09:00:00.000Z"}
    # Then it is found right
    assert check(given)["status"] == "Checked"
    assert record_of(table, given)["source"]["version_id"] == first


def test_a_refused_version_that_was_deleted_since_is_gone_for_its_redrive(
    check: Handler, s3: Any, given: dict[str, Any]
) -> None:
    drop(s3, given, gzip.compress(FILE), "claims/may.csv")
    with pytest.raises(WrongFormat):
        check(given)
    version = given["execution"]["Input"]["version_id"]
    s3.delete_object(Bucket=INBOX, Key="claims/may.csv", VersionId=version)
    with pytest.raises(SourceNotFound, match=r"claims/may\.csv"):
        check(given)


@pytest.mark.parametrize(
    ("key", "content", "period"),
    [
        ("claims/may-2026-05.csv", FILE, "2026-05"),
        ("claims/june.csv", FILE, None),  # by its name it is of no period
        ("claims/may-2026-05.csv", gzip.compress(FILE, mtime=0), None),  # it is refused
    ],
)
def test_a_sound_file_that_its_route_expects_is_noted_as_come(
    check: Handler,
    s3: Any,
    given: dict[str, Any],
    table: Table,
    key: str,
    content: bytes,
    period: str | None,
) -> None:
    # Given a route that expects a file each month
    rule = {"file": "may-{period}.csv", "every": "month", "by": "day 5, 17:00"}
    route_of(expect=rule)
    # When one is checked
    with suppress(WrongFormat):
        check(drop(s3, given, content, key))
    # Then the sweep finds it, and who ends its run knows of which period it is
    come = list(table.items(arrivals_of("claims", "2026-05")))
    assert [each["key"] for each in come] == ([key] if period else [])
    assert record_of(table, given).get("expected") == period
    assert ("came" in (table.get(expect_key("claims")) or {})) == bool(period)


def test_an_attached_run_is_pinned_and_found_but_not_judged(
    check: Handler, s3: Any, given: dict[str, Any], table: Table
) -> None:
    drop(s3, given, b"", "claims/may.csv")
    given["execution"]["Input"] |= {"execution_id": "e-7"}
    assert check(given)["status"] == "Checked"
    record = record_of(table, given)
    assert (record["source"]["size"], record["route"]) == (0, "claims")
    assert "checked" not in record


def test_a_large_archive_is_left_to_the_turn_after_a_minute(
    check: Handler, s3: Any, given: dict[str, Any], table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an archive that cannot be read in a minute
    monkeypatch.setattr(intake, "check_file", slow(check_file))
    drop(s3, given, gzip.compress(FILE * 999, mtime=0)[:-9], "claims/may.csv.gz")
    # Then it goes on all the same, and its record says that it was not read whole
    assert check(given)["status"] == "Checked"
    record = record_of(table, given)
    assert record["checked"]["whole"] is False
    assert known_check(record, route_of()) is None


def slow(check_file: Any) -> Any:
    """A check whose minute is over at once."""
    return lambda route, file, limits, _left: check_file(route, file, limits, lambda: 0.0)


@pytest.mark.parametrize("wrong", [{}, [], "claims/may.csv", {"key": "claims/may.csv"}])
def test_an_input_without_a_file_is_told(check: Handler, given: dict[str, Any], wrong: Any) -> None:
    given["execution"]["Input"] = wrong
    with pytest.raises(InputInvalid):
        check(given)


# --- empty versions -------------------------------------------------------------------------------
Aged = Callable[[float], None]


def test_files_that_come_at_once_read_their_route_once(
    check: Handler, app: ModuleType, s3: Any, event: Event
) -> None:
    # Given a process, and dropped files of one folder
    calls: list[str] = []
    ssm = app.intake.routes._ssm
    ssm.meta.events.register("before-call.ssm", lambda model, **_: calls.append(model.name))
    for number in range(3):
        given = drop(s3, event("check_file"), key=f"claims/{number}.csv")
        named = given["execution"]["Input"]
        run = run_name(named["bucket"], named["key"], named["version_id"])
        given["execution"] |= {"Name": run}
        # When each is checked
        assert check(given)["status"] == "Checked"
    # Then Parameter Store was asked once
    assert calls == ["GetParameters"]


def test_a_mended_route_counts_at_once_for_a_redrive_and_for_a_person(
    check: Handler, s3: Any, given: dict[str, Any]
) -> None:
    # Given a file that was refused by its route's header, in a process that has read the route
    named = drop(s3, given)["execution"]["Input"]
    run = run_name(named["bucket"], named["key"], named["version_id"])
    given["execution"] |= {"Name": run}  # as an S3 event starts it
    ssm, name = made_once("ssm"), "/straight-through/routes/claims"
    wrong = {"organisation_id": "c-broker", "dataset_id": "d-claims", "pipeline_id": "p-claims"}
    right = json.dumps(wrong)
    ssm.put_parameter(Name=name, Value=json.dumps(wrong | {"header": ["no"]}), Overwrite=True)
    with pytest.raises(HeaderMismatch):
        check(given)
    # When a person mends the route and redrives the run; then the new one counts
    ssm.put_parameter(Name=name, Value=right, Overwrite=True)
    given["execution"] |= {"RedriveCount": 1, "RedriveTime": given["execution"]["StartTime"]}
    assert check(given)["status"] == "Checked"
    # And so for a run that a person starts
    ssm.put_parameter(Name=name, Value=json.dumps(wrong | {"header": ["no"]}), Overwrite=True)
    by_hand = given["execution"] | {"RedriveCount": 0, "Name": "by-hand"}
    by_hand["Input"] = {k: v for k, v in by_hand["Input"].items() if k in ("bucket", "key")}
    with pytest.raises(HeaderMismatch):
        check({"execution": by_hand})


@pytest.fixture
def aged(app: ModuleType, s3: Any, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Aged:
    """Sets the function's clock to so many minutes after the drop."""

    def aged(minutes: float) -> None:
        named = given["execution"]["Input"]
        at = {"Key": named["key"], "VersionId": named["version_id"]}
        then = s3.head_object(Bucket=named["bucket"], **at)["LastModified"]

        class Clock(datetime):
            """A clock that stands."""

            @classmethod
            def now(cls, tz: Any = None) -> Any:
                """Return the time there."""
                return (then + timedelta(minutes=minutes)).astimezone(tz)

        monkeypatch.setattr(app, "datetime", Clock)

    return aged


@pytest.fixture
def app(check: Handler) -> ModuleType:
    """The function's module."""
    called: Any = check
    module = called.__closure__[0].cell_contents
    assert isinstance(module, ModuleType)
    return module


def test_an_empty_version_waits_for_its_replacement(
    check: Handler, s3: Any, given: dict[str, Any], aged: Aged
) -> None:
    # Given an empty version, as a mounted bucket writes it first
    drop(s3, given, b"")
    aged(0)
    found = check(given)
    assert (found["status"], found["wait_seconds"]) == ("Empty", 15)
    # When the content comes as a version of its own
    s3.put_object(Bucket=INBOX, Key=given["execution"]["Input"]["key"], Body=FILE)
    # Then the empty one ends quietly
    ended = check(given)
    assert (ended["status"], ended["wait_seconds"]) == ("Replaced", 0)


def test_one_that_stays_empty_is_told_after_ten_minutes(
    check: Handler, s3: Any, given: dict[str, Any], table: Table, aged: Aged
) -> None:
    drop(s3, given, b"")
    aged(4)
    assert check(given)["wait_seconds"] == 240  # twice as old then
    aged(9)
    assert check(given)["wait_seconds"] == 60  # and at the end of the time
    aged(10)
    with pytest.raises(EmptyFile, match=r"is empty \(0 bytes") as raised:
        check(given)
    assert "Schäden a+b" in str(raised.value)
    assert record_of(table, given)["route"] == "claims"


def test_a_version_that_comes_later_replaces_none(
    check: Handler, app: ModuleType, s3: Any, given: dict[str, Any], table: Table
) -> None:
    # Given a version that is known to have been empty for long
    drop(s3, given, b"")
    check(given)
    old = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    source = record_of(table, given)["source"] | {"dropped_at": old}
    app.intake.records.note(given["execution"]["Name"], datetime.now(UTC), source=source)
    # Then one that came since has not replaced it in time
    s3.put_object(Bucket=INBOX, Key=given["execution"]["Input"]["key"], Body=FILE)
    with pytest.raises(EmptyFile):
        check(given)


def test_who_wants_no_waiting_is_told_at_once(
    check: Handler,
    app: ModuleType,
    s3: Any,
    given: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app, "PATIENCE", timedelta(0))
    with pytest.raises(EmptyFile):
        check(drop(s3, given, b""))


def test_an_empty_file_that_was_deleted_is_gone(
    check: Handler, s3: Any, given: dict[str, Any]
) -> None:
    drop(s3, given, b"")
    check(given)
    s3.delete_object(Bucket=INBOX, Key=given["execution"]["Input"]["key"])
    with pytest.raises(SourceNotFound, match="Schäden a"):
        check(given)
