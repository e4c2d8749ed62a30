"""How a run spent its time, read from its history."""

from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from local.process import ROOT
from stp.timeline import PHASES, phases

START = datetime(2026, 11, 25, 9, tzinfo=UTC)


def event(second: float, kind: str, state: str = "") -> dict[str, Any]:
    """An event of a history."""
    found: dict[str, Any] = {"timestamp": START + timedelta(seconds=second), "type": kind}
    if state:
        found["stateEnteredEventDetails"] = {"name": state}
    return found


def entered(second: float, state: str) -> dict[str, Any]:
    """A state's entry."""
    return event(second, "TaskStateEntered", state)


def test_every_state_that_takes_time_has_a_name_for_people() -> None:
    text = (ROOT / "statemachine" / "straight_through.asl.yaml").read_text("utf-8")
    states = yaml.safe_load(text)["States"]
    timely = {name for name, each in states.items() if each["Type"] in ("Task", "Wait", "Map")}
    assert timely == PHASES.keys()


def told(events: list[dict[str, Any]]) -> list[tuple[str, float]]:
    """Phases by name and seconds, at second 100."""
    now = START + timedelta(seconds=100)
    return [(phase.name, phase.seconds(now)) for phase in phases(events)]


def test_a_whole_run() -> None:
    # Given a run that looked twice
    events = [
        entered(0, "Release?"),
        entered(0, "TakeTurn"),
        entered(5, "UploadAndExecute"),
        entered(7, "WaitForPipeline"),
        entered(8, "CheckStatus"),
        entered(9, "PipelineFinished?"),
        entered(9, "WaitForPipeline"),
        entered(19, "CheckStatus"),
        entered(20, "DownloadOutputs"),
        entered(20, "DownloadOutput"),
        entered(22, "PublishRun"),
        event(23, "ExecutionSucceeded"),
    ]
    # Then looks are one phase, and a state inside another is none
    assert told(events) == [
        ("waited for its turn", 5),
        ("uploaded", 2),
        ("ran in Quantemplate", 13),
        ("downloaded", 2),
        ("published", 1),
    ]


def test_a_run_that_goes_on_has_an_open_phase() -> None:
    (phase,) = phases([entered(0, "TakeTurn")])
    assert phase.ended is None
    assert told([entered(0, "TakeTurn")]) == [("waited for its turn", 100)]


def test_a_redriven_run_goes_on_where_it_failed() -> None:
    # Given a failure at the upload, a redrive and an end
    events = [
        entered(0, "UploadAndExecute"),
        event(2, "ExecutionFailed"),
        event(50, "ExecutionRedriven"),
        entered(60, "WaitForPipeline"),
        event(70, "ExecutionSucceeded"),
    ]
    # Then the time between the two is nobody's
    found = phases(events)
    assert told(events) == [("uploaded", 2), ("uploaded", 10), ("ran in Quantemplate", 10)]
    assert [(p.failed, p.redriven) for p in found] == [
        (True, False),
        (False, True),
        (False, False),
    ]


def test_a_run_that_failed_names_the_state() -> None:
    # Given a run that failed at a later state of one phase
    found = phases(
        [entered(0, "WaitForPipeline"), entered(1, "CheckStatus"), event(2, "ExecutionTimedOut")]
    )
    # Then it is that state
    assert [(p.state, p.failed) for p in found] == [("CheckStatus", True)]


def test_an_empty_history_has_none() -> None:
    assert phases([]) == []
