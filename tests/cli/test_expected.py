"""`stp expected` on moto's AWS: what has come already is told of what is due next."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stp.moments import local
from stp.said import USAGE
from stp.stack import Stack
from straight_through.moments import iso
from straight_through.queue.arrivals import EXPECTS, arrivals_of
from tests.cli.conftest import Stp

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(("rows", "times"), [(5, 1), (0, 0), (None, 0)])
def test_a_file_that_is_due_and_has_come_is_told_to_have(
    stp: Stp, deployed: Stack, rows: int | None, times: int
) -> None:
    # Given a route that expects a file with a row by tomorrow, and one that came
    due, at = iso(NOW + timedelta(days=1)), iso(NOW)
    deployed.table.update(
        (EXPECTS, "claims"),
        "SET #file = :file, #name = :name, #due = :due, #rows = :rows, #rev = :rev",
        file="claims-{period}.csv",
        name="2026-11",
        due=due,
        rows=1,
        rev=1,
    )
    deployed.table.update(
        (arrivals_of("claims", "2026-11"), "r"),
        "SET #key = :key, #at = :at, #rows = :rows",
        key="claims/claims-2026-11.csv",
        at=at,
        rows=rows,
    )
    # When it is asked who owes what
    done = stp("--json", "expected")
    # Then it has come where it is as it was expected, and only then
    (told,) = done.json
    assert (told["next"], told["due"], told["owed"]) == ("claims-2026-11.csv", due, [])
    came = {"file": "claims/claims-2026-11.csv", "at": at, "run": "r"}
    assert told["came"] == (came if times else None)
    # and people read that
    (line,) = [each for each in stp("expected").out.splitlines() if each.startswith("claims")]
    assert line.count(f" at {local(at)}") == times


def expects(deployed: Stack, route: str, **fields: Any) -> None:
    """Let the table have what a route expects, as the sweep has noted it."""
    known = {"file": "claims-{period}.csv", "name": "2026-12", "due": iso(NOW + DAY), "rev": 1}
    known |= {"owed": {}, "wrong": "", "rows": 0, **fields}
    change = "SET " + ", ".join(f"#{name} = :{name}" for name in known)
    deployed.table.update((EXPECTS, route), change, **known)


def test_what_is_late_is_told_with_its_day_and_what_is_counted_yet(
    stp: Stp, deployed: Stack
) -> None:
    # Given a route that owes a file of which people know, and one whose rows are not counted
    late, counting = iso(NOW - 40 * DAY), iso(NOW - DAY)
    owed = {
        "2026-11": {"due": counting, "told": False},
        "2026-10": {"due": late, "told": True},
    }
    expects(deployed, "claims", owed=owed, rows=100)
    # When it is asked who owes what, then it is told, the oldest first
    (told,) = stp("--json", "expected").json
    assert told["owed"] == [
        {"file": "claims-2026-10.csv", "due": late, "counting": False},
        {"file": "claims-2026-11.csv", "due": counting, "counting": True},
    ]
    assert told["at_least_rows"] == 100
    # And people read that
    shown = " ".join(stp("expected").out.split())
    assert f"claims-2026-10.csv, due {local(late)}" in shown
    assert f"claims-2026-11.csv, due {local(counting)}, its rows are not counted yet" in shown


def test_what_is_due_next_is_told_of_each_route(stp: Stp, deployed: Stack) -> None:
    expects(deployed, "claims")
    expects(deployed, "premiums/eu", file="{period}?.xlsx", name="2026-W49", due=iso(NOW))
    found = {each["route"]: each for each in stp("--json", "expected").json}
    assert {name: (each["next"], each["due"]) for name, each in found.items()} == {
        "claims": ("claims-2026-12.csv", iso(NOW + DAY)),
        "premiums/eu": ("2026-W49?.xlsx", iso(NOW)),
    }
    assert [each["came"] for each in found.values()] == [None, None]
    assert [each["owed"] for each in found.values()] == [[], []]


def test_a_rule_that_cannot_be_told_a_day_says_why(stp: Stp, deployed: Stack) -> None:
    wrong = "'zone' is 'Mars/Olympus', which is no time zone"
    expects(deployed, "claims", name="", due="", wrong=wrong)
    (told,) = stp("--json", "expected").json
    assert (told["next"], told["due"], told["wrong"]) == (None, None, wrong)
    assert "Mars/Olympus" in stp("expected").out


def test_where_no_route_expects_a_file_it_is_said(stp: Stp, deployed: Stack) -> None:
    # Given a route that expects nothing any more, and one of which only a file is known
    expects(deployed, "claims", gone=iso(NOW))
    deployed.table.update((EXPECTS, "premiums"), "SET #came = :mark", mark="r came")
    done = stp("--json", "expected")
    assert (done.code, done.json) == (0, [])
    assert 'No route has an "expect"' in stp("expected").out


def test_a_route_is_nothing_that_it_asks_for(stp: Stp, deployed: Stack) -> None:
    expects(deployed, "claims")
    done = stp("expected", "claims")
    assert (done.code, done.out) == (USAGE, "")
