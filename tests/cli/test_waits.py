"""Why a run stands still is told: how many are before it, or that its queue is paused."""

import json
from datetime import UTC, datetime
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from stp.follow import follow
from stp.how_long import HowLong
from stp.said import Said
from stp.stack import Stack
from stp.waits import waits_of
from straight_through.queue.records import record_key
from tests.cli.conftest import Stp
from tests.cli.states import States, pretend

RUNS = ("first", "second", "third")
PAUSED = {"since": "2026-11-25T09:00:00.000Z", "reason": "month\nend"}
NEXT = "queue q is paused: month\\nend; stp queue resume q"


@pytest.fixture(autouse=True)
def states(monkeypatch: pytest.MonkeyPatch, deployed: Stack) -> States:
    """A queue whose turn the first run holds, and two runs that wait; another of no queue yet."""
    table = deployed.table
    holder = {"run": "first", "route": "claims", "granted_at": "2026-11-25T09:00:00.000Z"}
    table.update(("queues", "q"), "SET #holder = :holder", holder=holder)
    for place, run in enumerate(RUNS):
        table.update(record_key(run), "SET #queue = :queue", queue="q")
        if place:
            table.update(
                ("tickets#q", f"{place}#{run}"),
                "SET #run = :run, #route = :route, #asked_at = :at",
                run=run,
                route="claims",
                at=holder["granted_at"],
            )
    states = States({name: {"status": "RUNNING"} for name in (*RUNS, "fourth")})
    pretend(monkeypatch, states)
    monkeypatch.setattr("stp.commands_runs.history", lambda *_: [])
    return states


def pause(stack: Stack) -> None:
    """Pause the queue."""
    stack.table.update(("queues", "q"), "SET #paused = :paused", paused=PAUSED)


def test_a_list_says_how_many_are_before_each(stp: Stp) -> None:
    rows = {line.split()[-1]: line for line in stp("runs").out.splitlines() if "claims/" in line}
    assert "waits, 1 before it" in rows["second"]
    assert "waits, 2 before it" in rows["third"]
    # And those that have their turn, or no place yet, run
    assert all("● Running" in rows[name] for name in ("first", "fourth"))
    # And a script has the same
    told = {each["run"]: each["waiting"] for each in stp("runs", "--json").json}
    assert told["third"] == {"queue": "q", "before": 2, "paused": None, "seconds": None}
    assert (told["first"], told["fourth"]) == (None, None)


def test_a_paused_queue_is_named_once_with_its_reason_and_what_resumes_it(
    stp: Stp, deployed: Stack
) -> None:
    pause(deployed)
    done = stp("runs")
    assert done.out.count("waits, queue paused") == 2
    assert done.out.endswith(f"\nQ{NEXT[1:]}\n")
    assert done.out.count("stp queue resume q") == 1


def test_one_that_is_shown_says_what_it_waits_for(stp: Stp, deployed: Stack) -> None:
    assert "next          Waits for its turn: 2 before it.\n" in stp("show", "third").out
    assert "next          Wait for its end.\n" in stp("show", "first").out
    pause(deployed)
    assert f"next          Q{NEXT[1:]}.\n" in stp("show", "third").out


def test_one_that_waits_for_quantemplate_says_since_when_and_why(stp: Stp, states: States) -> None:
    # Given a run that has its turn, while Quantemplate does not answer
    waiting = {
        "kind": "ApiUnavailable",
        "since": "2026-11-25T09:00:00.000Z",
        "until": "2026-11-25T21:00:00.000Z",
        "redrive_count": 0,
        "for": "Quantemplate answers 503.\nIt is asked again.",
    }
    states.state = json.dumps({"waiting": waiting})
    # Then who shows it is told so, in a terminal and in a script
    told = " ".join(stp("show", "first").out.split())
    assert "It has waited since 2026-11-25 " in told
    assert "and tries again by itself: Quantemplate answers 503.\\nIt is asked again." in told
    why = {name: waiting[name] for name in ("since", "until", "for")}
    assert stp("show", "first", "--json").json["waits_for"] == why
    # And one that has no turn yet waits for that
    assert "next          Waits for its turn: 2 before it.\n" in stp("show", "third").out


@pytest.mark.parametrize("state", ['{"waiting": {"si', "[]", "{}"])
def test_a_state_that_does_not_say_what_it_waits_for_says_nothing(
    stp: Stp, states: States, state: str
) -> None:
    states.state = state
    assert "next          Wait for its end.\n" in stp("show", "first").out


def test_the_next_has_nobody_before_it(deployed: Stack) -> None:
    deployed.table.update(("queues", "q"), "REMOVE #holder")
    waits = waits_of(deployed, [*RUNS, "unknown"], lambda _: 60.0)
    assert {run: each.before for run, each in waits.items()} == {"second": 0, "third": 1}
    assert waits["second"].told == "waits for its turn: it is the next"
    assert waits["third"].told == "waits for its turn: 1 before it, about 1 min"


def test_who_follows_a_run_is_told_what_it_waits_for_and_of_a_pause(
    deployed: Stack,
    states: States,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Given a run that waits for its turn, whose queue is paused meanwhile, and that then ends
    entered = {"stateEnteredEventDetails": {"name": "TakeTurn"}}
    began = states.described("third")["startDate"]
    first: dict[str, Any] = {"id": 1, "timestamp": began, "type": "TaskStateEntered", **entered}
    end = {"id": 2, "timestamp": began, "type": "ExecutionSucceeded"}
    looks = iter([[first], [], [], [end]])
    news = {"seen": 0}

    def look(_: Stack, followed: Any) -> list[dict[str, Any]]:
        news["seen"] += 1
        if news["seen"] == 3:
            pause(deployed)
        found = next(looks)
        followed.seen += len(found)
        return found

    monkeypatch.setattr("stp.follow._news", look)
    monkeypatch.setattr("stp.follow.time.sleep", lambda _: None)
    monkeypatch.setattr("stp.follow.FIRST_LOOK", 0.0)
    states.runs["third"] = {}
    # When it is followed
    follow(deployed, Said(), ["third"])
    # Then each is told once
    lines = [line.strip() for line in capsys.readouterr().err.splitlines()]
    assert [line for line in lines if "turn:" in line or "paused" in line] == [
        "waits for its turn: 2 before it",
        NEXT,
    ]


def usually(monkeypatch: pytest.MonkeyPatch, stack: Stack, answer: Any) -> None:
    """Let the queue's pipeline be known, and Quantemplate answer so for its executions."""
    document = {"organisation_id": "c-1", "pipeline_id": "p-1", "dataset_id": "d-1"}
    stack.client("ssm").put_parameter(
        Name=f"{stack.routes_path}/claims", Value=json.dumps(document), Type="String"
    )
    asked = SimpleNamespace(list_executions=answer)
    monkeypatch.setattr(Stack, "quantemplate", asked)


def test_how_long_it_waits_is_told_by_what_is_usual(
    stp: Stp, deployed: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given executions that take six minutes, and a turn that has just been granted
    took = SimpleNamespace(durations=(360.0, 300.0, 400.0))
    usually(monkeypatch, deployed, lambda *_: took)
    now = {"run": "first", "route": "claims", "granted_at": datetime.now(UTC).isoformat()}
    deployed.table.update(("queues", "q"), "SET #holder = :holder", holder=now)
    # Then each is told how long it waits
    rows = {line.split()[-1]: line for line in stp("runs").out.splitlines() if "claims/" in line}
    assert "waits, 1 before it, about 6 min" in rows["second"]
    assert "waits, 2 before it, about 12 min" in rows["third"]
    assert "Waits for its turn: 2 before it, about 12 min.\n" in stp("show", "third").out


def test_a_quantemplate_that_does_not_answer_keeps_nobody_waiting(
    stp: Stp, deployed: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a Quantemplate that never answers
    asked: list[Any] = []
    never = Event()

    def silent(*given: Any) -> None:
        asked.append(given)
        never.wait(60)

    usually(monkeypatch, deployed, silent)
    monkeypatch.setattr(HowLong.__init__, "__defaults__", (0.1,))
    # When runs are listed, then the places are told, and once that no more is known
    done = stp("runs")
    never.set()
    assert "waits, 2 before it  " in done.out
    assert done.err.count("How long it still takes is not known: Quantemplate has not") == 1
    assert len(asked) == 1
