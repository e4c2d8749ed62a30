"""The moments of a schedule; cron's library is imported where one is read."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from straight_through.errors import RouteInvalid
from straight_through.routes import When

MOST = 50_000  # moments that are passed over in one go: a month of minutes


def moments(when: When, after: datetime) -> Iterator[datetime]:
    """Yield the moments of a schedule after another, in UTC. Raises RouteInvalid.

    In the hour that a change of the clocks leaves out, what is due in it comes at its end; in the
    one that it repeats, what is due at a fixed time comes once, as cron on Debian has it.
    """
    from cronsim import CronSim, CronSimError  # noqa: PLC0415 - by what has a schedule only

    try:
        zone = ZoneInfo(when.zone)
    except (LookupError, ValueError, OSError):
        raise RouteInvalid(
            f"'zone' is {when.zone!r}, which is no time zone; expected is a name such as "
            "'Europe/London'."
        ) from None
    try:
        found = CronSim(when.at, after.astimezone(zone))
    except CronSimError as error:
        raise RouteInvalid(f"'at' is {when.at!r}, which is no schedule: {error}.") from None
    last = after
    for moment in found:
        utc = moment.astimezone(UTC)
        if utc > last:  # in an hour that is repeated the library may begin anew
            last = utc
            yield utc


def next_of(when: When, after: datetime) -> datetime | None:
    """Return the first moment of a schedule after another, None where none comes."""
    return next(moments(when, after), None)


def due(when: When, first: datetime, now: datetime) -> tuple[datetime, datetime | None]:
    """Return the last moment from `first` to `now`, and the one that follows it, if any."""
    last = first
    for count, moment in enumerate(moments(when, first - timedelta(seconds=1))):
        if moment > now:
            return last, moment
        last = max(last, moment)
        if count >= MOST:
            break
    return last, next_of(when, now)
