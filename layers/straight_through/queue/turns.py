"""Whose turn it is: one run at a time in each queue, from its upload to its terminal status.

A queue is one item; who waits has a ticket, and the tickets of a queue sort by the time of their
drop. Whoever asks for a turn writes its ticket first and then grants; whoever gives one back
releases first and then grants: so the last of them to look sees both.
"""

import json
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from straight_through.attempts import Attempt
from straight_through.aws import answering
from straight_through.errors import PipelineBusy, TurnLost
from straight_through.moments import from_iso, iso
from straight_through.queue.items import (
    EndedExecution,
    Holder,
    Mark,
    Post,
    QueueItem,
    RunRecord,
    Ticket,
)
from straight_through.queue.records import record_key, record_update
from straight_through.queue.table import Item, Key, Refused, Table, Write, check, delete, update
from straight_through.run_state import SCHEMA, DroppedFile, RunState, TurnState

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

QUEUES = "queues"
DEAD_TICKETS = 25  # of ended executions, passed over in one go; the sweep goes on behind them
MARK_FREE = "(attribute_not_exists(#holder.#mark) OR #holder.#mark.#until < :now)"


@dataclass(frozen=True)
class Turn:
    """A turn that was granted, as it travels through the state machine."""

    queue: str
    turn_id: str


def queue_key(queue: str) -> Key:
    """Return the key of a queue's item: its holder, its last POST of Execute, its pause."""
    return QUEUES, queue


def tickets(queue: str) -> str:
    """Return the partition of a queue's tickets."""
    return f"tickets#{queue}"


def whole(ticket: Item) -> TypeGuard[Ticket]:
    """Whether a ticket has what it must: a person may have changed it; others wait behind it."""
    for name in ("execution_arn", "run", "token", "asked_at", "route"):
        if not isinstance(ticket.get(name), str):
            return False
    return isinstance(ticket.get("redrive_count"), int)


class Turns:
    """The turns of all queues."""

    def __init__(
        self,
        table: Table,
        states: "SFNClient",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take the table and Step Functions, which wakes the executions that wait."""
        self.table = table
        self._states = states
        self._now = now
        self.looks = 0  # calls of DescribeExecution, of which an account has few

    # --- asking for a turn ----------------------------------------------------------------------
    def take(
        self,
        queue: str,
        attempt: Attempt,
        source: DroppedFile | None,
        token: str,
        stamp: str,
        route: str,
    ) -> None:
        """Wait in the queue with a task token, which is answered when the turn has come.

        Of several tries of one execution, the one with the greatest stamp counts.
        """
        while True:
            record = cast("RunRecord", self.table.get(record_key(attempt.run)) or {})
            if record.get("stamp", "") > stamp:
                return  # a later try has asked with a token of its own
            before = record.get("queue", queue)
            if before != queue:  # the route has changed
                self.leave(before, record["ticket"], attempt.execution_arn, attempt.redrive_count)
            values = {
                "queue": queue,
                "ticket": attempt.order,
                "stamp": stamp,
                "source": source,
                "route": route,
                "arn": attempt.execution_arn,
            }
            remember = record_update(attempt.run, record.get("stamp"), values, self._now())
            ticket = update(
                (tickets(queue), attempt.order),
                "SET #execution_arn = :arn, #run = :run, #redrive_count = :count, #token = :token,"
                " #asked_at = :asked_at, #route = :route, #schema = :schema",
                arn=attempt.execution_arn,
                run=attempt.run,
                count=attempt.redrive_count,
                token=token,
                asked_at=attempt.began,
                route=route,
                schema=SCHEMA,
            )
            # Who asks for the first time holds no turn: what all others of the queue write stays
            # untouched, so that many can ask at once.
            asked = [ticket, remember]
            if "queue" in record:
                not_holding = "attribute_not_exists(#holder) OR #holder.#execution_arn <> :arn"
                arn = attempt.execution_arn
                asked.append(check(queue_key(queue), not_holding, arn=arn))
            try:
                self.table.together(*asked)
                break
            except Refused as refused:
                holds = refused.items[2] if len(asked) > 2 else None
            if holds and self._take_again(queue, holds["holder"], attempt, token, remember):
                return
        self._resume_for(queue, attempt)
        self.grant(queue)

    def _take_again(
        self, queue: str, holder: Holder, attempt: Attempt, token: str, remember: Write
    ) -> bool:
        """Answer an execution that holds the turn already; False where it has lost it by now."""
        anew = holder | {
            "token": token,
            "redrive_count": attempt.redrive_count,
            "turn_id": uuid.uuid4().hex,
            "granted_at": iso(self._now()),
            "entered": False,
            "schema": SCHEMA,
        }
        anew.pop("ended", None)
        try:
            self.table.together(
                update(
                    queue_key(queue),
                    "SET #holder = :anew",
                    "#holder = :seen",
                    anew=anew,
                    seen=holder,
                ),
                remember,
            )
        except Refused:
            return False
        self._answer(queue, anew)
        return True

    def works_again(self, queue: str, attempt: Attempt) -> None:
        """Let a queue go on that trouble has paused, since a redriven execution has met none."""
        if self._resume_for(queue, attempt):
            self.grant(queue)

    def _resume_for(self, queue: str, attempt: Attempt) -> bool:
        """Take back a pause for trouble that is older than this redrive: a person has mended it."""
        if not attempt.redrive_count:
            return False
        try:
            self.table.update(
                queue_key(queue),
                "REMOVE #paused",
                "attribute_exists(#paused.#error) AND #paused.#since < :began",
                began=attempt.began,
            )
        except Refused:
            return False
        return True

    # --- granting -------------------------------------------------------------------------------
    def grant(self, queue: str) -> None:
        """Give the turn to the oldest ticket, unless somebody holds it or the queue is paused."""
        dead = 0
        while dead < DEAD_TICKETS:
            state = self.state(queue)
            if "holder" in state or "paused" in state:
                return
            ticket = self._oldest(queue)
            if ticket is None:
                return
            holder: Holder = {
                "schema": SCHEMA,
                "execution_arn": ticket["execution_arn"],
                "run": ticket["run"],
                "redrive_count": ticket["redrive_count"],
                "token": ticket["token"],
                "route": ticket["route"],
                "turn_id": uuid.uuid4().hex,
                "granted_at": iso(self._now()),
                "entered": False,
                "kills": 0,
            }
            try:
                self.table.together(
                    delete(
                        (tickets(queue), ticket["sk"]), "#token = :token", token=ticket["token"]
                    ),
                    update(
                        queue_key(queue),
                        "SET #holder = :holder",
                        "attribute_not_exists(#holder) AND attribute_not_exists(#paused)",
                        holder=holder,
                    ),
                )
            except Refused:
                continue
            if self._answer(queue, holder):
                return
            dead += 1

    def _oldest(self, queue: str) -> Ticket | None:
        """Return the ticket whose turn it is; a damaged one keeps no other from it."""
        first = self.table.first(tickets(queue))
        if first is None or whole(first):
            return first
        return next(filter(whole, self.table.items(tickets(queue))), None)

    def answer_again(self, queue: str, holder: Holder) -> None:
        """Wake a holder whom its grant may never have reached; a second answer changes nothing."""
        if not self._answer(queue, holder):
            self.grant(queue)

    def _answer(self, queue: str, holder: Holder) -> bool:
        """Wake the execution that holds the turn; False where it has ended and lost it again."""
        if self._wake(holder["token"], {"queue": queue, "turn_id": holder["turn_id"]}):
            return True
        # Its try is over. A later one asks again, unless the execution has ended.
        ended_with = self.ended(holder["execution_arn"])
        if ended_with is None:
            return True
        return not self._release(queue, holder["execution_arn"], ended_with["redrive_count"])

    def need_none(self, token: str) -> None:
        """Let an execution go on without a turn: it follows a run that exists."""
        self._wake(token, None)  # where its try is over, nobody waits for the answer

    def _wake(self, token: str, turn: TurnState | None) -> bool:
        """Answer a task token; False where nobody waits with it any more."""
        errors = self._states.exceptions
        granted: RunState = {"schema": SCHEMA, "turn": turn}
        try:
            with answering("Step Functions"):
                self._states.send_task_success(taskToken=token, output=json.dumps(granted))
        except (errors.TaskTimedOut, errors.TaskDoesNotExist, errors.InvalidToken):
            return False
        return True

    def ended(self, execution_arn: str) -> EndedExecution | None:
        """Return how an execution has ended, with the attempt's redrive count; None if it runs."""
        self.looks += 1
        try:
            with answering("Step Functions"):
                found = self._states.describe_execution(executionArn=execution_arn)
        except self._states.exceptions.ExecutionDoesNotExist:
            return {"status": "GONE", "redrive_count": 10**6, "error": ""}
        if found["status"] in ("RUNNING", "PENDING_REDRIVE"):
            return None
        return {
            "status": found["status"],
            "redrive_count": found.get("redriveCount", 0),
            "error": found.get("error", ""),
        }

    # --- holding --------------------------------------------------------------------------------
    def enter(self, turn: Turn, attempt: Attempt, until: datetime, *also: Write) -> str:
        """Mark the turn before its side effects, until `until` at most; return the mark's id.

        While it is marked the turn is neither passed on nor entered again. Raises TurnLost;
        PipelineBusy while an earlier function of the same execution may be at work; Refused with
        the items that refused the writes of `also`.
        """
        mark: Mark = {"id": uuid.uuid4().hex, "until": iso(until)}
        try:
            self.table.together(
                update(
                    queue_key(turn.queue),
                    "SET #holder.#mark = :mark, #holder.#entered = :yes,"
                    " #holder.#redrive_count = :count, #holder.#kills = #holder.#kills + :one"
                    " REMOVE #holder.#ended",
                    "#holder.#execution_arn = :arn AND #holder.#turn_id = :turn"
                    " AND #holder.#redrive_count <= :count"
                    " AND (attribute_not_exists(#holder.#ended) OR #holder.#ended < :count)"
                    f" AND {MARK_FREE}",
                    mark=mark,
                    yes=True,
                    one=1,
                    count=attempt.redrive_count,
                    arn=attempt.execution_arn,
                    turn=turn.turn_id,
                    now=iso(self._now()),
                ),
                *also,
            )
        except Refused as refused:
            queue = refused.items[0]
            if queue is None:
                raise Refused(refused.items[1:]) from None
            self._say_why_not(turn, attempt, queue.get("holder", {}))
        return str(mark["id"])

    def _say_why_not(self, turn: Turn, attempt: Attempt, holder: Holder) -> None:
        """Raise the error that tells why a turn cannot be entered."""
        mark, now = holder.get("mark", {"until": ""}), self._now()
        mine = holder.get("turn_id") == turn.turn_id
        if mine and holder["redrive_count"] <= attempt.redrive_count and mark["until"] > iso(now):
            left = (from_iso(mark["until"]) - now).total_seconds()
            raise PipelineBusy(
                "A function of this run's earlier attempt may still be uploading, until "
                f"{mark['until']} at the latest.",
                retry_after=left,
            )
        raise TurnLost(f"The turn in queue {turn.queue} has been passed on. Asking for another.")

    def state(self, queue: str) -> QueueItem:
        """Return a queue's item as it is now."""
        return cast("QueueItem", self.table.get(queue_key(queue)) or {})

    def post(self, turn: Turn, mark: str, run: str, post: Post, *also: Write) -> None:
        """Note, before Execute is sent, that it will be. Raises TurnLost where it must not be.

        `also` are writes that go with it, and that nothing refuses.
        """
        try:
            self.table.together(
                update(
                    queue_key(turn.queue),
                    "SET #last_post = :post",
                    "#holder.#mark.#id = :mark AND #holder.#turn_id = :turn"
                    " AND attribute_not_exists(#holder.#ended)",
                    post=post,
                    mark=mark,
                    turn=turn.turn_id,
                ),
                update(record_key(run), "SET #posted = :post", post=post),
                *also,
            )
        except Refused:
            raise TurnLost(
                f"The run ended, or lost its turn in queue {turn.queue}, during the upload: "
                "the pipeline was not executed."
            ) from None

    def unmark(self, turn: Turn, mark: str, execution_arn: str, *, executed: bool = False) -> None:
        """Clear the mark; if the execution has ended meanwhile, pass its turn on."""
        values: dict[str, Any] = {"mark": mark, "none": 0}
        if executed:
            values["at"] = iso(self._now())
        try:
            queue = self.table.update(
                queue_key(turn.queue),
                f"SET #holder.#kills = :none{', #executed_at = :at' if executed else ''}"
                " REMOVE #holder.#mark",
                "#holder.#mark.#id = :mark",
                **values,
            )
        except Refused as refused:
            # It lapsed, and the turn was passed on. Or the first reply was lost, and this is
            # boto3's second try.
            queue = refused.items[0] or {}
        holder = queue.get("holder", {})
        if holder.get("execution_arn") == execution_arn and "ended" in holder:
            self.pass_on(turn.queue, execution_arn, holder["ended"])

    # --- giving it back -------------------------------------------------------------------------
    def pass_on(
        self, queue: str, execution_arn: str, redrive_count: int, turn_id: str = ""
    ) -> None:
        """Release the turn if this execution, in no later attempt, holds it; grant it to the next.

        With `turn_id`, it is that very turn, and its run has ended in Quantemplate.
        """
        self._release(queue, execution_arn, redrive_count, turn_id)
        self.grant(queue)

    def run_ended(self, record: RunState, attempt: Attempt) -> None:
        """Let the next file of the queue begin: the run of this turn has ended, or it has none."""
        if turn := record["turn"]:
            # Without a run, what became of the file before may still be open.
            ended = turn["turn_id"] if record["quantemplate"] else ""
            self.pass_on(turn["queue"], attempt.execution_arn, attempt.redrive_count, ended)

    def leave(self, queue: str, ticket: str, execution_arn: str, redrive_count: int) -> None:
        """Give back ticket and turn that this execution has, in no later attempt."""
        with suppress(Refused):  # it waits no more, or a later attempt does
            self.table.delete(
                (tickets(queue), ticket),
                "#execution_arn = :arn AND #redrive_count <= :count",
                arn=execution_arn,
                count=redrive_count,
            )
        self.pass_on(queue, execution_arn, redrive_count)

    def _release(
        self, queue: str, execution_arn: str, redrive_count: int, turn_id: str = ""
    ) -> bool:
        """Release the turn; False where it is not theirs, or is marked: then unmarking does it."""
        theirs = "#holder.#execution_arn = :arn AND #holder.#redrive_count <= :count"
        values: dict[str, Any] = {"arn": execution_arn, "count": redrive_count}
        given_back = "REMOVE #holder"
        if turn_id:
            theirs += " AND #holder.#turn_id = :turn"
            values["turn"] = turn_id
            # What became of it is known, and nothing kept it from its end.
            given_back += ", #last_post, #last_trouble"
        while True:
            try:
                now = iso(self._now())
                self.table.update(
                    queue_key(queue),
                    given_back,
                    f"{theirs} AND {MARK_FREE}",
                    now=now,
                    **values,
                )
                return True
            except Refused as refused:
                (seen,) = refused.items
            holder = (seen or {}).get("holder", {})
            try:
                self.table.update(
                    queue_key(queue),
                    "SET #holder.#ended = :count",
                    f"{theirs} AND #holder.#mark.#until >= :now",
                    now=now,
                    **values,
                )
                return False
            except Refused:
                if "mark" not in holder or holder["execution_arn"] != execution_arn:
                    return False
                # The mark was cleared or lapsed between the two: look again.
                if holder["redrive_count"] > redrive_count:
                    return False
                if turn_id and holder["turn_id"] != turn_id:
                    return False
