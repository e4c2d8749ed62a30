"""No run outgrows its history: each phase at its longest setting, with the least lucky jitter."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any

import pytest
import yaml

from stp.history_room import (
    ASKED,
    CALLBACK,
    FETCHED_AT_ONCE,
    LONGEST,
    LOOK,
    MOST_EVENTS,
    ROUND,
    TRIES,
    needed,
    phases,
    rounds,
)
from straight_through.attempts import Attempt
from straight_through.errors import ApiThrottled, ApiUnavailable, PipelineBusy, WaitedFor
from straight_through.executing.listening import first_listening, waits_on
from straight_through.executing.waits import Patience, next_wait, wait_asked_for, wait_out
from straight_through.moments import iso
from tests.unit.conftest import ROOT
from tests.unit.test_state_machine import STATES, TASKS

NOW = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)
HOURS = 312
PATIENCE = Patience(api_patience_hours=HOURS, busy_deadline_hours=HOURS)
ATTEMPT = Attempt("may", "arn:may", 0, iso(NOW), iso(NOW), {})
DOWN, BUSY = ApiUnavailable("Down."), PipelineBusy("Busy.")
Jitter = Callable[[float, float], float]


@pytest.fixture(autouse=True)
def _least_luck(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each wait with jitter is as short as it may be."""
    monkeypatch.setattr("random.uniform", lambda least, _most: least)


def rounds_of(troubles: Iterator[WaitedFor], **state: Any) -> int:
    """How often a run waits for these, until one is waited for no longer."""
    now, waited = NOW, dict(state)
    for number, trouble in enumerate(troubles):
        try:
            waited = dict(wait_out(waited, trouble, ATTEMPT, PATIENCE, now))  # type: ignore[arg-type]
        except WaitedFor:
            return number
        now += timedelta(seconds=waited["wait_seconds"])
    raise AssertionError


def then(first: WaitedFor, second: WaitedFor) -> Iterator[WaitedFor]:
    """One for as long as it is waited for, and the other from then on."""
    count = rounds_of(cycle([first]))
    yield from (first for _ in range(count))
    yield from cycle([second])


@pytest.mark.parametrize(
    "troubles",
    [
        lambda: cycle([BUSY]),
        lambda: cycle([DOWN]),
        lambda: cycle([BUSY, DOWN]),
        lambda: cycle([BUSY, DOWN, DOWN, DOWN]),
        lambda: cycle([ApiThrottled("Later.", retry_after=1)]),
        lambda: cycle([PipelineBusy("Busy.", retry_after=1), DOWN]),
        lambda: then(DOWN, BUSY),
    ],
    ids=["busy", "down", "in turns", "mostly down", "asked for a second", "both", "one by one"],
)
def test_whatever_is_waited_for_before_execute_leaves_room(
    troubles: Callable[[], Iterator[WaitedFor]],
) -> None:
    # Given the longest settings; when a run waits as long as it may; then this is the most
    most = phases({})["UploadAndExecute"]
    assert ROUND * rounds_of(troubles()) <= most < 10_000


@pytest.mark.parametrize("bad", [0, 1, 3, 9])
def test_an_api_that_is_down_now_and_then_leaves_room_while_looks_go_on(bad: int) -> None:
    # Given an execution that takes the longest time, and looks of which so many fail after each
    now, looks, state = NOW, 0, {"executed_at": iso(NOW)}
    while (elapsed := (now - NOW).total_seconds()) < HOURS * 3600:
        now += timedelta(seconds=next_wait(elapsed))
        looks, state = looks + 1, {"executed_at": iso(NOW)}
        for _ in range(bad):
            state = dict(wait_out(state, DOWN, ATTEMPT, PATIENCE, now))  # type: ignore[arg-type]
            now += timedelta(seconds=state["wait_seconds"])  # type: ignore[arg-type]
            looks += 1
    # Then they leave room too
    assert LOOK * looks < 10_000


def events_of_looks(wakes: Callable[[int], bool], at: float) -> int:
    """How many events the looks of the longest run make whose waits somebody ends with forgeries.

    He ends those waits, by their number, that he `wakes`, after a part of their time.
    """
    state: Any = {"quantemplate": {"pipeline_id": "p", "execution_id": "e"}}
    state["listening"] = first_listening(0)
    now, events, number, heard = 0.0, 0, 0, ""
    while now < HOURS * 3600:
        events += LOOK
        moment, deadline = NOW + timedelta(seconds=now), NOW + timedelta(hours=HOURS)
        state = waits_on(state, heard, NOW, moment, (), deadline)
        wait = float(state["wait_seconds"])
        if "pk" in state["listening"]:
            events += CALLBACK
        number += 1
        if wakes(number):
            heard = f"forged {number}"
            wait *= at if "pk" in state["listening"] else 1
        now += wait
    return events


@pytest.mark.parametrize("at", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("begins", [0, 50, 300])
@pytest.mark.parametrize("each", [1, 3, 7])
def test_forged_events_leave_room_whenever_they_come(at: float, begins: int, each: int) -> None:
    # Given the longest run, with events off, and the same while somebody forges them
    by_clock = phases({"QuantemplateEvents": "off"})["CheckStatus"]
    counted = phases({})["CheckStatus"] - by_clock
    never = LOOK * rounds(HOURS)
    forged = events_of_looks(lambda number: number > begins and number % each == 0, at)
    # Then the looks that he causes are within what is counted for them
    assert forged - never <= counted


def test_outputs_leave_room() -> None:
    # Given what the definition tries, each kind of error after the other, for the five outputs that
    # meet an outage at once
    retries = [r["MaxAttempts"] for r in TASKS["DownloadOutput"]["Retry"]]
    assert sum(retries) <= TRIES
    assert STATES["DownloadOutputs"]["MaxConcurrency"] == FETCHED_AT_ONCE
    # And a server that asks for a second each time, for as long as it is listened to
    event: Any = {"may_wait": True}
    now, asked = NOW, 0
    while waiting := wait_asked_for(event, 1, now):
        event |= waiting
        now += timedelta(seconds=waiting["wait_seconds"])
        asked += 1
    assert now - NOW < timedelta(hours=15)
    assert asked <= ASKED
    assert phases({})["DownloadOutputs"] < 10_000


def test_all_phases_at_their_longest_leave_room() -> None:
    assert sum(phases({}).values()) < 20_000
    # And the settings cannot be longer
    template = yaml.load((ROOT / "template.yaml").read_text("utf-8"), yaml.BaseLoader)  # noqa: S506
    for name, hours in LONGEST.items():
        assert float(template["Parameters"][name]["MaxValue"]) == hours


def test_a_redrive_needs_what_comes_after_the_state_that_failed() -> None:
    short = dict.fromkeys(LONGEST, "1")
    order = ("TakeTurn", "CheckStatus", "DownloadOutputs", "PublishRun")
    needs = [needed(state, short, executed=True) for state in order]
    assert needs == sorted(needs, reverse=True)
    assert len(set(needs)) == len(needs)
    # And whatever state of the outputs was entered last, it is the outputs that are fetched
    for state in STATES["DownloadOutputs"]["ItemProcessor"]["States"]:
        assert needed(state, short, executed=True) == needs[2]
    # And without an execution a look leads back to the upload
    assert needed("WaitForPipeline", short, executed=False) == needs[0]
    assert needed("CheckFile", {}, executed=False) < MOST_EVENTS
    assert needed("CheckStatus", short, executed=True) < needed("CheckStatus", {}, executed=True)


def test_the_documents_have_the_table_of_the_phases() -> None:
    # Given each row of the table that has events
    table = (
        (ROOT / "docs" / "costs.md")
        .read_text("utf-8")
        .split("## How long a run may take")[1]
        .split("\n## ")[0]
    )
    rows = [line.strip("| ").split("|") for line in table.splitlines() if line.startswith("| ")]
    told = {row[0].split()[0]: int(row[-1].replace(",", "")) for row in rows[1:]}
    # Then it is what is counted
    counted = phases({})
    assert told == {
        "UploadAndExecute": counted["UploadAndExecute"],
        "CheckStatus": counted["CheckStatus"],
        "DownloadOutputs": counted["DownloadOutputs"],
        "all": sum(counted.values()),
    }
