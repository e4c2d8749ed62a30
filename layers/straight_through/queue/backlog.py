"""How the queues stand, as a sweep finds them, and what is measured of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from straight_through.metrics import (
    FILES_WAITING,
    LONGEST_TURN,
    LONGEST_WAIT,
    QUEUES_PAUSED,
    QUEUES_STANDING_STILL,
    Metric,
)
from straight_through.moments import from_iso
from straight_through.queue.items import QueueItem
from straight_through.queue.table import Item
from straight_through.queue.turns import whole


@dataclass(frozen=True)
class Standing:
    """One queue; times in seconds, 0 where nobody waits or nobody holds the turn."""

    paused: bool
    waiting: int
    longest_wait: float
    turn: float

    @property
    def still(self) -> float:
        """Seconds since something moved, by itself and not because somebody has paused it."""
        if self.paused:
            return 0.0
        return self.turn or self.longest_wait


def standing_of(state: QueueItem, tickets: Iterable[Item], now: datetime) -> Standing:
    """Return how a queue stands, by its item and its tickets: they go by, and none is kept."""
    waiting, first = 0, None
    for ticket in tickets:
        waiting += 1
        # Not since the drop: a redriven file's may be days ago.
        if whole(ticket) and (first is None or ticket["asked_at"] < first):
            first = ticket["asked_at"]
    return Standing(
        paused="paused" in state,
        waiting=waiting,
        longest_wait=_seconds(first, now) if first is not None else 0.0,
        turn=_seconds(state["holder"]["granted_at"], now) if "holder" in state else 0.0,
    )


def measures_of(queues: Sequence[Standing], patience: timedelta) -> dict[Metric, float]:
    """Return what is recorded of all queues; `patience` is how long one may stand still."""
    return {
        FILES_WAITING: sum(queue.waiting for queue in queues),
        LONGEST_WAIT: max((queue.longest_wait for queue in queues), default=0.0),
        LONGEST_TURN: max((queue.turn for queue in queues), default=0.0),
        QUEUES_PAUSED: sum(queue.paused for queue in queues),
        QUEUES_STANDING_STILL: sum(queue.still > patience.total_seconds() for queue in queues),
    }


def _seconds(since: str, now: datetime) -> float:
    """Return the seconds since a moment; 0 for one that another clock puts after now."""
    return max((now - from_iso(since)).total_seconds(), 0.0)
