"""The times that Quantemplate tells, read with care: where one does not tell, there is none."""

import re
from datetime import datetime

DATE_AND_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
EARLIEST, LATEST = 2000, 2200  # years: others are no times of an execution, and may overflow


def moment_of(text: str | None) -> datetime | None:
    """Return the moment that an ISO 8601 text with a zone names; None where it names none.

    A local time names none: nobody says where it is.
    """
    moment = _read(text)
    return moment if moment and moment.tzinfo else None


def seconds_between(begun: str | None, ended: str | None) -> float | None:
    """Return the seconds between two times of one clock, also a local one's.

    None where one cannot be read, or only one of them has a zone.
    """
    start, end = _read(begun), _read(ended)
    if start is None or end is None or (start.tzinfo is None) != (end.tzinfo is None):
        return None
    return (end - start).total_seconds()


def seconds_since(text: str | None, now: datetime) -> float | None:
    """Return the seconds from an ISO 8601 moment to `now`; None where it is no moment."""
    then = moment_of(text)
    return (now - then).total_seconds() if then else None


def _read(text: object) -> datetime | None:
    """Return a date and time in the ISO 8601 form, of a year that can be counted from.

    Python's own reading takes a number for one too: "1712123100000" would be a day in 1712.
    """
    if not isinstance(text, str) or not DATE_AND_TIME.match(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if EARLIEST <= moment.year < LATEST else None
