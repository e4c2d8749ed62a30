"""Sets: each file is gathered, the last one claims the set, and nobody is asked for it twice."""

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from straight_through.errors import HeaderMismatch, NotInSet, StraightThroughError, TableUnclear
from straight_through.gathering.sets import SETS, claimed, member_of, set_key
from straight_through.names import run_name
from straight_through.queue.notices import NOTICES, Notices
from straight_through.queue.records import record_key
from straight_through.queue.table import Item, Table
from straight_through.queue.turns import tickets
from straight_through.routes import parse_route
from tests.unit.conftest import INBOX, ROUTE, Event, Handler, made_once, unhurried
from tests.unit.fake_states import FakeStates

FILE = b"id,paid\nC-1,1.00\n"
MEMBERS: list[dict[str, Any]] = [
    {"file": "claims-{period}.csv", "dataset_id": "d-1"},
    {"file": "premiums-{period}.*", "dataset_id": "d-2"},
]
Dropped = dict[str, Any]
Drop = Callable[..., Dropped]


def document(members: list[dict[str, Any]] = MEMBERS, **more: Any) -> dict[str, Any]:
    """A route with a set."""
    ids = {name: value for name, value in ROUTE.items() if name != "dataset_id"}
    return ids | {"set": {"period": "{period}", "members": members}} | more


def put_route(fields: dict[str, Any]) -> Any:
    """Let the folder `claims` have this route."""
    made_once("ssm").put_parameter(
        Name="/straight-through/routes/claims",
        Type="String",
        Value=json.dumps(fields),
        Overwrite=True,
    )
    return parse_route("claims", json.dumps(fields))


@pytest.fixture
def check(handler: Any) -> Handler:
    """CheckFile, of a route with a set of two."""
    loaded: Handler = handler("check_file")
    put_route(document())
    return loaded


@pytest.fixture
def drop(event: Event, s3: Any) -> Drop:
    """Drop a file at a second of an hour, and return what CheckFile is given of it."""

    def drop(name: str, second: int, content: bytes = FILE, **more: Any) -> Dropped:
        given = copy.deepcopy(event("check_file"))
        key = f"claims/{name}"
        version = s3.put_object(Bucket=INBOX, Key=key, Body=content)["VersionId"]
        named = {"bucket": INBOX, "key": key, "version_id": version}
        named |= {"dropped_at": f"2026-05-04T08:00:{second:02}Z", "sequencer": f"{second:04}"}
        run = run_name(INBOX, key, version)
        execution = {"Name": run, "Id": f"arn:aws:states:eu-west-1:1:execution:m:{run}"}
        given["execution"] |= execution | {"Input": named | more}
        return given

    return drop


def name_of(given: Dropped) -> str:
    """The run of what CheckFile was given."""
    return str(given["execution"]["Name"])


def set_item(table: Table, period: str = "05") -> Item:
    """What the table has of a set."""
    return table.get(set_key("claims", period)) or {}


def record_of(table: Table, given: Dropped) -> Item:
    """What the table has of a run."""
    return table.get(record_key(name_of(given))) or {}


def test_the_last_file_to_come_goes_on_with_all_of_them(
    check: Handler, drop: Drop, table: Table
) -> None:
    # Given a set whose newest file is gathered first
    claims, premiums = drop("claims-05.csv", 7), drop("premiums-05.txt", 3)
    gathered = check(claims)
    # Then it ends, and tells who is missing
    assert gathered["status"] == "Gathered"
    assert gathered["set"] == {"period": "05", "version": 0, "missing": ["premiums-{period}.*"]}
    # When the other one comes
    went_on = check(premiums)
    # Then it goes on as the set's run, with both
    assert went_on["status"] == "Checked"
    assert went_on["set"] == {"period": "05", "version": 1, "missing": []}
    of_set = record_of(table, premiums)["set"]
    assert [(each["run"], each["dataset_id"]) for each in of_set["members"]] == [
        (name_of(claims), "d-1"),
        (name_of(premiums), "d-2"),
    ]
    # And its place is that of its newest member, not its own
    assert of_set["order"].startswith("2026-05-04T08:00:07")
    assert set_item(table)["run"] == name_of(premiums)


@pytest.mark.parametrize("before", [False, True])
def test_a_function_that_is_repeated_returns_what_it_had_written(
    check: Handler,
    drop: Drop,
    table: Table,
    before: bool,  # noqa: FBT001
) -> None:
    # Given a file that was gathered, or a set that was claimed, and a newer one of it since
    given = drop("claims-05.csv", 1)
    if before:
        check(drop("premiums-05.csv", 2))
    first = check(given)
    check(drop("claims-05.csv", 9))
    rev = set_item(table)["rev"]
    # When its function is tried again, as it died before it could tell
    again = check(given)
    # Then nothing is written, and it tells the same
    assert again == first
    assert set_item(table)["rev"] == rev
    assert first["status"] == ("Checked" if before else "Gathered")


def test_a_member_that_comes_again_makes_the_next_version(
    check: Handler, drop: Drop, table: Table
) -> None:
    check(drop("claims-05.csv", 1))
    premiums = drop("premiums-05.csv", 2)
    check(premiums)
    newer = drop("claims-05.csv", 3)
    assert check(newer)["set"]["version"] == 2
    of_set = record_of(table, newer)["set"]
    assert [each["run"] for each in of_set["members"]] == [name_of(newer), name_of(premiums)]
    # And other periods know nothing of it
    assert check(drop("claims-06.csv", 4))["status"] == "Gathered"


def test_an_older_file_that_comes_later_is_replaced(
    check: Handler, drop: Drop, table: Table
) -> None:
    older, newer = drop("premiums-05.csv", 1), drop("premiums-05.xlsx.csv", 2)
    check(newer)
    before = set_item(table)
    ended = check(older)
    assert (ended["status"], ended["set"]["period"]) == ("Replaced", "05")
    assert set_item(table) == before


def test_of_versions_of_one_newest_member_the_later_comes_behind(
    check: Handler, drop: Drop, table: Table
) -> None:
    check(drop("claims-05.csv", 9))
    first, second = drop("premiums-05.csv", 1), drop("premiums-05.csv", 2)
    check(first)
    check(second)
    orders = [record_of(table, each)["set"]["order"] for each in (first, second)]
    assert orders == sorted(set(orders))


def test_a_file_that_is_refused_is_not_gathered(check: Handler, drop: Drop, table: Table) -> None:
    refused = drop("claims-05.csv", 1, content=b"PK\x03\x04 no text")
    with pytest.raises(StraightThroughError, match=r"claims-05\.csv"):
        check(refused)
    assert set_item(table) == {}


def test_each_member_is_judged_by_its_own_fields_before_it_counts(
    check: Handler, drop: Drop, table: Table
) -> None:
    # Given members of which one has a header, and the other a table with another header
    premiums = {"table": {}, "header": ["Policy", "Premium"]}
    put_route(document([MEMBERS[0] | {"header": ["id", "paid"]}, MEMBERS[1] | premiums]))
    # When files come that have not what their members ask for
    other = b"id,amount\nC-1,1.00\n"
    with pytest.raises(HeaderMismatch, match=r"'paid' missing.*claims-05\.csv"):
        check(drop("claims-05.csv", 1, content=other))
    with pytest.raises(TableUnclear, match=r"'Policy', 'Premium'.*premiums-05\.csv"):
        check(drop("premiums-05.csv", 1, content=other))
    # Then they are not gathered
    assert set_item(table) == {}
    # And when those come that have it, they make the set
    assert check(drop("claims-05.csv", 2))["status"] == "Gathered"
    titled = b"Premiums of May,\n,\nPolicy,Premium\n7,9.00\n"
    assert check(drop("premiums-05.csv", 3, content=titled))["set"]["version"] == 1


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("cash-05.csv", "fits no member of the set of route 'claims': 'claims-{period}.csv'"),
        ("claims-.csv", "fits no member"),
        ("x/claims-05.csv", "fits no member"),
    ],
)
def test_a_file_of_no_member_is_refused_at_once(
    check: Handler, drop: Drop, table: Table, name: str, told: str
) -> None:
    with pytest.raises(NotInSet, match="start a new run") as raised:
        check(drop(name, 1, content=b""))
    assert told in str(raised.value)
    assert table.first(SETS) is None


def test_a_file_that_fits_two_members_is_refused() -> None:
    members = [*MEMBERS, {"file": "{period}.csv", "dataset_id": "d-3"}]
    route = parse_route("claims", json.dumps(document(members)))
    with pytest.raises(
        NotInSet, match=r"fits 2 members .*'claims-\{period\}.csv', '\{period\}.csv'"
    ):
        member_of(route, "claims/claims-05.csv")


def test_a_set_runs_without_its_missing_members_by_hand(
    check: Handler, drop: Drop, table: Table
) -> None:
    # Given a set that waits
    waiting = drop("claims-05.csv", 1)
    check(waiting)
    # When a person runs its file again, without the others
    by_hand = copy.deepcopy(waiting)
    by_hand["execution"] |= {"Name": "by-hand", "StartTime": "2026-05-06T08:00:00.000Z"}
    by_hand["execution"]["Input"] |= {"incomplete": True}
    went_on = check(by_hand)
    # Then it is the set's run, which says who is missing, and nobody is told that the set waits
    assert went_on["status"] == "Checked"
    assert went_on["set"] == {"period": "05", "version": 1, "missing": ["premiums-{period}.*"]}
    assert [each["file"] for each in record_of(table, by_hand)["set"]["members"]] == [
        "claims-{period}.csv"
    ]
    assert table.first(NOTICES) is None
    # And when the missing one comes after all, both run
    assert check(drop("premiums-05.csv", 2))["set"] == {"period": "05", "version": 2, "missing": []}


def test_without_a_set_none_runs_incomplete(handler: Any, drop: Drop) -> None:
    with pytest.raises(NotInSet, match="'claims' has no set"):
        handler("check_file")(drop("may.csv", 1, incomplete=True))


def test_a_set_that_waits_for_two_days_is_told_once(
    check: Handler, drop: Drop, table: Table
) -> None:
    began = datetime.now(UTC)
    members = [*MEMBERS, {"file": "cash-{period}.csv", "dataset_id": "d-3"}]
    put_route(document(members))
    check(drop("claims-05.csv", 1))
    check(drop("claims-06.csv", 1))
    told: list[tuple[str, str]] = []

    def sweep(days: float) -> None:
        Notices(table).tell_due(
            lambda subject, text: told.append((subject, text)),
            lambda _arn: pytest.fail("a set waits without an execution"),
            lambda: True,
            began + timedelta(days=days),
            unhurried,
        )

    # When another member comes, and the second day ends
    check(drop("premiums-05.csv", 2))
    for name in ("premiums-06.csv", "cash-06.csv"):
        check(drop(name, 2))
    sweep(1.9)
    assert told == []
    sweep(2.1)
    # Then people are told once of the one that waits, and for whom by now
    check(drop("premiums-05.csv", 3))
    sweep(2.2)
    assert [subject for subject, _ in told] == ["Set 05 of route claims waits"]
    assert "for 'cash-{period}.csv', and goes on waiting" in told[0][1]
    assert "stp sets run claims 05" in told[0][1]


# --- the turn -------------------------------------------------------------------------------------
@pytest.fixture
def take(handler: Any) -> Handler:
    """TakeTurn, of the same route."""
    put_route(document())
    loaded: Handler = handler("take_turn")
    return loaded


def asked(given: Dropped, states: FakeStates) -> Dropped:
    """What TakeTurn is given of the same execution."""
    states.wait("token", given["execution"]["Id"])
    state = {"EnteredTime": "2026-05-04T09:00:00.000Z", "Name": "TakeTurn", "RetryCount": 0}
    return {"execution": given["execution"], "state": state, "token": "token", "checked": True}


def test_a_sets_run_waits_in_the_place_of_its_newest_member(
    check: Handler, take: Handler, drop: Drop, table: Table, states: FakeStates
) -> None:
    check(drop("claims-05.csv", 7))
    last = drop("premiums-05.csv", 3)
    check(last)
    table.update(
        ("queues", "p-claims"), "SET #paused = :paused", paused={"since": "", "reason": ""}
    )
    take(asked(last, states))
    ticket = table.first(tickets("p-claims"))
    assert ticket
    assert (ticket["run"], ticket["sk"]) == (name_of(last), record_of(table, last)["set"]["order"])


def test_one_that_was_not_gathered_gets_no_turn(
    take: Handler, drop: Drop, table: Table, states: FakeStates
) -> None:
    # Given an execution of a definition that knows no sets, and one that only waits for others
    with pytest.raises(NotInSet, match="Start a new run"):
        take(asked(drop("claims-05.csv", 1), states))
    assert table.first(tickets("p-claims")) is None


@pytest.mark.parametrize(
    "members",
    [
        [MEMBERS[0], MEMBERS[1] | {"dataset_id": "d-9"}],
        [*MEMBERS, {"file": "cash-{period}.csv", "dataset_id": "d-3"}],
        [MEMBERS[0], MEMBERS[1] | {"file": "premium-{period}.*"}],
        [],
    ],
)
def test_a_claim_is_of_the_members_that_the_route_had(
    check: Handler, drop: Drop, table: Table, members: list[dict[str, str]]
) -> None:
    # Given a set that was claimed
    check(drop("claims-05.csv", 1))
    last = drop("premiums-05.csv", 2)
    check(last)
    record: Any = record_of(table, last)
    now = parse_route("claims", json.dumps(document()))
    assert claimed(record, now) == record["set"]
    # When the route has other members, or no set, at its turn
    changed = document(members) if members else ROUTE
    # Then nothing of it goes up
    with pytest.raises(NotInSet, match="other members by now"):
        claimed(record, parse_route("claims", json.dumps(changed)))


def test_a_route_without_a_set_asks_the_table_for_nothing_more(
    handler: Any, drop: Drop, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a route without a set, and what its check asks the table for
    check = handler("check_file")
    calls: list[str] = []
    call = Table._call

    def counted(self: Table, operation: str, **parameters: Any) -> Any:
        calls.append(operation)
        return call(self, operation, **parameters)

    monkeypatch.setattr(Table, "_call", counted)
    monkeypatch.setattr(Table, "together", lambda *_: pytest.fail("a transaction"))
    found = check(drop("may.csv", 1))
    # Then these are its record, as before there were sets: read, and what was found noted twice
    assert calls == ["get_item", "update_item", "update_item"]
    assert "set" not in found
    assert table.first(SETS) is None
