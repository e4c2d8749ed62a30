"""What keeps the queues going: runs that have ended, pauses, and the sweep that misses nothing."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

from straight_through.errors import TurnOverdue
from straight_through.moments import iso
from straight_through.queue.backlog import Standing, standing_of
from straight_through.queue.items import (
    End,
    EndedExecution,
    Holder,
    Pause,
    QueueItem,
    RunRecord,
    Ticket,
)
from straight_through.queue.records import Records
from straight_through.queue.table import Item, Refused, Table
from straight_through.queue.turns import QUEUES, Turns, queue_key, tickets
from straight_through.text import shown

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

# Every file of every queue would meet them until a person has mended the cause.
OF_ALL_QUEUES = ("CredentialsMissing", "CredentialsRejected")
# What is met at these calls does not depend on the file, as at an upload or a download it may.
OF_ALL_FILES = {  # each as messages name it
    "token": "the request for a token",
    "list_executions": "List Executions",
    "execute_pipeline": "Execute Pipeline",
}
AT_ONCE = ("AccessDenied",)  # of those; any other pauses the queue when a second run ends with it
HELD = "#holder.#execution_arn = :arn AND #holder.#redrive_count <= :count"
UNANSWERED = timedelta(seconds=60)  # after which a grant is sent again
NAMED = 20  # queues of a message; 20 of 150 characters each leave room below 4 KB
LONGEST = 150  # characters of an error in a message


class SweepIncomplete(Exception):
    """Queues that could not be swept; all others were. `standing` is of those that can be read."""

    def __init__(self, standing: list[Standing], failed: dict[str, Exception]) -> None:
        """Name the queues, each with its error."""
        self.standing = standing
        named = [
            f"{queue!r}: {type(error).__name__}: {error}"[:LONGEST]
            for queue, error in list(failed.items())[:NAMED]
        ]
        if others := len(failed) - len(named):
            named.append(f"… and {others} more")
        super().__init__(
            f"The sweep failed for {len(failed)} queue(s) and did all others. {'; '.join(named)}. "
            "The log says where. If the item of a queue or a ticket in the table is damaged, mend "
            "or delete it; the next sweep tries again."
        )


class Queues:
    """All queues of the stack."""

    def __init__(
        self,
        table: Table,
        states: "SFNClient",
        tell: Callable[[str, str], None] = lambda _subject, _message: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take the parts; `tell` sends people a message with a subject."""
        self._table = table
        self._states = states
        self._tell = tell
        self._now = now
        self._turns = Turns(table, states, now)
        self._records = Records(table)

    def run_ended(self, run: str, execution_arn: str, redrive_count: int, error: str) -> None:
        """Give back what an ended execution has of its queue; pause the queue if need be."""
        record = self._records.get(run)
        if "queue" not in record:
            return
        queue = record["queue"]
        self._weigh(queue, record, run, execution_arn, redrive_count, error)
        self._turns.leave(queue, record["ticket"], execution_arn, redrive_count)

    # --- pauses ---------------------------------------------------------------------------------
    def pause(self, queue: str, reason: str) -> QueueItem:
        """Let no further file begin, until `resume`; return the queue."""
        paused: Pause = {"since": iso(self._now()), "reason": reason}
        item = self._table.update(queue_key(queue), "SET #paused = :paused", paused=paused)
        return cast("QueueItem", item)

    def resume(self, queue: str) -> QueueItem:
        """Let the files of a queue go on; return the queue."""
        self._table.update(queue_key(queue), "REMOVE #paused")
        self._turns.grant(queue)
        return self._turns.state(queue)

    def _weigh(
        self, queue: str, record: RunRecord, run: str, arn: str, redrive_count: int, error: str
    ) -> None:
        """Pause the queue where every next file would meet what this run has ended with.

        What a second run in a row meets, every next one would; a redrive of one run is no second.
        """
        trouble = record.get("trouble", {})
        told = (trouble.get("error"), trouble.get("redrive_count")) == (error, redrive_count)
        call = trouble["call"] if told else ""
        end: End = {"run": run, "error": error, "call": call}
        if error in OF_ALL_QUEUES and call in ("", *OF_ALL_FILES):
            self._pause_for(queue, end, arn, redrive_count)
            return
        if call not in OF_ALL_FILES:
            if "execution" in record:  # none of these calls has kept it from its end
                with suppress(Refused):
                    self._table.update(
                        queue_key(queue), "REMOVE #last_trouble", HELD, **_held(arn, redrive_count)
                    )
            return
        state = self._turns.state(queue)
        before = state.get("last_trouble")
        again = state.get("paused", {}).get("attempt") == _attempt(run, redrive_count)
        if before and (before["error"] != error or before["run"] == run):
            before = None  # no two runs in a row
        if error in AT_ONCE or again or before:
            self._pause_for(queue, end, arn, redrive_count, before)
            return
        with suppress(Refused):  # it holds the turn no more: this end was weighed
            self._table.update(
                queue_key(queue),
                "SET #last_trouble = :end",
                HELD,
                end=end,
                **_held(arn, redrive_count),
            )

    def _pause_for(
        self, queue: str, end: End, arn: str, redrive_count: int, before: End | None = None
    ) -> None:
        """Pause the queue before the turn passes on, and tell it once.

        `end` is how the run has ended, `before` how another one did that says the same.
        """
        run, error = end["run"], end["error"]
        runs = f"run {run}" if before is None else f"runs {before['run']} and {run}"
        where = f" at {OF_ALL_FILES[end['call']]}" if end["call"] else ""
        paused: Pause = {
            "since": iso(self._now()),
            "reason": f"{runs} ended with {error}{where}",
            "error": error,
            "attempt": _attempt(run, redrive_count),
            "told": False,
        }
        try:
            self._table.update(
                queue_key(queue),
                "SET #paused = :paused, #last_trouble = :end",
                f"attribute_not_exists(#paused) AND {HELD}",
                paused=paused,
                end=end,
                **_held(arn, redrive_count),
            )
        except Refused as refused:
            (seen,) = refused.items
            already = (seen or {}).get("paused", {})
            if already.get("attempt") != paused["attempt"] or already["told"]:
                return
            paused = already
        self._tell(
            f"Queue {queue} is paused: {error}",
            f"{paused['reason'][0].upper()}{paused['reason'][1:]}, and every other file of queue "
            f"{queue} would. They wait, and nothing is lost.\n\n"
            "Mend the cause (the run's error says what it is), then "
            f"redrive {arn}: a redrive resumes the queue. Or resume it by hand.",
        )
        self._table.update(queue_key(queue), "SET #paused.#told = :yes", yes=True)

    def ended(self, execution_arn: str) -> EndedExecution | None:
        """Return how an execution has ended, None if it runs."""
        return self._turns.ended(execution_arn)

    def tell_of_auto_run(self, queue: str, route: str, execution_id: str) -> None:
        """Tell once that somebody else's run follows our uploads."""
        try:
            self._table.update(
                queue_key(queue),
                "SET #auto_run_told = :yes",
                "attribute_not_exists(#auto_run_told)",
                yes=True,
            )
        except Refused:
            return
        try:
            self._tell(
                f"Route {route}: its pipeline also runs by itself",
                f"Run {shown(execution_id)}, which is not ours, followed our upload for route "
                f"{route}. If Auto Run is switched on for this pipeline in Quantemplate, each file "
                "is processed twice there: switch it off. This is told once.",
            )
        except Exception:
            self._table.update(queue_key(queue), "REMOVE #auto_run_told")
            raise

    # --- the sweep ------------------------------------------------------------------------------
    def sweep(self, turn_deadline: timedelta) -> list[Standing]:
        """Find what events have missed: turns of ended runs, unanswered grants, overdue tickets.

        Return how the queues stand. Raises SweepIncomplete, when all are done, where one failed.
        """
        standing, failed = [], {}
        states = {item["sk"]: cast("QueueItem", item) for item in self._table.items(QUEUES)}
        for queue, state in states.items():
            try:
                waiting = self._sweep_queue(queue, states, turn_deadline)
                standing.append(standing_of(state, waiting, self._now()))
            except Exception as error:  # noqa: BLE001 - whatever it is: the others are swept first
                failed[queue] = error
                with suppress(Exception):  # it has failed already: where it can be, it is measured
                    waiting = self._waiting(queue)
                    standing.append(standing_of(state, waiting, self._now()))
        if failed:
            raise SweepIncomplete(standing, failed) from ExceptionGroup("", [*failed.values()])
        return standing

    def _waiting(self, queue: str) -> list[Ticket]:
        """Return the tickets of a queue."""
        return cast("list[Ticket]", list(self._table.items(tickets(queue))))

    def _sweep_queue(
        self, queue: str, states: dict[str, QueueItem], turn_deadline: timedelta
    ) -> list[Ticket]:
        """Sweep one queue; return the tickets that waited in it."""
        state = states[queue]
        self._resume_after_success(queue, state, states)
        if "holder" in state:
            self._sweep_holder(queue, state["holder"])
        else:
            self._turns.grant(queue)
        waiting = self._waiting(queue)
        self._end_overdue(queue, waiting, turn_deadline)
        return waiting

    def _sweep_holder(self, queue: str, holder: Holder) -> None:
        """Pass on the turn of a run that has ended; wake a holder that may never have been."""
        ended = self._turns.ended(holder["execution_arn"])
        if ended:
            arn, count = holder["execution_arn"], ended["redrive_count"]
            record = self._records.get(holder["run"])
            self._weigh(queue, record, holder["run"], arn, count, ended["error"])
            self._turns.pass_on(queue, arn, count)
        elif "ended" in holder:  # and its function, which would have passed it on, was killed
            self._turns.pass_on(queue, holder["execution_arn"], holder["ended"])
        elif not holder["entered"] and holder["granted_at"] < iso(self._now() - UNANSWERED):
            self._turns.answer_again(queue, holder)

    def _resume_after_success(
        self, queue: str, state: QueueItem, states: dict[str, QueueItem]
    ) -> None:
        """Resume a queue that rejected credentials have paused once they worked in another."""
        paused = state.get("paused", {})
        if paused.get("error") not in OF_ALL_QUEUES:
            return
        executed = [other.get("executed_at") for other in states.values()]
        if any(isinstance(at, str) and at > paused["since"] for at in executed):
            with suppress(Refused):  # a person has paused it since, or resumed it
                self._table.update(
                    queue_key(queue),
                    "REMOVE #paused",
                    "#paused.#since = :since AND #paused.#error = :error",
                    since=paused["since"],
                    error=paused["error"],
                )
            self._turns.grant(queue)

    def _end_overdue(self, queue: str, waiting: list[Ticket], turn_deadline: timedelta) -> None:
        """Fail the executions whose turn has not come in time."""
        latest = iso(self._now() - turn_deadline)
        for ticket in waiting:
            if ticket["asked_at"] > latest:
                continue
            hours = turn_deadline.total_seconds() / 3600
            cause = (
                f"Run {ticket['run']} of route {ticket['route']} has waited in queue {queue} "
                f"since {ticket['asked_at']}; the deadline is {hours:g} hours. See what holds the "
                "queue up (a paused queue, a run that does not end), then redrive the execution."
            )
            errors = self._states.exceptions
            try:
                self._states.send_task_failure(
                    taskToken=ticket["token"], error=TurnOverdue.__name__, cause=_as_lambda(cause)
                )
            except (errors.TaskTimedOut, errors.TaskDoesNotExist, errors.InvalidToken):
                if not self._turns.ended(ticket["execution_arn"]):
                    continue  # a later try has a ticket of its own, under this very key
            try:
                self._table.delete(
                    (tickets(queue), ticket["sk"]), "#token = :token", token=ticket["token"]
                )
            except Refused:
                continue


def _as_lambda(message: str) -> str:
    """Return a cause in the shape of those that functions give, for whoever reads both."""
    return json.dumps({"errorMessage": message, "errorType": TurnOverdue.__name__})


def _attempt(run: str, redrive_count: int) -> str:
    """Name an attempt of a run."""
    return f"{run} {redrive_count}"


def _held(arn: str, redrive_count: int) -> Item:
    """Return the values of the condition that this execution, in no later attempt, has the turn."""
    return {"arn": arn, "count": redrive_count}
