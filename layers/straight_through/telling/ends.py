"""The end of a run: told to other systems, and to people where it concerns them, each once."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger

from straight_through import metrics
from straight_through.queue.records import Records
from straight_through.queue.table import Item
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

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

# What the saved queries read.
LOGGED = ("status", "error", "route", "attempt", "waited_seconds", "ran_seconds")


class Ends:
    """The ends of all runs."""

    def __init__(
        self,
        records: Records,
        events: "EventBridgeClient",
        tell_people: Callable[[str, str], None],
        logger: Logger,
    ) -> None:
        """Take the parts; `tell_people` sends a message with a subject."""
        self._records = records
        self._events = events
        self._tell_people = tell_people
        self._logger = logger

    def tell(self, ended: Ended) -> Item:
        """Tell an end, and return what is told of it; what was told once is not told again."""
        facts = facts_of(ended, self._records.get(ended.releases or ended.run))
        now, once = datetime.now(UTC), f"_{ended.redrive_count}"
        event = lambda: self._tell_systems(ended, facts)  # noqa: E731 - one short line
        self._records.tell_once(ended.run, "event" + once, event, now)
        if concerns_people(facts, ended.result.get("notify", "")):
            message = lambda: self._tell_people(subject_of(facts), text_of(facts))  # noqa: E731
            about = hour_of_folder(facts) if finds_no_route(facts) else ended.run
            self._records.tell_once(about, "message" + once, message, now)
        return facts

    def _tell_systems(self, ended: Ended, facts: Item) -> None:
        """Tell the event bus; and once it has taken it, count the run and log what came of it."""
        put_event(self._events, facts)
        metrics.record_end(facts, release=bool(ended.releases))
        told = {name: facts[name] for name in LOGGED}
        self._logger.info("Told", key=facts["file"]["key"], cause=facts["message"], **told)
