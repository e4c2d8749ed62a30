"""What truly happened, in the order it happened: the evidence that tests judge by."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any


def timestamp() -> str:
    """Now, as ISO 8601 in UTC with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Journal:
    """An append-only list of entries.

    Its lock is the one lock of the stand-in: who changes anything holds it while changing and
    noting, so the order of the entries is the order of the changes.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self._entries: list[dict[str, Any]] = []

    def note(self, event: str, **facts: Any) -> None:
        """Append one entry, numbered from 1."""
        with self.lock:
            entry = {"seq": len(self._entries) + 1, "at": timestamp(), "event": event}
            self._entries.append(entry | facts)

    def entries(self, after: int = 0) -> list[dict[str, Any]]:
        """The entries whose number is above `after`."""
        with self.lock:
            return self._entries[max(after, 0) :]
