"""The server's clock, which may be another one than ours, and how it writes a moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

FORMS = ("utc", "no_zone", "milliseconds", "zone_name", "unreadable")


@dataclass
class Clock:
    """`ahead` is in seconds, negative where the clock is behind; `times` is one of FORMS."""

    ahead: float = 0.0
    times: str = "utc"

    def shown(self, moment: str, further: float = 0.0) -> str | int:
        """A moment of the journal's, `further` seconds on, as the API tells it."""
        told = datetime.fromisoformat(moment) + timedelta(seconds=self.ahead + further)
        iso = told.isoformat(timespec="microseconds").replace("+00:00", "Z")
        match self.times:
            case "no_zone":
                return told.replace(tzinfo=None).isoformat(timespec="milliseconds")
            case "milliseconds":
                return int(told.timestamp() * 1000)
            case "zone_name":
                return f"{iso}[UTC]"
            case "unreadable":
                return f"{told:%A, %d.%m.}"
            case _:
                return iso
