"""What a pipeline's run has come to."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from straight_through.attempts import Attempt
from straight_through.errors import NotFound, PipelineCancelled, PipelineFailed, PipelineOverdue
from straight_through.names import file_names
from straight_through.polling import moment_of, next_wait, seconds_since
from straight_through.statuses import CANCELLED, FAILED, SKIPPED, STARTED, SUCCEEDED

if TYPE_CHECKING:
    from straight_through.quantemplate import Execution, Output

RECENT_RUNS = 10  # that tell how long the next one takes: more would follow a change too slowly

AUTO_RUN = 300  # seconds around our Execute within which a run of another user may be an Auto Run


@dataclass(frozen=True)
class Look:
    """What one look at a run told: its status, and either its outputs or the seconds to wait."""

    status: str
    wait_seconds: int
    execution: "Execution | None"

    @property
    def known(self) -> bool:
        """Whether the status is a documented one."""
        return self.status in (STARTED, SUCCEEDED)


def look_at(
    listed: "list[Execution]",
    run: dict[str, Any],
    now: datetime,
    attempt: Attempt,
    deadline_hours: float,
    late_list: float,
) -> Look:
    """Find the run among the pipeline's executions and say what to do next.

    `late_list` is how many seconds a new run may be missing from the list. The deadline counts anew
    from a redrive.

    Raises PipelineFailed, PipelineCancelled, PipelineOverdue, and NotFound for a run that stays
    missing. A status that nobody knows is neither success nor an end.
    """
    execution = next((e for e in listed if e.id == run["execution_id"]), None)
    begun = (execution and execution.started_at) or run["created_at"]
    elapsed = max(seconds_since(begun, now) or 0, 0)
    wait = next_wait(elapsed, durations_of(listed))
    waited = elapsed
    if attempt.redrive_count:
        waited = min(elapsed, max(seconds_since(attempt.began, now) or 0, 0))
    who = f"Run {run['run_number']} ({run['execution_id']}) of pipeline {run['pipeline_id']}"
    if execution is None:
        if elapsed > late_list and waited > late_list:
            raise NotFound(
                f"{who} is not in the list of executions {elapsed:.0f} seconds after it was made. "
                "Look for it in Quantemplate; where it is gone, start a new execution with the "
                "same input."
            )
        return Look("NotListed", wait, None)
    if execution.status == FAILED:
        raise PipelineFailed(
            f"{who} failed at {execution.finished_at}. Look at it in Quantemplate; when the "
            "pipeline is mended, redrive the execution to run the file again. A mended file is "
            "dropped anew."
        )
    if execution.status in CANCELLED:
        raise PipelineCancelled(
            f"{who} was cancelled at {execution.finished_at}. To run the file again, redrive "
            "the execution."
        )
    if execution.status != SUCCEEDED and waited > deadline_hours * 3600:
        raise PipelineOverdue(
            f"{who} began at {begun} and has not ended {elapsed / 3600:.1f} hours later (status "
            f"{execution.status!r}); the deadline is {deadline_hours:g} hours. Look at it in "
            "Quantemplate; redrive the execution to wait for as long again."
        )
    return Look(execution.status, wait, execution)


def durations_of(listed: "Iterable[Execution]") -> list[float]:
    """Return the seconds that the last few successful runs took, the newest first."""
    durations = []
    for execution in sorted(listed, key=lambda e: e.run_number, reverse=True):
        finished = moment_of(execution.finished_at)
        if execution.status == SUCCEEDED and finished:
            seconds = seconds_since(execution.started_at, finished)
            if seconds and seconds > 0:
                durations.append(seconds)
    return durations[:RECENT_RUNS]


def executed_record(
    attempt: Attempt,
    turn: dict[str, Any] | None,
    source: dict[str, Any],
    made: dict[str, Any],
    twin: dict[str, Any] | None,
    durations: Sequence[float],
) -> dict[str, Any]:
    """Return the record of a run that was executed, as it travels through the state machine."""
    apart = ("route", "measures", "after")
    measures = dict(made["measures"])
    prepared = measures.pop("prepared", None)  # by routes with a table
    return {
        "run": attempt.run,
        "execution_arn": attempt.execution_arn,
        "turn": turn,
        "order": attempt.order,
        "route": made["route"],
        "source": source | measures,
        **({"prepared": prepared} if prepared else {}),
        "quantemplate": {field: value for field, value in made.items() if field not in apart},
        "after": made["after"],
        "identical_to": twin,
        "status": STARTED,
        "wait_seconds": next_wait(0, durations),
    }


def skipped_record(
    attempt: Attempt,
    turn: dict[str, Any] | None,
    route: str,
    source: dict[str, Any],
    twin: dict[str, Any],
) -> dict[str, Any]:
    """Return the record of a file whose bytes were processed before, and that is skipped."""
    return {
        "run": attempt.run,
        "execution_arn": attempt.execution_arn,
        "turn": turn,
        "order": attempt.order,
        "route": route,
        "source": source | {"sha256": None, "rows": None},
        "quantemplate": None,
        "identical_to": twin,
        "outputs": [],
        "status": SKIPPED,
        "wait_seconds": next_wait(0),
    }


def outputs_of(outputs: "Sequence[Output]") -> list[dict[str, str]]:
    """Return id, name and file name of each output."""
    names = file_names([(output.id, output.name) for output in outputs])
    return [
        {"id": output.id, "name": output.name, "file_name": name}
        for output, name in zip(outputs, names, strict=True)
    ]


def not_ours(listed: "list[Execution]", run: dict[str, Any], after: int) -> "Execution | None":
    """Return a run by somebody else that followed our upload: the pipeline's own Auto Run, perhaps.

    `after` is the highest run number before it.
    """
    ours = next((e for e in listed if e.id == run["execution_id"]), None)
    if ours is None or ours.created_by is None:
        return None
    near = [
        e
        for e in listed
        if e.run_number > after
        and e.created_by not in (None, ours.created_by)
        and abs(_seconds_between(e.created_at, ours.created_at)) <= AUTO_RUN
    ]
    return min(near, key=lambda e: e.run_number, default=None)


def _seconds_between(first: str | None, second: str | None) -> float:
    """Return the seconds between two moments, infinitely many where one is none."""
    try:
        then = datetime.fromisoformat(second or "")
    except ValueError:
        return math.inf
    seconds = seconds_since(first, then)
    return math.inf if seconds is None else seconds
