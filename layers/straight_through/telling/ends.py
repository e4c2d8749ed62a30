"""The end of a run: told to other systems, and to people where it concerns them.

Each is told once, though the event of an end may come twice; `queue/tellings.py` says how.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from straight_through import metrics
from straight_through.queue.records import Records, noted
from straight_through.queue.table import Item, Refused, Table, update
from straight_through.queue.tellings import Tellings
from straight_through.queue.turns import queue_key
from straight_through.telling.messages import (
    Ended,
    concerns_people,
    facts_of,
    finds_no_route,
    hour_of_folder,
    put_event,
    subject_of,
    text_of,
)
from straight_through.text import shown
from straight_through.time_left import Left

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

# What the saved queries read.
LOGGED = ("status", "error", "route", "attempt", "waited_seconds", "ran_seconds")


class Ends:
    """The ends of all runs."""

    def __init__(
        self,
        table: Table,
        events: "EventBridgeClient",
        tell_people: Callable[[str, str], None],
        logger: Logger,
    ) -> None:
        """Take the parts; `tell_people` sends a message with a subject."""
        self._records = Records(table)
        self._events = events
        self._tell_people = tell_people
        self._logger = logger
        ways = {"event": self._to_systems, "message": self._to_people, "words": self._in_words}
        self._tellings = Tellings(table, ways)

    def tell(self, ended: Ended) -> Item:
        """Tell an end, and return what is told of it; what was noted before is not told again.

        Raises what telling raises, when all was tried.
        """
        facts = facts_of(ended, self._records.get(ended.releases or ended.run))
        what = {"facts": facts, "release": bool(ended.releases)}
        now, errors = datetime.now(UTC), []
        for way in ("event", "message"):
            if way == "message" and not concerns_people(facts, ended.result.get("notify", "")):
                continue
            mark, about = f"{way}_{ended.redrive_count}", ended.run
            if way == "message" and finds_no_route(facts):
                about = hour_of_folder(facts)
                if mark in self._records.get(about):
                    continue  # thousands may come at once: they read it, and do not all write it
            try:
                self._tellings.tell(f"{about}#{mark}", way, what, noted(about, mark, now), now)
            except Refused:
                continue
            except Exception as error:  # noqa: BLE001 - it is raised below
                errors.append(error)
        if errors:
            raise errors[0]
        return facts

    def tell_of_auto_run(self, queue: str, route: str, execution_id: str) -> None:
        """Tell once that somebody else's execution follows our uploads."""
        words = {
            "subject": f"Route {route}: its pipeline also runs by itself",
            "text": f"Execution {shown(execution_id)}, which is not ours, followed our upload for "
            f"route {route}. If Auto Run is switched on for this pipeline in Quantemplate, "
            "each file is processed twice there: switch it off. This is told once.",
        }
        once = update(
            queue_key(queue),
            "SET #auto_run_told = :yes",
            "attribute_not_exists(#auto_run_told)",
            yes=True,
        )
        try:
            self._tellings.tell(f"auto run#{queue}", "words", words, once, datetime.now(UTC))
        except Refused:
            return

    def tell_late(self, now: datetime, left: Left) -> None:
        """Tell what was noted and not told, while there are seconds `left`."""
        try:
            self._tellings.tell_late(now, left)
        finally:
            self._logger.set_correlation_id(None)  # the last one's

    def _to_systems(self, what: dict[str, Any]) -> None:
        """Tell the event bus; and once it has taken it, count the run and log what came of it."""
        facts = what["facts"]
        self._logger.set_correlation_id(facts["run"])
        put_event(self._events, facts)
        metrics.record_end(facts, release=what["release"])
        told = {name: facts[name] for name in LOGGED}
        self._logger.info("Told", key=facts["file"]["key"], cause=facts["message"], **told)

    def _to_people(self, what: dict[str, Any]) -> None:
        """Tell people of an end."""
        self._tell_people(subject_of(what["facts"]), text_of(what["facts"]))

    def _in_words(self, what: dict[str, Any]) -> None:
        """Tell people something else."""
        self._tell_people(what["subject"], what["text"])
