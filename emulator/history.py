"""An execution's event history, through all its attempts."""

import copy
import threading
import time
from collections.abc import Callable
from typing import Any

from moto.stepfunctions.parser.api import HistoryEventType, Timestamp
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.eval.event.event_manager import (
    EventHistoryContext,
    EventManager,
)

from emulator.resumption import Place

Event = dict[str, Any]
UNSUCCESSFUL = ("Failed", "TimedOut")  # ends of the names of a try's last event


def now() -> float:
    """The time in seconds since the epoch, to the millisecond, as AWS writes it."""
    return round(time.time(), 3)


class History:
    """Events in the order in which they happened; ids count from 1 and go on after a redrive.

    `longest` tells how many there can be, the execution's end included.
    """

    def __init__(self, longest: Callable[[], int]) -> None:
        self.longest = longest
        self.lock = threading.RLock()
        self._events: list[Event] = []

    def add(self, kind: str, previous: int, details: dict[str, Any] | None = None) -> int:
        """Append one event and return its id."""
        with self.lock:
            event = {
                "timestamp": now(),
                "type": kind,
                "id": len(self._events) + 1,
                "previousEventId": previous,
                **(details or {}),
            }
            self._events.append(event)
            return len(self._events)

    def kind_of(self, event: int) -> str:
        """The kind of the event with this id; empty for 0, which is none."""
        return str(self._events[event - 1]["type"]) if event else ""

    @property
    def is_full(self) -> bool:
        """Whether nothing has room any more but the end of the execution."""
        return len(self._events) >= self.longest() - 1

    def __len__(self) -> int:
        return len(self._events)

    def read(self, start: int, stop: int, *, with_data: bool) -> list[Event]:
        """Copies of the events at these positions, with or without inputs and outputs."""
        events = copy.deepcopy(self._events[start:stop])
        for details in (d for e in events for d in e.values() if isinstance(d, dict)):
            for field in ("input", "output"):
                if field in details and not with_data:
                    del details[field]
                    details[f"{field}Details"] = {"truncated": False}
        return events


class PlacedContext(EventHistoryContext):  # type: ignore[misc] # untyped library
    """Where a chain of events goes on, and the place whose states they tell of."""

    def __init__(self, continued: EventHistoryContext, place: Place) -> None:
        super().__init__(continued.source_event_id)
        self.last_published_event_id = continued.last_published_event_id
        self.place = place


class Recorder(EventManager):  # type: ignore[misc] # untyped library
    """Writes one attempt's events into the history, until the attempt is cut off.

    `outgrown` is called when an event has no room there; `entering` waits until a state may be
    entered, or tried again.
    """

    def __init__(
        self, history: History, outgrown: Callable[[], None], entering: Callable[[], None]
    ) -> None:
        super().__init__()
        self._history = history
        self._outgrown = outgrown
        self._entering = entering
        self.closed = False

    def add_event(
        self,
        context: EventHistoryContext,
        event_type: HistoryEventType,
        event_details: EventDetails | None = None,
        timestamp: Timestamp | None = None,  # noqa: ARG002 - the engine's interface
        update_source_event_id: bool = True,  # noqa: FBT001, FBT002 - the engine's interface
    ) -> int:
        """Record what the engine says; after the end of the attempt nothing it says counts."""
        kind = event_type.value
        place = getattr(context, "place", None)
        if not self.closed and self._is_transition(kind, context.source_event_id):
            self._entering()
        with self._history.lock:
            if self.closed or (place and kind.endswith("StateEntered") and place.reenters()):
                return int(context.last_published_event_id)
            outgrown = self.closed = self._history.is_full
            if not outgrown:
                event_id = self._history.add(kind, context.source_event_id, event_details)
                if place and kind.endswith("StateExited"):
                    place.advance()
        if outgrown:
            self._outgrown()  # without the lock: who ends the execution takes it, after his own
            return int(context.last_published_event_id)
        context.last_published_event_id = event_id
        if update_source_event_id:
            context.source_event_id = event_id
        return event_id

    def _is_transition(self, kind: str, previous: int) -> bool:
        """Whether an event after another one enters a state, or tries one again."""
        again = self._history.kind_of(previous).endswith(UNSUCCESSFUL)
        return kind.endswith("StateEntered") or (kind.endswith("Scheduled") and again)
