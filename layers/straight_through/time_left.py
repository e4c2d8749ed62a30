"""Whether what goes by will have gone by in time: a function has 15 minutes and is killed then."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from straight_through.errors import TransferTooSlow

SURE_AFTER = 60  # seconds, from which on the rate so far is one to judge by
HOPELESS = 2  # times too slow: a rate may double yet, but not more
END = timedelta(seconds=10)  # that a function may take to end after its time-out
LAST = 30  # seconds before the end at which to stop: what has begun is cleaned up in them

Left = Callable[[], float]


def seconds_left(context: Any) -> Left:
    """Return what tells how many seconds the invocation has left."""
    return lambda: float(context.get_remaining_time_in_millis() / 1000)


def ended_by(context: Any, now: datetime) -> datetime:
    """Return when the invocation has ended for sure."""
    return now + timedelta(milliseconds=context.get_remaining_time_in_millis()) + END


def unhurried() -> float:
    """Tell of seconds that never grow fewer: what nobody waits for may take its time."""
    return 900.0


def within(seconds: float, clock: Callable[[], float] = time.monotonic) -> Left:
    """Return what tells how many of these seconds are left from now on."""
    end = clock() + seconds
    return lambda: end - clock()


class Pace:
    """Counts what goes by, and foresees whether all of it will do so before the function's end."""

    def __init__(self, what: str, size: int | None, left: Left, smaller: str = "the file") -> None:
        """Begin; `size` is the number of bytes to come, None where nobody has told it.

        `smaller` is what a person makes smaller where it is always too slow.
        """
        self._what = what
        self._size = size
        self._left = left
        self._smaller = smaller
        self._began_with = left()
        self._done = 0

    def passed(self, count: int) -> None:
        """Count bytes that have gone by. Raises TransferTooSlow where the rest would come too late.

        That is judged by the rate so far; where the size is not known, only in the last seconds.
        """
        self._done += count
        left = self._left()
        elapsed = self._began_with - left
        if self._done == self._size or elapsed <= 0:
            return
        needed = 0.0
        if self._size is not None and elapsed >= SURE_AFTER:
            needed = (self._size - self._done) * elapsed / self._done
        if left < LAST or needed > HOPELESS * left:
            raise TransferTooSlow(self._told(elapsed, left))

    def _told(self, elapsed: float, left: float) -> str:
        """Say size, rate and limit, and what to do."""
        rate = self._done / elapsed
        size = "of unknown size" if self._size is None else f"of {self._size:,} bytes"
        would = "" if self._size is None else f", so that all would take {self._size / rate:,.0f} s"
        return (
            f"{self._what}, {size}, is too slow for one function: {self._done:,} bytes in "
            f"{elapsed:.0f} s are {rate / 1e6:.3f} MB/s{would}. The limit is "
            f"{elapsed + left:.0f} s. If it is always so slow, make {self._smaller} "
            "smaller; if it was slow for once, redrive the run."
        )
