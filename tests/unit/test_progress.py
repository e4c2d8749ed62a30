"""What one look at a run tells."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from straight_through.attempts import Attempt, iso
from straight_through.errors import (
    NotFound,
    PipelineCancelled,
    PipelineFailed,
    PipelineOverdue,
    StraightThroughError,
)
from straight_through.progress import Look, durations_of, look_at, outputs_of
from straight_through.quantemplate import Execution, Output

BEGAN = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)
RUN = {
    "pipeline_id": "p-claims",
    "execution_id": "e-7",
    "run_number": 7,
    "created_at": "2026-05-04T08:00:00Z",
}


def execution(status: str, **changed: Any) -> Execution:
    """Our run as the list has it."""
    fields = {"id": "e-7", "run_number": 7, "started_at": "2026-05-04T08:00:00Z"}
    return Execution(**(fields | {"status": status} | changed))


def attempt(redriven_after: float | None = None) -> Attempt:
    """The execution's first attempt, or one that was redriven so many seconds after its start."""
    started = "2026-05-04T08:00:00.000Z"
    redriven = redriven_after is not None
    began = iso(BEGAN + timedelta(seconds=redriven_after or 0))
    return Attempt("may", "arn:may", int(redriven), began, started, {})


def look(
    *listed: Execution,
    after: float = 0,
    run: dict[str, Any] = RUN,
    redriven_after: float | None = None,
) -> Look:
    """Look at the run some seconds after it began."""
    others = [execution("Failed", id="e-6", run_number=6), execution("Cancelled", id="e-8")]
    now = BEGAN + timedelta(seconds=after)
    return look_at([*others, *listed], run, now, attempt(redriven_after), 2.0, 300)


@pytest.mark.parametrize(("after", "wait"), [(0, 1), (100, 10), (3600, 300)])
def test_a_started_run_is_waited_for(after: float, wait: int) -> None:
    seen = look(execution("Started"), after=after)
    assert (seen.status, seen.wait_seconds, seen.known) == ("Started", wait, True)


def test_a_run_that_succeeded_is_done_even_past_its_deadline() -> None:
    done = execution("Succeeded")
    seen = look(done, after=10**6)
    assert (seen.status, seen.execution, seen.known) == ("Succeeded", done, True)


@pytest.mark.parametrize("status", ["Queued", "Validating", "None", "succeeded", ""])
def test_an_unknown_status_is_neither_success_nor_an_end(status: str) -> None:
    seen = look(execution(status), after=60)
    assert (seen.status, seen.wait_seconds, seen.known) == (status, 6, False)


@pytest.mark.parametrize(
    ("status", "error", "told"),
    [
        ("Failed", PipelineFailed, "failed at 2026-05-04T09:00:00Z"),
        ("Cancelled", PipelineCancelled, "was cancelled at 2026-05-04T09:00:00Z"),
        ("Canceled", PipelineCancelled, "was cancelled at 2026-05-04T09:00:00Z"),
    ],
)
def test_a_run_that_ended_badly_is_told(status: str, error: type, told: str) -> None:
    with pytest.raises(StraightThroughError, match=told) as raised:
        look(execution(status, finished_at="2026-05-04T09:00:00Z"), after=10**6)
    assert type(raised.value) is error
    assert "Run 7 (e-7) of pipeline p-claims" in str(raised.value)
    assert "redrive the execution" in str(raised.value)


@pytest.mark.parametrize("status", ["Started", "Queued"])
def test_a_run_past_its_deadline_is_told_and_one_within_is_not(status: str) -> None:
    assert look(execution(status), after=7199).wait_seconds == 300
    with pytest.raises(PipelineOverdue, match=f"'{status}'.*deadline is 2 hours"):
        look(execution(status), after=7201)


def test_the_deadline_counts_from_the_start_and_until_then_from_the_making() -> None:
    # Given a run that was made an hour and a half before it was started
    started = "2026-05-04T09:30:00Z"
    # Then it is not overdue after two hours, and one that never started is
    assert look(execution("Started", started_at=started), after=7201).wait_seconds == 180
    with pytest.raises(PipelineOverdue):
        look(execution("Started", started_at=None), after=7201)


def test_a_redrive_waits_on_for_as_long_again() -> None:
    assert look(execution("Started"), after=10**5, redriven_after=10**5).wait_seconds == 300
    assert look(execution("Started"), after=10**5 + 7199, redriven_after=10**5).wait_seconds == 300
    with pytest.raises(PipelineOverdue):
        look(execution("Started"), after=10**5 + 7201, redriven_after=10**5)


def test_a_new_run_may_be_missing_from_the_list_for_a_while() -> None:
    seen = look(after=299)
    assert (seen.status, seen.execution, seen.wait_seconds) == ("NotListed", None, 29)


def test_a_run_that_stays_missing_is_told() -> None:
    with pytest.raises(NotFound, match=r"Run 7 \(e-7\).*is not in the list.*301 seconds"):
        look(after=301)


def test_a_clock_that_goes_before_quantemplates_waits_all_the_same() -> None:
    assert look(execution("Started"), after=-60).wait_seconds == 1


def earlier(number: int, seconds: float, **changed: Any) -> Execution:
    """An earlier run of the pipeline, which took so long."""
    started = datetime(2026, 5, 3, tzinfo=UTC)
    fields = {"id": f"e-{number}", "run_number": number, "started_at": iso(started)}
    fields["finished_at"] = iso(started + timedelta(seconds=seconds))
    return Execution(**({"status": "Succeeded"} | fields | changed))


def test_the_wait_is_until_shortly_before_the_end_that_earlier_runs_let_expect() -> None:
    # Given a pipeline whose runs take five minutes
    known = [earlier(number, 300 + number) for number in range(3)]
    # Then its failures are seen early, and the end at once
    waits = {after: look(execution("Started"), *known, after=after).wait_seconds for after in (
        0, 160, 290, 300
    )}  # fmt: skip
    assert waits[0] == 10
    assert 50 <= waits[160] <= 120
    assert waits[290] <= 6
    assert waits[300] <= 6
    # And so it is where the list does not have the run yet
    assert look(*known, after=160).wait_seconds == waits[160]


def test_durations_are_those_of_the_last_runs_that_succeeded() -> None:
    # Given a list in no order, in which some runs tell no duration
    none = {"started_at": None}, {"finished_at": None}, {"finished_at": "yesterday"}
    silent = [earlier(100 + number, 60, **changed) for number, changed in enumerate(none)]
    failed = [earlier(110, 60, status="Failed"), earlier(111, 60, status="Cancelled")]
    backwards = earlier(112, -60)
    known = [earlier(number, number * 10) for number in (3, 1, 20, *range(4, 20))]
    # Then the rest counts, the newest first, and not all of it
    listed = [*failed, *known, *silent, backwards]
    assert durations_of(listed) == [number * 10 for number in range(20, 10, -1)]
    assert durations_of([]) == []


def test_outputs_have_their_file_names() -> None:
    done = execution("Succeeded", outputs=(Output("o-1", "Clean: A/B"), Output("o-2", "Report")))
    assert outputs_of(done.outputs) == [
        {"id": "o-1", "name": "Clean: A/B", "file_name": "Clean: A_B.csv"},
        {"id": "o-2", "name": "Report", "file_name": "Report.csv"},
    ]
    assert outputs_of(()) == []
