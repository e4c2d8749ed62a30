"""How much an account may have of what AWS limits; it is told over HTTP (control.py).

PUT    /_local/quotas   {"history_events": 100, "transaction_ms": 50}
GET    /_local/quotas   what holds, and how many requests were taken and refused since it does
DELETE /_local/quotas   what the server was started with

`history_events` is how long an execution's history can grow, its end included. `transaction_ms` is
how long a write transaction of DynamoDB is under way: AWS says nothing of it, and answers one in
about so long; with 0 none ever meets another. Those that are under way end when quotas are set.
AWS documentation: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
"""

import asyncio
import contextlib
import threading
from collections import Counter
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from emulator.control import Control, require_known

PATH = "/_local/quotas"
SHORTEST_HISTORY = 3  # an execution's start, one event, and its end


@dataclass(frozen=True)
class Settings:
    """The quotas, which are AWS's where nothing else is said; raises ValueError."""

    history_events: int = 25_000
    transaction_ms: float = 10.0

    def __post_init__(self) -> None:
        """Refuse what is no quota."""
        require_number("history_events", self.history_events, SHORTEST_HISTORY, whole=True)
        require_number("transaction_ms", self.transaction_ms, 0)


def require_number(name: str, value: Any, least: int, *, whole: bool = False) -> None:
    """Raise ValueError unless it is a number from `least` on."""
    kind = int if whole else int | float
    if isinstance(value, bool) or not isinstance(value, kind) or not least <= value < float("inf"):
        number = "a whole number" if whole else "a number"
        raise ValueError(f"{name} is {value!r}, but must be {number} from {least} on")


class Quotas:
    """The quotas that hold now."""

    def __init__(self, initial: Settings) -> None:
        """Begin with these."""
        self._initial = initial
        self._lock = threading.Lock()
        self._changed = asyncio.Event()
        self.set(initial)

    def set(self, settings: Settings) -> None:
        """From now on have these."""
        self._changed.set()
        self._changed = asyncio.Event()
        with self._lock:
            self.settings = settings
            self._taken: Counter[str] = Counter()
            self._refused: Counter[str] = Counter()

    def history_events(self) -> int:
        """How many events a history can have."""
        return self.settings.history_events

    async def while_under_way(self) -> None:
        """Wait as long as a transaction takes."""
        if seconds := self.settings.transaction_ms / 1000:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), seconds)

    def count(self, action: str, *, refused: bool) -> None:
        """Count a request that a quota is about."""
        with self._lock:
            (self._refused if refused else self._taken)[action] += 1

    def control(self) -> Control[Settings]:
        """What tells them over HTTP."""
        return Control(PATH, self._initial, self._read, self.set, self._report)

    def _read(self, content: dict[str, Any]) -> Settings:
        require_known(content, {field.name for field in fields(Settings)})
        return replace(self._initial, **content)

    def _report(self) -> dict[str, Any]:
        with self._lock:
            counts = {
                action: {"taken": self._taken[action], "refused": self._refused[action]}
                for action in sorted(self._taken | self._refused)
            }
            return {**asdict(self.settings), "counts": counts}
