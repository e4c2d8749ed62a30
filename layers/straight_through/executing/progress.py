"""What an execution has come to."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from quantemplate.listing import ABOVE_ALL
from quantemplate.times import moment_of, seconds_between, seconds_since
from straight_through.attempts import Attempt
from straight_through.errors import (
    NotFound,
    PipelineCancelled,
    PipelineEndUnknown,
    PipelineFailed,
    PipelineOverdue,
)
from straight_through.executing.waits import next_wait, since_of, vanished
from straight_through.gathering.sets import told
from straight_through.measuring import NOT_MEASURED
from straight_through.moments import from_iso, iso
from straight_through.names import file_names
from straight_through.queue.items import GatheredSet, MadeExecution
from straight_through.run_state import (
    SCHEMA,
    DroppedFile,
    DuplicateOf,
    ExecutionState,
    MeasuredMember,
    Measures,
    OutputToFetch,
    RunState,
    TurnState,
    Waiting,
)
from straight_through.selection import selected
from straight_through.statuses import CANCELLED, FAILED, SKIPPED, STARTED, SUCCEEDED

if TYPE_CHECKING:
    from quantemplate.client import Quantemplate
    from quantemplate.executions import Execution, Output
    from quantemplate.listing import Listing
    from straight_through.routes import Route

UNKNOWN = "UnknownStatus"  # the kind of wait
AUTO_RUN = 300  # seconds around our Execute in which another user's may be an Auto Run


@dataclass(frozen=True)
class Look:
    """What one look told of an execution: its status, and its outputs or the seconds to wait."""

    status: str
    wait_seconds: int
    execution: "Execution | None"

    @property
    def known(self) -> bool:
        """Whether the status is a documented one."""
        return self.status in (STARTED, SUCCEEDED)


def look_at(
    listing: "Listing",
    state: RunState,
    now: datetime,
    attempt: Attempt,
    deadline_hours: float,
    late_list: float,
) -> Look:
    """Find the execution among the pipeline's and say what to do next.

    `late_list` is how many seconds a new one may be missing from the list. Waits and deadlines go
    by our own clock, from Execute on; the deadline counts anew from a redrive.

    Raises PipelineFailed, PipelineCancelled, PipelineEndUnknown, PipelineOverdue, and NotFound for
    one that stays missing. A status that nobody knows is no success, and no end without a time
    of one.
    """
    made = execution_of(state)
    execution = listing.find(made["execution_id"])
    begun = begin_of(state, attempt, now)
    elapsed = (now - begun).total_seconds()
    wait = next_wait(elapsed, listing.durations)
    waited = elapsed
    if attempt.redrive_count:
        waited = min(elapsed, max(seconds_since(attempt.began, now) or 0, 0))
    who = told_of(made)
    if execution is None:
        if elapsed > late_list and waited > late_list:
            raise NotFound(
                f"{who} is not in the list of executions {elapsed:.0f} s after it was made. "
                "Look for it in Quantemplate; where it is gone, start a new run with the "
                "same input."
            )
        return Look("NotListed", wait, None)
    when = f"at {execution.finished_at}" if execution.finished_at else "at an unknown time"
    if execution.status == FAILED:
        raise PipelineFailed(
            f"{who} failed {when}. Look at it in Quantemplate; when the pipeline is mended, "
            "redrive the run, which executes it anew. A mended file is dropped anew."
        )
    if execution.status in CANCELLED:
        raise PipelineCancelled(f"{who} was cancelled {when}. To execute it anew, redrive the run.")
    if execution.status != SUCCEEDED and execution.finished_at:
        raise PipelineEndUnknown(
            f"{who} has ended {when} with the status {execution.status!r}, which nobody here "
            "knows. Nothing was fetched. Look at it in Quantemplate. If it shows another "
            "status by now, redrive the run, which looks again and executes nothing; to run "
            "it anew, start a new run with the same input."
        )
    if execution.status != SUCCEEDED and waited > deadline_hours * 3600:
        raise PipelineOverdue(
            f"{who} was executed at {iso(begun)} and has not ended {elapsed / 3600:.1f} h "
            f"later (status {execution.status!r}); the deadline is {deadline_hours:g} h. Look "
            "at it in Quantemplate; redrive the run to wait for as long again."
        )
    return Look(execution.status, wait, execution)


def begin_of(state: RunState, attempt: Attempt, now: datetime) -> datetime:
    """Return since when an execution is waited for, by our own clock: since Execute was sent.

    For one that was attached to, since this attempt began. A state of release 1.0.0 has only
    Quantemplate's time, which counts where our own times leave room for it.
    """
    began, started = moment_of(attempt.began) or now, moment_of(attempt.started) or now
    executed_at = moment_of(state.get("executed_at"))
    if executed_at is None and state["turn"]:
        told = moment_of(execution_of(state).get("created_at"))
        executed_at = told if told and started <= told <= now else None
    return min(executed_at or began, now)


def unknown_status(
    state: RunState, look: Look, attempt: Attempt, deadline_hours: float, now: datetime
) -> RunState:
    """Return the state with what is waited for where nobody knows the execution's status."""
    made = execution_of(state)
    begun = moment_of(attempt.began) if attempt.redrive_count else begin_of(state, attempt, now)
    waiting: Waiting = {
        "kind": UNKNOWN,
        "since": since_of(state, UNKNOWN, attempt, now),
        "until": iso((begun or now) + timedelta(hours=deadline_hours)),
        "redrive_count": attempt.redrive_count,
        "for": f"{told_of(made)} goes on with the status {look.status!r}, which nobody here knows.",
    }
    return state | {"waiting": waiting}


def listed(client: "Quantemplate", state: RunState) -> "Listing":
    """Return what the pipeline's list shows of the execution, and of newer ones if it is ours.

    Raises ApiUnavailable also where the pipeline is not found: it was listed before the execution
    was made.
    """
    made = execution_of(state)
    try:
        return client.list_executions(
            made["organisation_id"],
            made["pipeline_id"],
            after=state["after"] if state["turn"] else ABOVE_ALL,
            ours=[made["execution_id"]],
        )
    except NotFound as error:
        raise vanished(error) from None


def shows_newer(listing: "Listing", state: RunState) -> bool:
    """Whether the list shows a higher number than all that the state knows of."""
    known = state["after"], execution_of(state)["run_number"], state.get("seen", 0)
    return bool(listing.highest > max(known))


def looked_at_state(
    state: RunState, look: Look, attempt: Attempt, deadline_hours: float, now: datetime
) -> RunState:
    """Return the state as a look leaves it: its status, the wait, and what it is waited for."""
    if look.known or not look.execution:
        state = without_waiting(state)
    else:
        state = unknown_status(state, look, attempt, deadline_hours, now)
    return state | {"status": look.status, "wait_seconds": look.wait_seconds}


def succeeded_state(
    state: RunState, execution: "Execution", listing: "Listing", route: "Route"
) -> RunState:
    """Return the state with what the next steps need of a run that succeeded.

    Raises OutputMissing, OutputsTooMany.
    """
    made = execution_of(state)
    other = not_ours(listing, made, state["after"]) if state["turn"] else None
    version = made.get("pipeline_version")
    return {
        **state,
        "quantemplate": {
            **made,
            "started_at": execution.started_at,
            "finished_at": execution.finished_at,
            "pipeline_version": version if version is not None else execution.pipeline_version,
            "pipeline_version_before": made.get("pipeline_version_before"),
        },
        "outputs": outputs_of(selected(execution.outputs, route)),
        "gated": bool(route.hold_if_rows or route.hold_if_fewer_rows),
        "not_ours": other.id if other else None,
    }


def execution_of(state: RunState) -> ExecutionState:
    """Return the execution of a run that has one: only a skipped file has none."""
    made = state["quantemplate"]
    assert made is not None  # noqa: S101 - for the types
    return made


def told_of(made: ExecutionState) -> str:
    """Name an execution in a message."""
    number, own_id = made["run_number"], made["execution_id"]
    return f"Execution {number} ({own_id}) of pipeline {made['pipeline_id']}"


def without_waiting(state: RunState) -> RunState:
    """Return the state of a run of which nothing is waited for but its end."""
    after = state.copy()
    after.pop("waiting", None)
    return after


def executed_state(
    attempt: Attempt,
    turn: TurnState | None,
    source: DroppedFile | None,
    made: MadeExecution,
    twin: DuplicateOf | None,
    durations: Sequence[float],
    gathered: GatheredSet | None = None,
) -> RunState:
    """Return the state of a run that was executed, as it travels through the state machine."""
    measures = made["measures"]
    members = members_of(gathered, measures.get("members", [])) if gathered else []
    own = next((each for each in members if each["run"] == attempt.run), measures)
    measured: Measures = {"sha256": own["sha256"], "rows": own["rows"]}
    if "rows_reason" in own:
        measured["rows_reason"] = own["rows_reason"]
    state: RunState = {
        "schema": SCHEMA,
        "run": attempt.run,
        "execution_arn": attempt.execution_arn,
        "turn": turn,
        "order": attempt.order,
        "route": made["route"],
        "source": {**source, **measured} if source else None,
        "cause": attempt.input.cause,
        "quantemplate": {
            "organisation_id": made["organisation_id"],
            "dataset_id": made["dataset_id"],
            "pipeline_id": made["pipeline_id"],
            "execution_id": made["execution_id"],
            "run_number": made["run_number"],
            "created_at": made["created_at"],
            "pipeline_version": made.get("pipeline_version"),
            "pipeline_version_before": made.get("pipeline_version_before"),
        },
        "after": made["after"],
        "executed_at": made.get("executed_at"),  # release 1.0.0 has noted none
        "identical_to": twin,
        "status": STARTED,
        "wait_seconds": next_wait(0, durations),
    }
    if source is None:
        state["started_at"] = iso(from_iso(attempt.started))
    if gathered and state["source"]:
        state["source"]["period"] = gathered["period"]
        state["set"] = told(gathered)
        state["members"] = members
    if "prepared" in measures:  # by routes with a table
        state["prepared"] = measures["prepared"]
    return state


def members_of(gathered: GatheredSet, measured: Sequence[Measures]) -> list[MeasuredMember]:
    """Return the files of a set with what was measured of each as it went up."""
    return [
        {
            **member["source"],
            **measures,
            "file": member["file"],
            "dataset_id": member["dataset_id"],
            "run": member["run"],
        }
        for member, measures in zip(gathered["members"], measured, strict=True)
    ]


def skipped_state(
    attempt: Attempt,
    turn: TurnState | None,
    route: str,
    source: DroppedFile,
    twin: DuplicateOf,
) -> RunState:
    """Return the state of a file whose bytes were processed before, and that is skipped."""
    return {
        "schema": SCHEMA,
        "run": attempt.run,
        "execution_arn": attempt.execution_arn,
        "turn": turn,
        "order": attempt.order,
        "route": route,
        "source": {**source, **NOT_MEASURED},
        "cause": None,
        "quantemplate": None,
        "identical_to": twin,
        "outputs": [],
        "status": SKIPPED,
        "wait_seconds": next_wait(0),
    }


def outputs_of(outputs: "Sequence[Output]") -> list[OutputToFetch]:
    """Return id, name and file name of each output."""
    names = file_names([(output.id, output.name) for output in outputs])
    return [
        {"id": output.id, "name": output.name, "file_name": name}
        for output, name in zip(outputs, names, strict=True)
    ]


def not_ours(listing: "Listing", made: ExecutionState, after: int) -> "Execution | None":
    """Return an execution by somebody else that followed our upload: an Auto Run, perhaps.

    `after` is the highest number before it.
    """
    ours = listing.find(made["execution_id"])
    if ours is None or ours.created_by is None:
        return None
    near = [
        e
        for e in listing.above(after)
        if e.created_by not in (None, ours.created_by)
        and abs(_or_never(seconds_between(e.created_at, ours.created_at))) <= AUTO_RUN
    ]
    return min(near, key=lambda e: e.number, default=None)


def _or_never(seconds: float | None) -> float:
    """Return infinitely many seconds for those that nobody can tell."""
    return math.inf if seconds is None else seconds
