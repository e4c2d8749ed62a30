"""Moments and durations as people write and read them."""

import re
from datetime import UTC, datetime, timedelta

from stp.said import USAGE, Stop

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def since(text: str, option: str = "--since") -> datetime:
    """Return the moment that `2h` or `7d` ago was, or that a date names. Raises Stop."""
    if found := re.fullmatch(r"(\d{1,5})([smhdw])", text):
        return datetime.now(UTC) - timedelta(**{UNITS[found[2]]: int(found[1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Stop(
            f"{option} is {text!r}; expected is a duration such as 30m, 2h or 7d, or a date such "
            "as 2026-11-24 or 2026-11-24T09:30.",
            USAGE,
        ) from None
    return moment.astimezone(UTC)  # one without a zone is local time


def duration(seconds: float | None) -> str:
    """Return seconds in the two largest units that they have."""
    if seconds is None:
        return "unknown"
    seconds = max(seconds, 0.0)
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    first = next(n for n, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count)


def about(seconds: float) -> str:
    """Return seconds as they are guessed at: to the minute."""
    return "about " + duration(round(seconds / 60) * 60.0) if seconds >= 60 else "under a minute"


def local(moment: datetime | str | None) -> str:
    """Return a moment in this machine's time, with the date unless it is today's."""
    if not moment:
        return ""
    then = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    then = then.astimezone()
    today = then.date() == datetime.now(UTC).astimezone().date()
    return f"{then:%H:%M:%S}" if today else f"{then:%Y-%m-%d %H:%M:%S}"


def ago(moment: str) -> float:
    """Return the seconds since an ISO 8601 moment."""
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
