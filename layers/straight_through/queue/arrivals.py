"""What has come of what routes expect: noted by whoever checks a file, and whoever ends its run.

The sweep reads it. A mark in the route's item tells it to look, and costs it nothing until then; it
is set by the write that notes what it tells of, so that nothing comes unseen.
"""

from datetime import UTC, datetime, timedelta

from straight_through.moments import from_iso, iso
from straight_through.queue.items import RunRecord
from straight_through.queue.records import record_key
from straight_through.queue.table import Key, Table, Write, update
from straight_through.run_state import DroppedFile

EXPECTS = "expects"  # the partition of what routes expect
KEPT = timedelta(days=400)  # for so long it is known what has come


def expect_key(route: str) -> Key:
    """Return the key of what a route expects."""
    return EXPECTS, route


def arrivals_of(route: str, period: str) -> str:
    """Return the partition of what has come of a period."""
    return f"came#{route}#{period}"


class Arrivals:
    """The expected files of all routes."""

    def __init__(self, table: Table) -> None:
        """Take the table."""
        self._table = table

    def came(self, run: str, route: str, period: str, file: DroppedFile) -> None:
        """Note that an expected file has come; how many rows it has, its run's end tells."""
        expiry = int((datetime.now(UTC) + KEPT).timestamp())
        self._table.together(
            update(record_key(run), "SET #expected = :p", p=period),
            update(
                (arrivals_of(route, period), run),
                "SET #key = :key, #at = :at, #expires_at = :expires_at",
                key=file["key"],
                at=iso(from_iso(file["dropped_at"])),
                expires_at=expiry,
            ),
            _look(route, f"{run} came"),
        )

    def counted(self, run: str, record: RunRecord, rows: int | None, now: datetime) -> None:
        """Note how many rows an expected file has, at the end of its run."""
        route, period = record["route"], record["expected"]
        made = record.get("execution")
        known = rows if rows is not None or made is None else made["measures"]["rows"]
        self._table.together(
            update(
                (arrivals_of(route, period), run),
                "SET #rows = :rows, #ended = :now",
                rows=known,
                now=iso(now),
            ),
            _look(route, f"{run} ended {iso(now)}"),
        )


def _look(route: str, mark: str) -> Write:
    """Return the write that lets the sweep look at what the route is owed."""
    return update(expect_key(route), "SET #came = :mark", mark=mark)
