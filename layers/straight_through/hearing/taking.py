"""What an event does: it wakes the run that waits for it, and is noted for those who ask why."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

from straight_through.hearing.event import DATASET_UPDATED, PIPELINE_COMPLETED, Event
from straight_through.hearing.listeners import Listeners
from straight_through.moments import iso
from straight_through.queue.items import HeardEvent, HeardPipeline
from straight_through.queue.table import Table
from straight_through.starting.updates import Starter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_stepfunctions import SFNClient

TEST = "StraightThroughTest"  # an event that an operator sends himself
HEARD, LAST = "heard", "heard_last"
LIFETIME = timedelta(days=30)
LAST_LIFETIME = timedelta(days=400)  # of pipelines that run once a year
NOBODY, UNKNOWN, NO_ROUTE = "nobody waits for it", "unknown, ignored", "no route waits for it"


def take(table: Table, states: "SFNClient", starter: Starter, event: Event, now: datetime) -> str:
    """Let an event do what it may, note it, and return what it did.

    It is noted last: one whose note was lost has done its work. Raises AwsUnavailable, AwsDenied.
    """
    if event.name == PIPELINE_COMPLETED:
        woken = Listeners(table).tell(event, states, now)
        did = f"woke {woken}" if woken else NOBODY
        table.update(
            (LAST, event.pipeline_id),
            "SET #at = :now, #expires_at = :expires_at",
            now=iso(now),
            expires_at=int((now + LAST_LIFETIME).timestamp()),
        )
    elif event.name == DATASET_UPDATED:
        did = starter.updated(event.dataset_id, event.id, now) or NO_ROUTE
    elif event.name == TEST:
        did = "nothing: it is a test"
    else:
        did = UNKNOWN
    ids = (event.pipeline_id, event.execution_id, event.dataset_id)
    table.update(
        (HEARD, f"{now.astimezone(UTC).isoformat(timespec='microseconds')}#{event.id}"),
        "SET #name = :name, #about = :about, #did = :did, #expires_at = :expires_at",
        name=event.name,
        about=" ".join(filter(None, ids)),
        did=did,
        expires_at=int((now + LIFETIME).timestamp()),
    )
    return did


def heard_events(table: Table) -> "Iterator[HeardEvent]":
    """Return the events of the last 30 days, the newest first."""
    yield from cast("Iterator[HeardEvent]", table.items(HEARD, newest_first=True))


def last_heard(table: Table) -> dict[str, str]:
    """Return when the last event came, for each pipeline of which one came."""
    found = cast("Iterator[HeardPipeline]", table.items(LAST))
    return {item["sk"]: item["at"] for item in found}
