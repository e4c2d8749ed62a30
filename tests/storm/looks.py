"""Looking again and again, until nothing new will come any more."""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

STANDSTILL = 180  # looks that show nothing new; on a busy machine each of them takes longer
Seen = TypeVar("Seen")


def looks(look: Callable[[], Seen]) -> Iterator[Seen]:
    """Yield what each look shows, one a second; fail where so many have shown the same."""
    idle, before = 0, None
    while idle < STANDSTILL:
        time.sleep(1)
        seen = look()
        idle = idle + 1 if seen == before else 0
        before = seen
        yield seen
    raise AssertionError(f"{STANDSTILL} looks have shown nothing new, but: {before}")
