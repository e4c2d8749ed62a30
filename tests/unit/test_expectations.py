"""Files that routes expect: what counts as come, and who is told, whatever becomes of the rule."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from straight_through.end_facts import Words
from straight_through.errors import AwsUnavailable, RouteInvalid
from straight_through.expected import Expect, period_of
from straight_through.expecting.calendar import due, name_of, require_known
from straight_through.expecting.expectations import Expectations
from straight_through.moments import from_iso, iso
from straight_through.queue.arrivals import EXPECTS, Arrivals, arrivals_of, expect_key
from straight_through.queue.records import record_key
from straight_through.queue.table import Table, Write
from straight_through.routes import parse_route
from tests.unit.conftest import ROUTE, Event, unhurried
from tests.unit.test_messages import MAY, RESULT, change

DAY = timedelta(days=1)
RULE = {
    "file": "claims-{period}.csv",
    "every": "month",
    "by": "working day 5, 17:00",
    "zone": "Europe/London",
    "holidays": "GB",
}
DUE = from_iso("2026-12-07T17:00:00.000Z")  # the fifth working day of December
BEGAN = datetime(2026, 12, 1, tzinfo=UTC)


class Watch:
    """The sweep's part, with what people are told."""

    def __init__(self, table: Table) -> None:
        """Expect nothing yet."""
        self.table, self.arrivals = table, Arrivals(table)
        self.told: list[str] = []
        self.texts: list[str] = []
        self.fails = False
        self.sweep = Expectations(table, self.tell)

    def tell(self, _name: str, words: Words, once: Write, _now: datetime) -> None:
        """Note a message, as `tell_once` does."""
        if self.fails:
            raise AwsUnavailable("DynamoDB does not answer")
        self.table.together(once)
        self.told.append(words["subject"])
        self.texts.append(words["text"])

    def rule(self, now: datetime, **changed: Any) -> None:
        """Let the route have a rule."""
        self.sweep.keep({"claims": json.dumps(ROUTE | {"expect": RULE | changed})}, now)

    def at(self, now: datetime) -> list[str]:
        """Sweep, and return what people have been told by now."""
        self.sweep.judge(now, unhurried)
        return self.told

    def comes(self, period: str, at: datetime, rows: int | None = None) -> None:
        """Let a file come, and its run end where its rows are told."""
        run, file = f"run-{period}-{iso(at)}", {"key": f"claims/claims-{period}.csv"}
        dropped: Any = {**file, "dropped_at": iso(at)}
        self.arrivals.came(run, "claims", period, dropped)
        if rows is not None:
            self.ends(run, rows)

    def ends(self, run: str, rows: int | None) -> None:
        """Let the run of a file end."""
        record: Any = {"route": "claims", "expected": run.split("-2026", maxsplit=1)[0][4:] or ""}
        record["expected"] = run[4:11]
        self.arrivals.counted(run, record, rows, DUE)


@pytest.fixture
def watch(table: Table) -> Watch:
    """A route that expects a file each month."""
    made = Watch(table)
    made.rule(BEGAN)
    return made


LATE, COME = (
    "Late: claims-2026-12.csv of route claims",
    "Has come: claims-2026-12.csv of route claims",
)


def test_people_are_told_once_when_it_is_late_and_once_when_it_has_come(watch: Watch) -> None:
    # Given a file that does not come in time, then nothing is told before it is due
    assert watch.at(DUE + timedelta(minutes=9)) == []
    # When it is late, it is told once, however often is swept
    for hours in (1, 2, 30):
        assert watch.at(DUE + timedelta(hours=hours)) == [LATE]
    # And when it has come, once
    watch.comes("2026-12", DUE + 2 * DAY)
    for hours in (50, 51):
        assert watch.at(DUE + timedelta(hours=hours)) == [LATE, COME]
    item = watch.table.get(expect_key("claims"))
    assert item
    assert (item["owed"], item["judged"], item["name"]) == ({}, "2026-12", "2027-01")


@pytest.mark.parametrize("before", [timedelta(0), DAY])
def test_of_a_file_in_time_nothing_is_told(watch: Watch, before: timedelta) -> None:
    watch.comes("2026-12", DUE - before)
    assert watch.at(DUE + DAY) == []


def test_what_came_late_while_no_sweep_looked_is_told_by_one_message(watch: Watch) -> None:
    # Given a rule whose times are an hour ahead of UTC
    watch.rule(BEGAN, zone="Europe/Berlin")
    due_there = DUE - timedelta(hours=1)
    # When the file comes a second late, then its times are told as they are there
    watch.comes("2026-12", due_there + timedelta(seconds=1))
    assert watch.at(DUE + 2 * DAY) == [COME]
    assert watch.texts == [
        "claims/claims-2026-12.csv was dropped at 2026-12-07 17:00:01 Europe/Berlin, late: it was "
        "expected by 2026-12-07 17:00:00 Europe/Berlin."
    ]


def test_a_zone_that_nobody_knows_keeps_no_message_back(watch: Watch) -> None:
    # Given a file that is late, of a rule whose zone is gone from the data of zones since
    assert watch.at(DUE + DAY) == [LATE]
    watch.table.update(expect_key("claims"), "SET #zone = :zone", zone="Europe/Londom")
    # When it comes, then it is told, in UTC
    watch.comes("2026-12", DUE + DAY)
    assert watch.at(DUE + 2 * DAY) == [LATE, COME]
    assert "17:00:00 UTC" in watch.texts[1]


def test_one_row_is_told_as_one(watch: Watch) -> None:
    watch.rule(BEGAN, at_least={"rows": 1})
    watch.comes("2026-12", DUE - DAY, rows=0)
    watch.at(DUE + DAY)
    assert "with at least 1 row was expected" in watch.texts[0]
    assert "with 0 rows.\n" in watch.texts[0]


def test_a_message_that_could_not_be_noted_is_no_verdict(watch: Watch) -> None:
    watch.fails = True
    with pytest.raises(AwsUnavailable):
        watch.at(DUE + DAY)
    watch.fails = False
    assert watch.at(DUE + DAY) == [LATE]


def test_two_sweeps_at_a_time_tell_it_once(watch: Watch) -> None:
    # Given a sweep that has read what is due
    other = Watch(watch.table)
    read = watch.table.items

    def meanwhile(*given: Any, **options: Any) -> Any:
        found = list(read(*given, **options))
        if given[0] == EXPECTS and not other.told:
            other.table, keep = watch.table, watch.table.items
            watch.table.items = read  # type: ignore[method-assign]
            other.at(DUE + DAY)
            watch.table.items = keep  # type: ignore[method-assign]
        return iter(found)

    watch.table.items = meanwhile  # type: ignore[method-assign]
    # When another judges it meanwhile, then
    assert [*watch.at(DUE + DAY), *other.told] == [LATE]


# --- rows -----------------------------------------------------------------------------------------
def test_a_file_with_too_few_rows_has_not_come(watch: Watch) -> None:
    watch.rule(BEGAN, at_least={"rows": 100})
    watch.comes("2026-12", DUE - DAY, rows=99)
    assert watch.at(DUE + DAY) == [LATE]
    assert watch.texts[0].startswith(
        "claims-2026-12.csv with at least 100 rows was expected by 2026-12-07 17:00:00 "
        "Europe/London and has not come.\nclaims/claims-2026-12.csv came at 2026-12-06 17:00:00 "
        "Europe/London with 99 rows.\n"
    )
    watch.comes("2026-12", DUE + DAY, rows=100)
    assert watch.at(DUE + 2 * DAY) == [LATE, COME]


@pytest.mark.parametrize(("rows", "told"), [(100, []), (3, [LATE]), (None, [LATE])])
def test_a_file_that_came_in_time_is_judged_when_its_rows_are_counted(
    watch: Watch, rows: int | None, told: list[str]
) -> None:
    # Given one whose run waits
    watch.rule(BEGAN, at_least={"rows": 100})
    watch.comes("2026-12", DUE - DAY)
    assert watch.at(DUE + timedelta(hours=1)) == []
    # When it has ended
    watch.ends(f"run-2026-12-{iso(DUE - DAY)}", rows)
    # Then
    assert watch.at(DUE + timedelta(hours=2)) == told


def test_a_run_that_never_tells_its_rows_is_late_after_two_days(watch: Watch) -> None:
    watch.rule(BEGAN, at_least={"rows": 100})
    watch.comes("2026-12", DUE - DAY)
    assert watch.at(DUE + 1.9 * DAY) == []
    assert watch.at(DUE + 2.1 * DAY) == [LATE]


def test_a_late_file_is_no_verdict_while_one_that_came_in_time_is_counted(watch: Watch) -> None:
    # Given a file in time whose run waits, and a later one that is known to be enough
    watch.rule(BEGAN, at_least={"rows": 100})
    watch.comes("2026-12", DUE - DAY)
    watch.comes("2026-12", DUE + timedelta(hours=1), rows=100)
    assert watch.at(DUE + timedelta(hours=2)) == []
    # When the first turns out to be enough too, then it came in time, and nothing is told
    watch.ends(f"run-2026-12-{iso(DUE - DAY)}", 100)
    assert watch.at(DUE + timedelta(hours=3)) == []
    assert (watch.table.get(expect_key("claims")) or {})["owed"] == {}


def test_a_late_file_has_come_after_all_where_the_one_in_time_was_not_enough(
    watch: Watch,
) -> None:
    watch.rule(BEGAN, at_least={"rows": 100})
    watch.comes("2026-12", DUE - DAY)
    watch.comes("2026-12", DUE + timedelta(hours=1), rows=100)
    assert watch.at(DUE + timedelta(hours=2)) == []
    watch.ends(f"run-2026-12-{iso(DUE - DAY)}", 3)
    assert watch.at(DUE + timedelta(hours=3)) == [COME]


def test_what_comes_is_noted_with_the_mark_that_lets_the_sweep_look(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a file that is late, and a table that answers to one request more
    assert watch.at(DUE + DAY) == [LATE]
    calls: list[str] = []
    call = Table._call

    def counted(table: Table, operation: str, **given: Any) -> Any:
        calls.append(operation)
        return call(table, operation, **given)

    with monkeypatch.context() as patch:
        patch.setattr(Table, "_call", counted)
        # When it comes, then nothing lies between its note and the mark: no function dies there
        watch.comes("2026-12", DUE + DAY)
    assert calls == []  # it is one transaction
    assert watch.at(DUE + 2 * DAY) == [LATE, COME]


@pytest.mark.parametrize(
    ("detail", "rows"),
    [
        ({"status": "SUCCEEDED", "output": json.dumps(RESULT | {"rows_in": 7})}, 7),
        ({"status": "FAILED"}, 352),  # as its upload has counted them
        ({"status": "SUCCEEDED", "input": '{"release": "may"}'}, None),  # of another run
    ],
)
def test_the_end_of_a_run_tells_the_rows_of_the_file_that_was_expected(
    handler: Any, event: Event, table: Table, detail: dict[str, Any], rows: int | None
) -> None:
    # Given a run whose file was noted as come
    dropped: Any = {"key": "claims/claims-2026-12.csv", "dropped_at": iso(DUE)}
    for run in (MAY, "may"):
        Arrivals(table).came(run, "claims", "2026-12", dropped)
        made = {"measures": {"rows": 352}}
        table.update(record_key(run), "SET #execution = :e, #route = :r", e=made, r="claims")
    # When it ends
    handler("run_ended")(change(event, **detail))
    # Then its rows are known, and that it has ended
    came = {each["sk"]: each for each in table.items(arrivals_of("claims", "2026-12"))}
    assert came[MAY].get("rows") == rows
    assert ("ended" in came[MAY]) == (rows is not None)
    assert "ended" not in came["may"]


# --- changes of the rule --------------------------------------------------------------------------
def test_what_was_judged_is_not_judged_by_a_new_rule(watch: Watch) -> None:
    watch.at(DUE + timedelta(hours=1))
    watch.rule(DUE + DAY, by="working day 10, 17:00")
    assert watch.at(DUE + 20 * DAY) == [LATE]
    # And a route that expected nothing for a while has forgotten nothing
    watch.sweep.keep({}, DUE + 20 * DAY)
    watch.rule(DUE + 20 * DAY, by="last working day, 17:00")
    assert watch.at(DUE + 30 * DAY) == [LATE]


def test_of_other_periods_nothing_is_owed_and_all_is_judged_anew(watch: Watch) -> None:
    # Given a route that owes a month's file, whose files are to come by quarters from now on
    assert watch.at(DUE + DAY) == [LATE]
    watch.rule(DUE + DAY, every="quarter", by="last working day, 17:00")
    # Then the month's file, which comes now, is none that is waited for
    watch.comes("2026-12", DUE + 2 * DAY)
    assert watch.at(DUE + 3 * DAY) == [LATE]
    assert (watch.table.get(expect_key("claims")) or {})["owed"] == {}
    # And the quarter's is late when its own day is over
    assert watch.at(DUE + 40 * DAY)[1:] == ["Late: claims-2026-Q4.csv of route claims"]


def test_what_was_judged_stays_so_where_a_rule_is_for_other_periods_for_a_while(
    watch: Watch,
) -> None:
    # Given a month whose file is late, and a rule that is for quarters since
    assert watch.at(DUE + DAY) == [LATE]
    watch.rule(DUE + DAY, every="quarter", by="last working day, 17:00")
    # When it is for months again, by a day that is to come
    watch.rule(DUE + DAY, by="working day 10, 17:00")
    # Then that month is not judged a second time
    assert watch.at(DUE + 20 * DAY) == [LATE]
    # And the quarter neither, when it is the quarter's turn again
    watch.rule(DUE + 21 * DAY, every="quarter", by="last working day, 17:00")
    quarter = "Late: claims-2026-Q4.csv of route claims"
    assert watch.at(DUE + 27 * DAY) == [LATE, quarter]
    watch.rule(DUE + 27 * DAY)
    watch.rule(DUE + 27 * DAY, every="quarter", by="last working day, 23:00")
    assert watch.at(DUE + 29 * DAY) == [LATE, quarter]


@pytest.mark.parametrize(
    ("of", "then", "months"),
    [
        ("this", "before", ["2026-12", "2027-01", "2027-02"]),
        ("before", "this", ["2026-11", "2026-12", "2027-01", "2027-02", "2027-03"]),
    ],
)
def test_a_file_is_judged_once_whichever_period_it_is_due_in(
    table: Table, of: str, then: str, months: list[str]
) -> None:
    # Given files that are late, each due in its own month or in the next
    watch = Watch(table)
    watch.rule(BEGAN, of=of)
    watch.at(DUE + DAY)
    # When they are due in the other from now on
    watch.rule(DUE + DAY, of=then)
    told = watch.at(DUE + 100 * DAY)
    # Then each has one verdict, and none has none
    assert told == [f"Late: claims-{month}.csv of route claims" for month in months]


def test_two_sweeps_that_see_that_a_route_expects_nothing_any_more_fail_neither(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a sweep that has read what is known, while another notes that the rule is gone
    other = Expectations(watch.table, watch.tell)
    read = watch.table.items

    def meanwhile(*given: Any) -> Any:
        found = list(read(*given))
        monkeypatch.setattr(watch.table, "items", read)
        other.keep({}, DUE)
        return iter(found)

    monkeypatch.setattr(watch.table, "items", meanwhile)
    # When it notes the same, then the first note stays
    watch.sweep.keep({}, DUE + DAY)
    assert (watch.table.get(expect_key("claims")) or {})["gone"] == iso(DUE)


def test_a_rule_that_makes_it_due_earlier_counts_at_once(watch: Watch) -> None:
    watch.rule(DUE - DAY, by="working day 2, 17:00")
    assert watch.at(DUE - DAY) == [LATE]


def test_what_was_due_before_there_was_a_rule_is_not_judged(table: Table) -> None:
    watch = Watch(table)
    watch.rule(DUE + DAY)
    assert watch.at(DUE + 5 * DAY) == []


def test_a_route_that_expects_nothing_costs_nothing(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given routes of which none expects a file
    watch = Watch(table)
    documents = {"claims": json.dumps(ROUTE)}
    watch.sweep.keep(documents, BEGAN)
    # When it is swept again, then the table is not asked
    monkeypatch.setattr(table, "items", lambda *_: pytest.fail("asked"))
    watch.sweep.keep(documents, BEGAN)
    assert watch.at(DUE) == []


# --- names, days and rules ------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("file", "every", "key", "period"),
    [
        ("claims-{period}.csv", "month", "claims/claims-2026-11.csv", "2026-11"),
        ("claims-{period}.*", "quarter", "claims/claims-2026-Q4.xlsx", "2026-Q4"),
        ("{period}?.csv", "week", "claims/2026-W48a.csv", "2026-W48"),
        ("claims-{period}.csv", "day", "claims/claims-2026-11-28.csv", "2026-11-28"),
        ("claims-{period}.csv", "month", "claims/claims-2026-11-28.csv", None),
        ("claims-{period}.csv", "month", "claims/eu/claims-2026-11.csv", None),
        ("claims-{period}.csv", "month", "other/claims-2026-11.csv", None),
    ],
)
def test_a_file_is_of_the_period_in_its_name(
    file: str, every: str, key: str, period: str | None
) -> None:
    assert period_of(Expect(file, every, "17:00"), "claims", key) == period


@pytest.mark.parametrize(
    ("every", "by", "period", "moment"),
    [
        ("month", "working day 5, 17:00", "2026-12", "2026-12-07T17:00:00.000Z"),
        ("month", "working day 1, 09:00", "2027-01", "2027-01-04T09:00:00.000Z"),  # after New Year
        (
            "month",
            "day 25, 09:00",
            "2026-12",
            "2026-12-29T09:00:00.000Z",
        ),  # Boxing Day is kept on the 28th
        ("month", "last working day, 17:00", "2026-05", "2026-05-29T16:00:00.000Z"),  # summer time
        ("quarter", "working day 99, 17:00", "2026-Q4", "2026-12-31T17:00:00.000Z"),
        ("week", "day 3, 17:00", "2026-W48", "2026-11-25T17:00:00.000Z"),
        ("day", "17:00", "2026-12-24", "2026-12-24T17:00:00.000Z"),
        ("day", "17:00", "2026-12-25", None),
        ("day", "17:00", "2026-11-28", None),  # a Saturday
    ],
)
def test_a_file_is_due_on_a_working_day(
    every: str, by: str, period: str, moment: str | None
) -> None:
    expect = Expect("x-{period}", every, by, zone="Europe/London", holidays="GB-ENG")
    found = due(expect, period)
    assert (found and iso(found)) == moment


@pytest.mark.parametrize(
    ("every", "period", "name"),
    [
        ("month", "2027-01", "2026-12"),
        ("quarter", "2027-Q1", "2026-Q4"),
        ("week", "2027-W01", "2026-W53"),
        ("day", "2026-11-30", "2026-11-27"),
    ],
)
def test_a_file_may_be_of_the_period_before(every: str, period: str, name: str) -> None:
    expect = Expect("x-{period}", every, "17:00", of="before")
    assert name_of(expect, period) == name


@pytest.mark.parametrize(("field", "value"), [("zone", "Mars/Olympus"), ("holidays", "ZZ")])
def test_a_place_that_nobody_knows_is_told(field: str, value: str) -> None:
    changed: Any = {field: value}
    with pytest.raises(RouteInvalid, match=value):
        require_known(replace(Expect("x-{period}", "day", "17:00"), **changed))


@pytest.mark.parametrize(
    "changed",
    [
        {"file": "claims.csv"},
        {"file": "a/{period}.csv"},
        {"every": "year"},
        {"every": "day"},
        {"by": "17:00"},
        {"by": "working day 0, 17:00"},
        {"by": "working day 5, 24:00"},
        {"of": "next"},
        {"at_least": {"rows": 0}},
        {"at_least": {}},
        {"more": 1},
    ],
)
def test_a_rule_that_is_none_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(RouteInvalid, match="'expect'"):
        parse_route("claims", json.dumps(ROUTE | {"expect": RULE | changed}))
