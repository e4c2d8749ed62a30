"""One look at an execution: has it ended, how, and if not, how long to wait until the next."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger

from quantemplate.times import seconds_since
from straight_through import metrics
from straight_through.attempts import Attempt
from straight_through.errors import (
    PipelineCancelled,
    PipelineEndUnknown,
    PipelineFailed,
    WaitedFor,
    concerning,
)
from straight_through.executing.connection import Access, Connection
from straight_through.executing.listening import (
    NOTHING_HEARD,
    announced_so_far,
    by_clock,
    first_listening,
    waits_on,
    was_announced,
)
from straight_through.executing.progress import (
    begin_of,
    execution_of,
    listed,
    look_at,
    looked_at_state,
    shows_newer,
    succeeded_state,
    without_waiting,
)
from straight_through.executing.waits import Patience, wait_out
from straight_through.files.duplicates import remember
from straight_through.hearing.listeners import Listeners
from straight_through.moments import from_iso, iso
from straight_through.queue.items import SeenEnd
from straight_through.queue.notices import Notices
from straight_through.queue.pipelines import Pipelines
from straight_through.queue.records import Records
from straight_through.queue.table import Table
from straight_through.queue.turns import Turns
from straight_through.routes import Routes
from straight_through.run_state import ExecutionState, RunState, named_by
from straight_through.statuses import NOT_EXECUTED, RUN_AGAIN, SKIPPED, SUCCEEDED

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

    from quantemplate.executions import Execution
    from quantemplate.listing import Listing


@dataclass(frozen=True)
class Settings:
    """What the template tells the function; a new execution may be `late_list_seconds` late."""

    turns_table: str
    routes_path: str
    pipeline_deadline_hours: float
    late_list_seconds: float
    quantemplate_events: str  # "on" or "off"
    patience: Patience
    access: Access


class CheckStatus:
    """The parts that look at an execution."""

    def __init__(
        self,
        routes: Routes,
        table: Table,
        states: "SFNClient",
        quantemplate: Connection,
        settings: Settings,
        logger: Logger,
    ) -> None:
        """Take the services, and what the template tells of them."""
        self._routes = routes
        self._table = table
        self._turns = Turns(table, states)
        self._records = Records(table)
        self._notices = Notices(table)
        self._pipelines = Pipelines(table)
        self._listeners = Listeners(table)
        self._quantemplate = quantemplate
        self._settings = settings
        self._logger = logger

    def state_after(self, attempt: Attempt, before: RunState) -> RunState:
        """Return a run's state with its status, and the outputs of an execution that succeeded.

        Raises what `look_at` does, and what is waited for past its deadline.
        """
        if before["status"] == NOT_EXECUTED:
            return before  # what it waited for may be over: UploadAndExecute finds out
        if before["status"] == SKIPPED:
            self._turns.run_ended(before, attempt)
            return before
        about = named_by(before)
        with self._records.noting(attempt), concerning(about):
            after = self._looked(before, attempt)
        return self._notices.follow(attempt, before, after, about, datetime.now(UTC))

    def _looked(self, state: RunState, attempt: Attempt) -> RunState:
        """Return the state as one look at the execution leaves it."""
        execution = execution_of(state)
        # Before the list is read: an event that comes meanwhile is followed by a look of its own.
        began = datetime.now(UTC)
        state, heard = self._heard(state, execution)
        try:
            listing = listed(self._quantemplate.open(), state)
        except WaitedFor as trouble:
            patience, now = self._settings.patience, datetime.now(UTC)
            return by_clock(wait_out(state, trouble, attempt, patience, now))
        if shows_newer(listing, state):
            self._pipelines.seen(execution, listing.highest)
            state |= {"seen": listing.highest}
        if state["turn"]:
            self._turns.works_again(state["turn"]["queue"], attempt)
        now, hours = datetime.now(UTC), self._settings.pipeline_deadline_hours
        try:
            look = look_at(listing, state, now, attempt, hours, self._settings.late_list_seconds)
        except (PipelineFailed, PipelineCancelled):
            self._ended(state, heard, began, attempt)
            told = (attempt.run, execution["execution_id"], attempt.redrive_count)
            # One that was attached to is not ours to repeat.
            if state["turn"] and self._records.told_before(*told):
                return without_waiting(state) | {"status": RUN_AGAIN}
            raise
        except PipelineEndUnknown:
            self._ended(state, heard, began, attempt)
            raise
        if not look.known:
            self._logger.warning("Unknown status, waiting on", status=look.status)
        state = looked_at_state(state, look, attempt, hours, now)
        if look.execution and look.status == SUCCEEDED:
            self._ended(state, heard, began, attempt)
            return self._succeeded(state, look.execution, listing)
        if "listening" in state:
            begun = begin_of(state, attempt, now)
            since = from_iso(attempt.began) if attempt.redrive_count else begun
            deadline = since + timedelta(hours=hours)
            return waits_on(state, heard, begun, now, listing.durations, deadline)
        return state

    def _heard(self, state: RunState, execution: ExecutionState) -> tuple[RunState, str]:
        """Return the state that listens for events, where they are taken, and the last of them."""
        if self._settings.quantemplate_events != "on":
            after = state.copy()
            after.pop("listening", None)  # they were taken when it began
            return after, NOTHING_HEARD
        of_pipeline, run_id = execution["pipeline_id"], execution["execution_id"]
        heard = self._listeners.heard(of_pipeline, run_id, state["run"], datetime.now(UTC))
        if "listening" not in state:
            state = state | {"listening": first_listening(self._announced(execution))}
        return state, heard

    def _announced(self, execution: ExecutionState) -> int:
        """Return how many of the pipeline's ends before this one, in a row, were announced."""
        before, last = self._pipelines.ends_announced(execution)
        came = None
        if last and not last["announced"]:
            came = self._listeners.heard_at(execution["pipeline_id"], last["execution_id"])
        return announced_so_far(before, last, came)

    def _ended(self, state: RunState, heard: str, began: datetime, attempt: Attempt) -> None:
        """Pass on the turn of an execution that has ended; note whether its end was announced.

        `heard` is the last event that was noted before this look began.
        """
        self._turns.run_ended(state, attempt)
        if "listening" in state:
            made = execution_of(state)
            end: SeenEnd = {
                "execution_id": made["execution_id"],
                "since": iso(began),
                "at": iso(datetime.now(UTC)),
                "announced": was_announced(state, heard),
            }
            self._pipelines.ended(made, end, state["listening"]["announced"])

    def _succeeded(self, state: RunState, execution: "Execution", listing: "Listing") -> RunState:
        """Return the state of a run that succeeded; remember its bytes, and measure how late."""
        now, source = datetime.now(UTC), state["source"]
        route = self._routes.named(state["route"])
        state = succeeded_state(state, execution, listing, route)
        if source and source["sha256"] and "members" not in state:
            # Only now: the bytes of a run that failed may be dropped again.
            remember(self._table, route, source["sha256"], state["run"], source["key"], now)
        self._logger.info("Pipeline succeeded", outputs=len(state["outputs"]))
        if not execution.outputs:
            self._logger.warning("Pipeline succeeded without an output")
        if delay := seconds_since(execution.finished_at, now):
            metrics.record({metrics.DETECTION_DELAY: max(delay, 0)})
        return state
