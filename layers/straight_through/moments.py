"""Moments as our own texts have them: ISO 8601, UTC, milliseconds; they sort as texts do."""

from datetime import UTC, datetime, tzinfo


def iso(moment: datetime) -> str:
    """Return a moment as text that sorts like it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_iso(text: str) -> datetime:
    """Return the moment that such a text names. Raises ValueError."""
    return datetime.fromisoformat(text)


def said(text: str, zone: tzinfo = UTC) -> str:
    """Return the moment of such a text as people read it: without its milliseconds, with a zone."""
    return f"{from_iso(text).astimezone(zone):%Y-%m-%d %H:%M:%S} {zone}"
