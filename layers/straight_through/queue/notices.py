"""What people are told of what goes on: a run has waited for an hour, or a set is incomplete.

The functions that wait, or gather a set, note it; the sweep tells it, once.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import cast

from straight_through.attempts import Attempt
from straight_through.errors import AwsDenied, AwsUnavailable
from straight_through.moments import from_iso, iso, said
from straight_through.queue.items import Notice
from straight_through.queue.table import Key, Refused, Table
from straight_through.queue.tellings import PATIENCE as MAY_TELL
from straight_through.run_state import RunState, Waiting
from straight_through.text import shown
from straight_through.time_left import LAST, Left

NOTICES = "notices"  # the partition
PATIENCE = timedelta(hours=1)  # that a wait may take before people are told of it
LIFETIME = timedelta(days=14)  # longer than any wait
LONGEST_ABOUT = 1200  # characters of bucket, key and route: a key has 1,024 at most
TODO = {
    "ApiUnavailable": "Look whether Quantemplate can be reached. It is asked again by itself until "
    "then; only after that, redrive the run.",
    "PipelineBusy": "Look in Quantemplate at what is going on there, and end it if it should not. "
    "It is looked at again by itself until then; only after that, redrive the run.",
    "UnknownStatus": "Look at the execution in Quantemplate. When it ends there, the run goes on "
    "by itself; to give it up, stop the run.",
}


class Notices:
    """The notices of all runs."""

    def __init__(self, table: Table) -> None:
        """Take the table."""
        self._table = table

    def follow(
        self, attempt: Attempt, before: RunState, state: RunState, about: str, now: datetime
    ) -> RunState:
        """Return the state with what its `waiting` needs so that people are told of it.

        `before` is the state as it came in, `about` says which file and route. What was waited for
        before and is over is not told any more.
        """
        was, waiting = before.get("waiting"), state.get("waiting")
        same = was and waiting and _key(attempt, was) == _key(attempt, waiting)
        if was and was.get("noted") and not same:
            self._withdraw(attempt, was)
        if not waiting:
            return state
        due = from_iso(waiting["since"]) + PATIENCE
        if not (was and same and was.get("noted")):
            if now + timedelta(seconds=state["wait_seconds"]) < due:
                return state
            self._note(attempt, waiting, about, due, now)
        return {**state, "waiting": {**waiting, "noted": True}}

    def _note(
        self, attempt: Attempt, waiting: Waiting, about: str, due: datetime, now: datetime
    ) -> None:
        """Note what is to be told, if it is still waited for when it is due."""
        text = (
            f"The {shown(about, LONGEST_ABOUT)}, has waited since {said(waiting['since'])} for "
            f"this:\n\n{waiting['for']}\n\n"
            f"It goes on waiting until {said(waiting['until'])} at most, and nothing is lost. The "
            f"other runs of its queue wait behind it.\n\n{TODO[waiting['kind']]}\n\n"
            f"See it: stp show {attempt.run}\nExecution: {attempt.execution_arn}"
        )
        with suppress(Refused):  # noted, or told, by an earlier try
            self._table.update(
                _key(attempt, waiting),
                "SET #run = :run, #arn = :arn, #due = :due, #subject = :subject, #text = :text,"
                " #told = :no, #expires_at = :expires_at",
                "attribute_not_exists(#told)",
                run=attempt.run,
                arn=attempt.execution_arn,
                due=iso(due),
                subject=f"Waits ({waiting['kind']}): {attempt.run}",
                text=text,
                no=False,
                expires_at=int((now + LIFETIME).timestamp()),
            )

    def _withdraw(self, attempt: Attempt, waiting: Waiting) -> None:
        """Let nobody be told what is over and was not told yet."""
        with suppress(Refused):
            self._table.delete(_key(attempt, waiting), "#told = :no", no=False)

    def tell_due(
        self,
        tell: Callable[[str, str], None],
        ended: Callable[[str], object],
        may_look: Callable[[], bool],
        now: datetime,
        left: Left,
    ) -> None:
        """Tell, once each, what is due of executions that have not `ended`.

        While it `may_look` whether they have, and there are seconds `left`; the next sweep goes on.
        One that cannot be told keeps no other back, unless a service does not answer or denies it.
        The first error is raised at the end.
        """
        errors: list[Exception] = []
        for item in self._table.items(NOTICES):
            notice = cast("Notice", item)
            try:
                if notice["told"] or notice["due"] > iso(now):
                    continue
                if not may_look() or left() < LAST:
                    break
                self._tell(notice, tell, ended, now)
            except (AwsDenied, AwsUnavailable) as error:
                errors.append(error)
                break  # it would for the others too, and each would take its time
            except Exception as error:  # noqa: BLE001 - it is raised below
                errors.append(error)
        if errors:
            raise errors[0]

    def _tell(
        self,
        notice: Notice,
        tell: Callable[[str, str], None],
        ended: Callable[[str], object],
        now: datetime,
    ) -> None:
        """Tell one notice that is due."""
        key = (NOTICES, notice["sk"])
        if "arn" in notice and ended(notice["arn"]):
            with suppress(Refused):
                self._table.delete(key, "#told = :no", no=False)
            return
        try:
            self._table.update(
                key,
                "SET #telling = :now",
                "#told = :no AND (attribute_not_exists(#telling) OR #telling < :died)",
                now=iso(now),
                no=False,
                died=iso(now - MAY_TELL),
            )
        except Refused:
            return  # another sweep tells it, or it is over
        try:
            tell(notice["subject"], notice["text"])
        except Exception:
            with suppress(Refused):
                self._table.update(key, "REMOVE #telling", "#told = :no", no=False)
            raise
        with suppress(Refused):  # it is over meanwhile
            self._table.update(key, "SET #told = :yes", "#told = :no", yes=True, no=False)


def _key(attempt: Attempt, waiting: Waiting) -> Key:
    """Return the key of the notice of one wait of one run."""
    return NOTICES, f"{attempt.run}#{waiting['kind']}#{waiting['since']}"
