"""How a run spent its time, read from its history."""

from datetime import datetime
from typing import Any

import pytest
import yaml

from local.process import ROOT
from stp.timeline import PHASES, STOPPED_AT, Phase, ended_at, phases, steps, visits
from tests.cli.histories import at, entered, event, exited, history, passed

LOOPED = [
    *passed("Upload", 0, 1),
    *passed("Wait", 1, 3, kind="Wait"),
    *passed("Check", 3, 4),
    entered(4, "Wait", "Wait"),
]
FAILED: Any = {"taskFailedEventDetails": {"error": "PipelineFailed", "cause": "why"}}


def definition() -> Any:
    """The states of the state machine."""
    text = (ROOT / "statemachine" / "straight_through.asl.yaml").read_text("utf-8")
    return yaml.safe_load(text)["States"]


def test_every_state_that_takes_time_has_a_name_for_people() -> None:
    timely = {n for n, each in definition().items() if each["Type"] in ("Task", "Wait", "Map")}
    assert timely == PHASES.keys()
    assert timely <= STOPPED_AT.keys()


# --- visits --------------------------------------------------------------------------------------
def test_a_maps_iterations_keep_their_own_entries_and_exits() -> None:
    # Given iterations that end in another order than they began
    found = visits(
        history(
            entered(0, "Map", "Map"),
            *(entered(1, "One", after=1) for _ in range(3)),
            exited(2, "One", after=3),
            exited(3, "One", after=2),
            exited(4, "One", after=4),
            exited(5, "Map", "Map", after=6),
        )
    )
    # Then each exit is that of its own entry, and the Map's its own
    assert [(v.name, v.entered, v.exited) for v in found] == [
        ("Map", 1, 8),
        ("One", 2, 6),
        ("One", 3, 5),
        ("One", 4, 7),
    ]
    assert {v.status for v in found} == {"done"}


def test_a_redriven_state_goes_on_where_it_failed() -> None:
    failed = [
        entered(0, "CheckStatus"),
        event(1, "TaskScheduled"),
        event(2, "TaskFailed", **FAILED),
        event(3, "ExecutionFailed"),
    ]
    (visit,) = visits(history(failed))
    assert (visit.status, visit.ended, visit.failures) == ("failed", at(3), [3])
    (visit,) = visits(history(failed, event(9, "ExecutionRedriven"), event(10, "TaskScheduled")))
    assert (visit.status, visit.ended, visit.tries) == ("current", None, 2)
    assert [(each.began, each.ended) for each in visit.stretches] == [(at(0), at(3)), (at(9), None)]


def test_a_try_after_a_redrive_is_of_the_state_that_goes_on_whatever_it_follows() -> None:
    failed = [entered(0, "CheckStatus"), event(3, "ExecutionFailed"), event(9, "ExecutionRedriven")]
    (visit,) = visits(history(failed, event(10, "TaskScheduled", after=0)))
    assert visit.tries == 1


def test_of_a_maps_iterations_those_are_failed_that_failed() -> None:
    found = visits(
        history(
            entered(0, "Map", "Map"),
            entered(1, "One", after=1),
            entered(1, "One", after=1),
            event(2, "TaskFailed", after=2, **FAILED),
            event(3, "ExecutionFailed"),
        )
    )
    assert [v.status for v in found] == ["failed", "failed", "stopped"]
    assert [step.status for step in steps(found)] == ["failed", "failed"]


@pytest.mark.parametrize("kind", ["ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted"])
def test_a_bad_end_is_placed_at_the_innermost_open_state_and_stops_its_clock(kind: str) -> None:
    found = visits(history(entered(0, "Map", "Map"), entered(1, "Download"), event(3, kind)))
    assert ended_at(found) == "Download"
    assert [step.seconds(at(99)) for step in steps(found)] == [3.0, 2.0]


# --- steps ---------------------------------------------------------------------------------------
def spent(events: list[dict[str, Any]], now: datetime) -> list[tuple[str, int, float]]:
    """The states with how often they were entered, and their seconds."""
    return [(step.name, len(step.visits), step.seconds(now)) for step in steps(visits(events))]


def test_time_in_a_state_adds_up_over_its_visits_and_runs_on_while_it_is_open() -> None:
    assert spent(history(LOOPED), at(10)) == [
        ("Upload", 1, 1.0),
        ("Wait", 2, 2.0 + 6.0),
        ("Check", 1, 1.0),
    ]
    assert ended_at(visits(history(LOOPED))) == ""
    assert [(s.status, s.first, s.since) for s in steps(visits(history(LOOPED)))] == [
        ("done", at(0), at(0)),
        ("current", at(1), at(4)),
        ("done", at(3), at(3)),
    ]
    (_, wait, _) = steps(visits(history(LOOPED, exited(9, "Wait", "Wait"))))
    assert (wait.status, wait.since) == ("done", at(4))


def test_iterations_of_a_map_that_overlap_count_their_time_once() -> None:
    events = history(
        entered(0, "Map", "Map"),
        entered(0, "Download", after=1),
        entered(1, "Download", after=1),
        exited(2, "Download", after=2),
        exited(5, "Download", after=3),
        exited(5, "Map", "Map"),
    )
    assert spent(events, at(99)) == [("Map", 1, 5.0), ("Download", 2, 5.0)]


def test_a_redriven_run_goes_on_in_the_states_that_its_bad_end_closed() -> None:
    # Given a run that failed in a Map of two iterations, and was redriven
    events = [
        *passed("Upload", 0, 1),
        entered(1, "Map", "Map"),
        entered(1, "Download", after=3),
        entered(1, "Download", after=3),
        event(3, "ExecutionFailed"),
        event(60, "ExecutionRedriven"),
        event(60, "TaskScheduled"),
        event(60, "TaskScheduled"),
    ]
    # Then it is no longer failed, and only what was open goes on, without a new entry
    assert ended_at(visits(history(events))) == ""
    assert spent(history(events), at(62)) == [
        ("Upload", 1, 1.0),
        ("Map", 1, 2.0 + 2.0),
        ("Download", 2, 2.0 + 2.0),
    ]
    # and it ends as any other
    ends = [exited(61, "Download", after=8), exited(63, "Download"), exited(63, "Map", "Map")]
    assert [seconds for _, _, seconds in spent(history(events, ends), at(99))] == [1.0, 5.0, 5.0]
    assert {step.status for step in steps(visits(history(events, ends)))} == {"done"}


def test_a_run_that_fails_again_failed_where_it_went_on() -> None:
    failed = [entered(0, "Upload"), event(1, "ExecutionFailed"), event(60, "ExecutionRedriven")]
    events = history(failed, event(62, "ExecutionFailed"))
    assert ended_at(visits(events)) == "Upload"
    assert spent(events, at(99)) == [("Upload", 1, 1.0 + 2.0)]


# --- phases --------------------------------------------------------------------------------------
def phases_of(*events: Any) -> list[Phase]:
    """The phases of a history."""
    return phases(visits(history(*events)))


def told(*events: Any) -> list[tuple[str, float]]:
    """Phases by name and seconds, at second 100."""
    return [(phase.name, phase.seconds(at(100))) for phase in phases_of(*events)]


def test_a_whole_run() -> None:
    # Given a run that looked twice
    events = [
        passed("Release?", 0, 0, kind="Choice"),
        passed("TakeTurn", 0, 5),
        passed("UploadAndExecute", 5, 7),
        passed("WaitForPipeline", 7, 8, kind="Wait"),
        passed("CheckStatus", 8, 9),
        passed("PipelineFinished?", 9, 9, kind="Choice"),
        passed("WaitForPipeline", 9, 19, kind="Wait"),
        passed("CheckStatus", 19, 20),
        entered(20, "DownloadOutputs", "Map"),
        passed("DownloadOutput", 20, 21),
        exited(22, "DownloadOutputs", "Map"),
        passed("PublishRun", 22, 23),
        event(23, "ExecutionSucceeded"),
    ]
    # Then looks are one phase, and a state inside another is none
    assert told(*events) == [
        ("waited for its turn", 5),
        ("uploaded", 2),
        ("ran in Quantemplate", 13),
        ("downloaded", 2),
        ("published", 1),
    ]


def test_a_run_that_goes_on_has_an_open_phase() -> None:
    (phase,) = phases_of(entered(0, "TakeTurn"))
    assert phase.ended is None
    assert told(entered(0, "TakeTurn")) == [("waited for its turn", 100)]


def test_a_redriven_run_goes_on_where_it_failed() -> None:
    # Given a failure at the upload, a redrive and an end
    events = [
        entered(0, "UploadAndExecute"),
        event(2, "ExecutionFailed"),
        event(50, "ExecutionRedriven"),
        exited(60, "UploadAndExecute"),
        passed("WaitForPipeline", 60, 70, kind="Wait"),
        event(70, "ExecutionSucceeded"),
    ]
    # Then the time between the two is nobody's
    assert told(*events) == [("uploaded", 2), ("uploaded", 10), ("ran in Quantemplate", 10)]
    assert [(p.failed, p.redriven) for p in phases_of(*events)] == [
        (True, False),
        (False, True),
        (False, False),
    ]


def test_a_redriven_map_is_one_phase_with_its_iterations() -> None:
    (first, again) = phases_of(
        entered(0, "DownloadOutputs", "Map"),
        entered(1, "DownloadOutput"),
        event(2, "ExecutionFailed"),
        event(50, "ExecutionRedriven"),
        exited(51, "DownloadOutput", after=2),
        exited(52, "DownloadOutputs", "Map"),
    )
    assert (first.ended, first.failed) == (at(2), True)
    assert (again.state, again.began, again.ended) == ("DownloadOutputs", at(50), at(52))
    assert (again.redriven, again.failed) == (True, False)


def test_each_redrive_has_a_phase_of_its_own() -> None:
    again = [event(50, "ExecutionRedriven"), event(52, "ExecutionFailed")]
    found = phases_of(
        entered(0, "TakeTurn"),
        event(2, "ExecutionFailed"),
        again,
        event(60, "ExecutionRedriven"),
    )
    assert [(p.began, p.ended, p.redriven) for p in found] == [
        (at(0), at(2), False),
        (at(50), at(52), True),
        (at(60), None, True),
    ]


def test_a_map_that_failed_has_failed_though_an_iteration_did_not() -> None:
    (phase,) = phases_of(
        entered(0, "DownloadOutputs", "Map"),
        entered(0, "DownloadOutput", after=1),
        entered(1, "DownloadOutput", after=1),
        exited(2, "DownloadOutput", after=3),
        event(3, "TaskFailed", after=2, **FAILED),
        event(4, "ExecutionFailed"),
    )
    assert (phase.failed, phase.ended) == (True, at(4))


def test_a_run_that_failed_names_the_state() -> None:
    # Given a run that failed at a later state of one phase
    found = phases_of(
        passed("WaitForPipeline", 0, 1, kind="Wait"),
        entered(1, "CheckStatus"),
        event(2, "ExecutionTimedOut"),
    )
    # Then it is that state
    assert [(p.state, p.failed) for p in found] == [("CheckStatus", True)]


def test_a_failure_between_two_phases_is_one_of_the_earlier() -> None:
    # Given a run whose output no Choice could read
    found = phases_of(
        passed("CheckStatus", 0, 1),
        entered(1, "PipelineFinished?", "Choice"),
        event(2, "ExecutionFailed"),
    )
    assert [(p.name, p.ended, p.failed) for p in found] == [("ran in Quantemplate", at(2), True)]


def test_an_empty_history_has_none() -> None:
    assert phases_of() == []
