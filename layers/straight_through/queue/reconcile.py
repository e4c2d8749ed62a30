"""Reconciling: what ended runs still have of their queues, and what their events have missed."""

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

from straight_through.aws import answering
from straight_through.errors import AwsUnavailable, TurnOverdue
from straight_through.moments import iso
from straight_through.queue.backlog import Standing, standing_of
from straight_through.queue.items import EndedExecution, Holder, QueueItem, Ticket
from straight_through.queue.pauses import Pauses
from straight_through.queue.records import Records
from straight_through.queue.table import Item, Refused, Table
from straight_through.queue.turns import QUEUES, Turns, tickets, whole
from straight_through.text import counted

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

UNANSWERED = timedelta(seconds=60)  # after which a grant is sent again
NAMED = 20  # queues of a message; 20 of 150 characters each leave room below 4 KB
LONGEST = 150  # characters of an error in a message
# DescribeExecution has 15 requests a second for the whole account, and 300 at once; 10 and 250 in
# small regions (https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html). A sweep
# looks at so many holders, the next one at those behind them.
LOOKS = 240
MOST_LOOKS = 300  # with those that tell why a token is dead, and whether a run waits still
UNANSWERED_LOOK = 60  # looks that one counts for which nobody answers: its tries take their time
ENDS = 500  # overdue files that a sweep ends, each in two requests: half a minute at most


class TicketsDamaged(Exception):
    """Tickets of one queue that nobody can read; all others were seen to."""

    def __init__(self, first: str, count: int) -> None:
        """Name the first one's place in the queue."""
        more = f" and {count - 1} more" if count > 1 else ""
        super().__init__(f"ticket {first!r}{more} of the table cannot be read")


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
            f"The sweep failed for {counted(len(failed), 'queue')} and did all others. "
            f"{'; '.join(named)}. The log says where. If the item of a queue or a ticket in the "
            "table is damaged, mend or delete it; the next sweep tries again."
        )


class Reconciler:
    """Passes on what ended runs have of all queues: told by an event, or found by a sweep."""

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
        self._pauses = Pauses(table, self._turns, tell, now)
        self._swept_until: str | None = None  # the last queue for which there were looks
        self._ended = 0  # overdue files, by this sweep

    def run_ended(self, run: str, execution_arn: str, redrive_count: int, error: str) -> None:
        """Give back what an ended execution has of its queue; pause the queue if need be."""
        record = self._records.get(run)
        if "queue" not in record:
            return
        queue = record["queue"]
        self._pauses.weigh(queue, record, run, execution_arn, redrive_count, error)
        self._turns.leave(queue, record["ticket"], execution_arn, redrive_count)

    def ended(self, execution_arn: str) -> EndedExecution | None:
        """Return how an execution has ended, None if it runs."""
        return self._turns.ended(execution_arn)

    def may_look(self) -> bool:
        """Whether the last sweep has left a look for who asks after it."""
        return self._turns.looks < MOST_LOOKS

    # --- the sweep ------------------------------------------------------------------------------
    def sweep(self, turn_deadline: timedelta) -> list[Standing]:
        """Find what events have missed: turns of ended runs, unanswered grants, overdue tickets.

        Return how the queues stand. What one sweep has no time and no quota for, the next ones do,
        in turn. Raises SweepIncomplete, when all are done, where one failed.
        """
        standing, failed = [], {}
        states = {item["sk"]: cast("QueueItem", item) for item in self._table.items(QUEUES)}
        executed = [state.get("executed_at") for state in states.values()]
        executed_at = max((at for at in executed if isinstance(at, str)), default="")
        self._turns.looks = self._ended = 0
        for queue in self._in_turn(states):
            state = states[queue]
            if self._turns.looks < LOOKS:
                self._swept_until = queue
            try:
                standing.append(self._sweep_queue(queue, state, executed_at, turn_deadline))
            except Exception as error:  # noqa: BLE001 - whatever it is: the others are swept first
                failed[queue] = error
                if isinstance(error, AwsUnavailable):
                    self._turns.looks += UNANSWERED_LOOK
                with suppress(Exception):  # it has failed already: where it can be, it is measured
                    waiting = self._table.items(tickets(queue))
                    standing.append(standing_of(state, waiting, self._now()))
        if failed:
            raise SweepIncomplete(standing, failed) from ExceptionGroup("", [*failed.values()])
        return standing

    def _in_turn(self, queues: Iterable[str]) -> list[str]:
        """Return all queues, first those for which the sweep before had no looks left.

        A new process knows of none: the minute says where it begins, as if there had been others.
        """
        names = sorted(queues)
        if self._swept_until is not None:
            begin = bisect_right(names, self._swept_until)
        elif len(names) > LOOKS:
            begin = int(self._now().timestamp() // 60) * LOOKS % len(names)
        else:
            begin = 0
        return names[begin:] + names[:begin]

    def _sweep_queue(
        self, queue: str, state: QueueItem, executed_at: str, turn_deadline: timedelta
    ) -> Standing:
        """Sweep one queue; return how it stands. Raises TicketsDamaged, last."""
        self._pauses.resume_after_success(queue, state, executed_at)
        if "holder" in state:
            if self._turns.looks < LOOKS:
                self._sweep_holder(queue, state["holder"])
        elif "paused" not in state and self._turns.looks < MOST_LOOKS:
            if self._table.first(tickets(queue)) is None:
                return standing_of(state, (), self._now())  # who comes now grants
            self._turns.grant(queue)
        return standing_of(state, self._seen_to(queue, turn_deadline), self._now())

    def _sweep_holder(self, queue: str, holder: Holder) -> None:
        """Pass on the turn of a run that has ended; wake a holder that may never have been."""
        ended = self._turns.ended(holder["execution_arn"])
        if ended:
            arn, count = holder["execution_arn"], ended["redrive_count"]
            record = self._records.get(holder["run"])
            self._pauses.weigh(queue, record, holder["run"], arn, count, ended["error"])
            self._turns.pass_on(queue, arn, count)
        elif "ended" in holder:  # and its function, which would have passed it on, was killed
            self._turns.pass_on(queue, holder["execution_arn"], holder["ended"])
        elif not holder["entered"] and holder["granted_at"] < iso(self._now() - UNANSWERED):
            self._turns.answer_again(queue, holder)

    def _seen_to(self, queue: str, turn_deadline: timedelta) -> Iterator[Item]:
        """Give the tickets one by one, and fail the executions whose turn has not come in time.

        Raises TicketsDamaged, last.
        """
        latest = iso(self._now() - turn_deadline)
        damaged, first = 0, ""
        for ticket in self._table.items(tickets(queue)):
            if not whole(ticket):
                damaged += 1
                first = first or str(ticket["sk"])
            elif ticket["asked_at"] <= latest and self._ended < ENDS:
                self._end_one(queue, ticket, turn_deadline)
            yield ticket
        if damaged:
            raise TicketsDamaged(first, damaged)

    def _end_one(self, queue: str, ticket: Ticket, turn_deadline: timedelta) -> None:
        """Fail one execution whose turn has not come in time."""
        hours = turn_deadline.total_seconds() / 3600
        cause = (
            f"Run {ticket['run']} of route {ticket['route']} has waited in queue {queue} since "
            f"{ticket['asked_at']}; the deadline is {hours:g} h. See what holds the queue up "
            "(a paused queue, a run that does not end), then redrive the run."
        )
        errors = self._states.exceptions
        try:
            with answering("Step Functions"):
                self._states.send_task_failure(
                    taskToken=ticket["token"], error=TurnOverdue.__name__, cause=_as_lambda(cause)
                )
        except (errors.TaskTimedOut, errors.TaskDoesNotExist, errors.InvalidToken):
            if self._turns.looks >= MOST_LOOKS or not self._turns.ended(ticket["execution_arn"]):
                return  # a later try has a ticket of its own, under this very key
        self._ended += 1
        with suppress(Refused):
            self._table.delete(
                (tickets(queue), ticket["sk"]), "#token = :token", token=ticket["token"]
            )


def _as_lambda(message: str) -> str:
    """Return a cause in the shape of those that functions give, for whoever reads both."""
    return json.dumps({"errorMessage": message, "errorType": TurnOverdue.__name__})
