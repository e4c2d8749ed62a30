"""Two years of nine partners: each period is judged once, and as the calendar has it.

EXPECT_PARTNERS and EXPECT_YEARS choose others: 200 and 10 take half an hour of one core.
The oracle is of its own: it lists the days of a period, strikes out weekends and holidays, and lets
dateutil tell the clock.
"""

import json
import logging
import os
import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import holidays
import pytest
from dateutil import tz  # type: ignore[import-untyped]
from dateutil.relativedelta import relativedelta  # type: ignore[import-untyped]

from straight_through.end_facts import Words
from straight_through.expected import Expect
from straight_through.expecting.calendar import due as due_of
from straight_through.expecting.expectations import GRACE, Expectations
from straight_through.moments import iso
from straight_through.queue.arrivals import Arrivals
from straight_through.queue.table import Table, Write
from tests.unit.conftest import ROUTE, unhurried

PARTNERS = int(os.environ.get("EXPECT_PARTNERS") or 9)
YEARS = int(os.environ.get("EXPECT_YEARS") or 2)
BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026 + YEARS, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
log = logging.getLogger("expectations")
PLACES = (("Europe/London", "GB"), ("America/New_York", "US"), ("Asia/Tokyo", "JP"))


@dataclass
class Partner:
    """Who sends a file each period: when each is due and when it comes, by the oracle."""

    name: str
    expect: dict[str, Any]
    due: dict[str, datetime] = field(default_factory=dict)
    comes: dict[str, datetime] = field(default_factory=dict)
    told: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def months(every: str) -> list[tuple[str, date, date]]:
    """All periods with their first days and the days after their last ones."""
    found, day = [], date(2025, 12, 1)  # a Monday
    while day < date(2026 + YEARS, 2, 1):
        if every == "month":
            after, name = day + relativedelta(months=1), day.strftime("%Y-%m")
        elif every == "week":
            after, name = day + relativedelta(weeks=1), day.strftime("%G-W%V")
        else:
            after, name = day + DAY, day.isoformat()
        found.append((name, day, after))
        day = after
    return found


def worked(begin: date, after: date, off: Any) -> list[date]:
    """The working days from one day to another."""
    days = [begin + n * DAY for n in range((after - begin).days)]
    return [each for each in days if each.weekday() < 5 and each not in off]


def partner(number: int, chance: random.Random) -> Partner:
    """A partner, with what is due and what comes."""
    zone, country = PLACES[number % len(PLACES)]
    off = holidays.country_holidays(country, years=range(2025, 2027 + YEARS))
    every = ("day", "week", "month")[number // len(PLACES) % 3]
    hour = chance.choice(["01:30", "02:30", "09:00", "17:00", "23:45"])
    which = "" if every == "day" else chance.choice(["working day 3, ", "last working day, "])
    expect = {
        "file": "x-{period}.csv",
        "every": every,
        "by": which + hour,
        "zone": zone,
        "holidays": country,
    }
    made = Partner(f"p{number}", expect)
    for name, begin, after in months(every):
        days = worked(begin, after, off)
        if not days:
            if every == "day":
                continue
            days = worked(after, after + 10 * DAY, off)[:1]
        day = days[-1] if "last" in which else days[min(2, len(days) - 1)]
        at = datetime.fromisoformat(f"{day} {hour}").replace(tzinfo=tz.gettz(zone))
        moment = tz.resolve_imaginary(at).astimezone(UTC)
        if BEGIN < moment < END:
            made.due[name] = moment
            match chance.randrange(20):
                case 0:
                    continue  # it never comes
                case 1 | 2:
                    made.comes[name] = moment + timedelta(minutes=chance.randrange(1, 20_000))
                case 3:
                    made.comes[name] = moment  # at the very minute
                case _:
                    made.comes[name] = moment - timedelta(minutes=chance.randrange(30_000))
    return made


@pytest.mark.timeout(0)  # as long as many partners take
def test_years_without_a_wrong_verdict(table: Table) -> None:
    # Given partners of whom some are late and some never send, and a sweep that is lost for days
    chance = random.Random(7)  # noqa: S311 - no secret
    partners = [partner(number, chance) for number in range(PARTNERS)]
    by_name = {each.name: each for each in partners}
    documents = {each.name: json.dumps(ROUTE | {"expect": each.expect}) for each in partners}
    arrivals = sorted(
        (moment, each.name, name) for each in partners for name, moment in each.comes.items()
    )
    noted, sweeps = Arrivals(table), []

    def tell(name: str, words: Words, once: Write, now: datetime) -> None:
        table.together(once)
        _, route, period, kind, _ = name.split("#")
        by_name[route].told[period].append(kind)
        assert now >= by_name[route].due.get(period, END), words

    swept = Expectations(table, tell)
    now = BEGIN
    swept.keep(documents, now)
    # When years go by
    while now < END + 40 * DAY:
        later = now + chance.choice([6, 12, 24, 24, 24, 24 * 9]) * timedelta(hours=1)
        while arrivals and arrivals[0][0] <= later:
            moment, route, period = arrivals.pop(0)
            file: Any = {"key": f"{route}/x-{period}.csv", "dropped_at": iso(moment)}
            noted.came(f"{route}-{period}", route, period, file)
        if later.year > now.year:
            log.info("%s: %s arrivals to come", now.date(), len(arrivals))
        now = later
        sweeps.append(now)
        swept.judge(now, unhurried)
        if chance.random() < 0.01:  # another process, which knows nothing
            swept = Expectations(table, tell)
            swept.keep(documents, now)
    # Then each period has the verdict that the oracle has, once
    judged = 0
    for each in partners:
        for period, moment in each.due.items():
            came = each.comes.get(period)
            first = next(at for at in sweeps if at >= moment + GRACE)
            if came is not None and came <= moment:
                expected = []
            elif came is not None and came <= first:
                expected = ["came"]  # late, and known to have come when the sweep first looks
            else:
                expected = ["late", *(["came"] if came else [])]
            assert each.told.pop(period, []) == expected, (each.name, period, moment, came)
            judged += 1
        # And no other period has any
        assert not {period for period in each.told if period in each.due}
    log.info("%s verdicts of %s partners", judged, PARTNERS)
    assert judged > 300


@pytest.mark.parametrize(
    ("by", "zone", "due"),
    [
        # The night in which London's clocks go back, and the one in which New York's go on
        ("day 25, 01:30", "Europe/London", "2026-10-26T01:30:00.000Z"),
        ("last day, 17:00", "UTC", "2026-11-02T17:00:00.000Z"),
    ],
)
def test_a_day_that_is_not_worked_gives_way_to_the_next(by: str, zone: str, due: str) -> None:
    moment = due_of(Expect("x-{period}", "month", by, zone=zone), "2026-10")
    assert moment
    assert iso(moment) == due
