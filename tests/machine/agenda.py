"""Virtual time: what is due when, and a clock that can be put forward."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

Action = Callable[[], None]


TICK = timedelta(milliseconds=1)


class Clock(datetime):
    """A clock that can be put forward: it stands in the place of datetime.

    By itself it goes a tick further each time that it is looked at: so a test takes the same course
    on a machine however busy.
    """

    began = datetime.now(UTC)
    ahead = timedelta()

    @classmethod
    def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
        """The time of the test."""
        cls.ahead += TICK
        moment = (cls.began + cls.ahead).astimezone(tz)
        return moment if tz else moment.replace(tzinfo=None)

    @classmethod
    def begin(cls) -> None:
        """Let a test begin now."""
        cls.began, cls.ahead = datetime.now(UTC), timedelta()

    @classmethod
    def reach(cls, moment: datetime) -> None:
        """Go forward to a moment, unless it is over."""
        cls.ahead += max(moment - cls.now(moment.tzinfo), timedelta())


@dataclass(order=True)
class _Entry:
    due: datetime
    number: int
    action: Action = field(compare=False)
    of: object = field(compare=False)


class Agenda:
    """What is due when. Nothing happens by itself: whoever plays takes what is due next."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        """Nothing is due yet; `now` tells the time."""
        self.now = now
        self._entries: list[_Entry] = []
        self._number = 0

    def later(self, seconds: float, action: Action, of: object = None) -> None:
        """Put something on the agenda, of somebody."""
        self._number += 1
        due = self.now() + timedelta(seconds=seconds)
        self._entries.append(_Entry(due, self._number, action, of))

    def next_due(self, of: object = None) -> datetime | None:
        """When something is due next, of somebody or of anybody."""
        entry = self._next(of)
        return entry.due if entry else None

    def take(self, of: object = None) -> Action:
        """Take what is due next off the agenda."""
        entry = self._next(of)
        assert entry, "nothing is due"
        self._entries.remove(entry)
        return entry.action

    def forget(self, of: object) -> None:
        """Take all of somebody's off the agenda."""
        self._entries = [entry for entry in self._entries if entry.of is not of]

    def _next(self, of: object) -> _Entry | None:
        return min((e for e in self._entries if of is None or e.of is of), default=None)
