"""Calls at a later time, all from one thread, however many wait."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable


class Deadline:
    """A call that is still to come."""

    def __init__(self, act: Callable[[], None]) -> None:
        self.act: Callable[[], None] | None = act

    def cancel(self) -> None:
        """Do nothing when the time comes, and let go of all that the call would need."""
        self.act = None


class Deadlines:
    """Calls functions when their time has come."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Deadline]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="deadlines", daemon=True).start()

    def after(self, seconds: float, act: Callable[[], None]) -> Deadline:
        """Call `act` in that many seconds from now, unless it is cancelled before."""
        deadline = Deadline(act)
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._order), deadline))
            self._changed.notify()
        return deadline

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._due or self._due[0][0] > time.monotonic():
                    self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
                deadline = heapq.heappop(self._due)[2]
            if act := deadline.act:
                act()
