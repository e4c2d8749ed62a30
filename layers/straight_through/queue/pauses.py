"""Pauses: a queue stands still where every next file would meet what a run has ended with."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, cast

from straight_through.moments import iso
from straight_through.queue.items import End, Pause, QueueItem, RunRecord
from straight_through.queue.table import Refused, Table
from straight_through.queue.turns import Turns, queue_key

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


class Pauses:
    """The pauses of all queues, by a person's hand or for what runs have ended with."""

    def __init__(
        self,
        table: Table,
        turns: Turns,
        tell: Callable[[str, str], None] = lambda _subject, _message: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take the parts; `tell` sends people a message with a subject."""
        self._table = table
        self._turns = turns
        self._tell = tell
        self._now = now

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

    def weigh(
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
            f"{paused['reason'][0].upper()}{paused['reason'][1:]}, and every other run of queue "
            f"{queue} would. They wait, and nothing is lost.\n\n"
            f"Mend the cause, which the run's error says: stp show {run}. Then redrive the run, "
            f"which resumes the queue: stp redrive {run}. Or resume it by hand: "
            f"stp queue resume {queue}\n\nExecution: {arn}",
        )
        self._table.update(queue_key(queue), "SET #paused.#told = :yes", yes=True)

    def resume_after_success(self, queue: str, state: QueueItem, executed_at: str) -> None:
        """Resume a queue that rejected credentials have paused once they worked in another.

        `executed_at` is when an Execute of any queue was last answered.
        """
        paused = state.get("paused", {})
        if paused.get("error") not in OF_ALL_QUEUES:
            return
        if executed_at > paused["since"]:
            with suppress(Refused):  # a person has paused it since, or resumed it
                self._table.update(
                    queue_key(queue),
                    "REMOVE #paused",
                    "#paused.#since = :since AND #paused.#error = :error",
                    since=paused["since"],
                    error=paused["error"],
                )
            self._turns.grant(queue)


def _attempt(run: str, redrive_count: int) -> str:
    """Name an attempt of a run."""
    return f"{run} {redrive_count}"


def _held(arn: str, redrive_count: int) -> dict[str, Any]:
    """Return the values of the condition that this execution, in no later attempt, has the turn."""
    return {"arn": arn, "count": redrive_count}
