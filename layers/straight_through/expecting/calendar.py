"""Periods, working days, and the moment by which a file is expected.

The library of holidays is imported where a route names some: it takes half a second.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from straight_through.errors import RouteInvalid
from straight_through.expected import Expect

DAY = timedelta(days=1)
LONGEST_WITHOUT = 400  # days without one working day: then the calendar is wrong
IsWorking = Callable[[date], bool]


def period_at(every: str, day: date) -> str:
    """Return the period that a day lies in."""
    match every:
        case "day":
            return day.isoformat()
        case "week":
            year, week, _ = day.isocalendar()
            return f"{year:04}-W{week:02}"
        case "month":
            return f"{day:%Y-%m}"
    return f"{day:%Y}-Q{(day.month + 2) // 3}"


def first_day(every: str, period: str) -> date:
    """Return the first day of a period."""
    match every:
        case "day":
            return date.fromisoformat(period)
        case "week":
            return date.fromisocalendar(int(period[:4]), int(period[6:]), 1)
        case "month":
            return date(int(period[:4]), int(period[5:]), 1)
    return date(int(period[:4]), 3 * int(period[6:]) - 2, 1)


def following(every: str, period: str) -> str:
    """Return the period after another."""
    longest = {"day": 1, "week": 7, "month": 31, "quarter": 92}[every]
    return period_at(every, first_day(every, period) + longest * DAY)


def name_of(expect: Expect, period: str) -> str:
    """Return the period that stands in the name of the file that is due in a period."""
    day = first_day(expect.every, period)
    if expect.of == "this":
        return period
    day -= DAY
    working = working_days(expect.holidays)
    while expect.every == "day" and not working(day):
        day -= DAY
    return period_at(expect.every, day)


def due(expect: Expect, period: str) -> datetime | None:
    """Return by when the file of a period is expected, in UTC; None for a day that is not worked.

    A day that is no working day gives way to the next one. A number beyond the period's end is its
    last day. In an hour that a change of the clocks repeats, the first one counts; a time that it
    leaves out is that much later.
    """
    working = working_days(expect.holidays)
    begin = first_day(expect.every, period)
    end = first_day(expect.every, following(expect.every, period))
    days = [begin + number * DAY for number in range((end - begin).days)]
    which, _, clock = expect.by.rpartition(", ")
    if expect.every == "day":
        if not working(begin):
            return None
        day = begin
    else:
        worked = [each for each in days if working(each)] if "working" in which else []
        among = worked or days
        found = re.search(r"\d+", which)
        day = among[min(int(found[0]), len(among)) - 1] if found else among[-1]
        for _ in range(LONGEST_WITHOUT):
            if working(day):
                break
            day += DAY
    local = datetime.combine(day, time.fromisoformat(clock), ZoneInfo(expect.zone))
    return local.astimezone(UTC)


def next_due(expect: Expect, after: str, since: datetime) -> tuple[str, datetime]:
    """Return the first period whose file is due after a moment, and when.

    The period in the file's name follows `after`: so a file is due once, whatever its rule becomes.
    """
    period = following(expect.every, after)
    while True:
        moment = due(expect, period)
        if moment and moment > since and name_of(expect, period) > after:
            return period, moment
        period = following(expect.every, period)


def first_due(expect: Expect, since: datetime) -> tuple[str, datetime]:
    """Return the first period whose file is due after a moment, and when."""
    earlier = since.date() - timedelta(days=100)  # a due day may lie in the period after its own
    return next_due(expect, period_at(expect.every, earlier), since)


def require_known(expect: Expect) -> None:
    """Raise RouteInvalid for a zone or a country that nobody knows."""
    try:
        ZoneInfo(expect.zone)
    except (LookupError, ValueError, OSError):
        raise RouteInvalid(
            f"'zone' is {expect.zone!r}, which is no time zone; expected is a name such as "
            "'Europe/London'."
        ) from None
    try:
        working_days(expect.holidays)
    except (NotImplementedError, AttributeError, KeyError):
        raise RouteInvalid(
            f"'holidays' is {expect.holidays!r}, of which no holidays are known; expected is a "
            "country such as 'GB', or a part of one such as 'GB-ENG'."
        ) from None


@cache
def working_days(holidays_of: str) -> IsWorking:
    """Return whether a day is a working day there; without a place, from Monday to Friday."""
    if not holidays_of:
        return lambda day: day.weekday() < 5
    import holidays  # noqa: PLC0415 - by routes that name some only

    country, _, part = holidays_of.partition("-")
    known = holidays.country_holidays(country, subdiv=part or None)
    return known.is_working_day
