"""`stp when`: what starts runs without files, what is switched off, and who resumes it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stp.doctor import LOOK, checks
from stp.said import UNKNOWN
from stp.stack import Stack
from straight_through.starting.updates import when_key
from tests.cli.conftest import Stp

URL = "https://abc.lambda-url.eu-west-1.on.aws/"
STOCK = {"updated": ["d-one", "d-two"], "told": {"d-one": {"event": "1", "at": "then"}}}
CLOCK = {"at": "0 6 * * *", "zone": "Europe/London", "next": "2026-05-04T05:00:00.000Z"}
OFF = {"since": "2026-05-04T08:00:00.000Z", "why": "updates: ev-1, ev-2", "told": True}


def known(stack: Stack, route: str, **fields: Any) -> None:
    """Let the sweep have noted what starts a route's runs."""
    change = ", ".join(f"#{name} = :{name}" for name in fields)
    stack.table.update(when_key(route), f"SET {change}", **fields)


@pytest.fixture
def hearing(deployed: Stack, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A stack that takes events."""
    hearing = replace(deployed, outputs={**deployed.outputs, "EventsUrl": URL})
    monkeypatch.setattr("stp.here.open_stack", lambda *_: hearing)
    return hearing


def test_what_starts_runs_is_listed_with_what_comes_next(stp: Stp, hearing: Stack) -> None:
    # Given a route that waits for two datasets, of which one was updated, and one by schedule
    known(hearing, "clock", **CLOCK, last_run="clock-at-1")
    known(hearing, "stock", **STOCK)
    # Then each says what it waits for, or when it comes
    clock, stock = stp("when", "--json").json
    assert (clock["route"], clock["next"], clock["last_run"]) == (
        "clock",
        CLOCK["next"],
        "clock-at-1",
    )
    assert (stock["route"], stock["waits_for"], stock["next"]) == ("stock", ["d-two"], None)
    shown = stp("when").out
    assert "0 6 * * * (Europe/London)" in shown
    assert "no update starts a run" not in shown


def test_one_that_is_switched_off_says_why_until_it_is_resumed(stp: Stp, hearing: Stack) -> None:
    known(hearing, "stock", **STOCK, off=OFF, starts=["then"])
    # Given a route that was switched off, then the list says since when, and which events
    (listed,) = stp("when", "--json").json
    assert listed["off"] == {"since": OFF["since"], "why": OFF["why"]}
    assert "ev-2" in stp("when").out.replace("\n", "")
    # When it is resumed, then it is on again; and twice is no error
    assert stp("when", "resume", "stock", "--json").json == {"route": "stock", "was_off": True}
    assert stp("when", "--json").json[0]["off"] is None
    assert stp("when", "resume", "stock", "--json").json == {"route": "stock", "was_off": False}
    # And what there is not is told
    assert stp("when", "resume", "stok").code == UNKNOWN


def test_where_no_events_are_taken_updates_start_nothing_and_everybody_says_so(
    stp: Stp, deployed: Stack, tmp_path: Path
) -> None:
    # Given a stack that takes no events, and a route that waits for updates
    route = {"organisation_id": "c-1", "pipeline_id": "p-1", "when": {"updated": ["d-one"]}}
    (tmp_path / "stock.json").write_text(json.dumps(route))
    why = "QuantemplateEvents=on"
    # When it is deployed, then that is told, and done all the same
    applied = stp("routes", "apply", str(tmp_path), "--yes")
    assert applied.code == 0
    assert why in applied.err.replace("\n", " ")
    # And the doctor and the list say it too
    known(deployed, "stock", updated=["d-one"])
    assert "no update starts a run" in stp("when").out
    (check,) = [check for name, check in checks(deployed) if name == "the routes"]
    assert [(f.about, f.state, why in f.what) for f in check()] == [("route stock", LOOK, True)]
    # And where it takes them nobody does
    hears = replace(deployed, outputs={**deployed.outputs, "EventsUrl": URL})
    (check,) = [check for name, check in checks(hears) if name == "the routes"]
    assert why not in str(check())
