"""The same bytes again: what a route has processed before, by their hash."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

from quantemplate.bodies import Body
from straight_through.attempts import Attempt
from straight_through.measuring import sha256_of
from straight_through.moments import iso
from straight_through.queue.items import Duplicate
from straight_through.queue.table import Refused, Table
from straight_through.routes import Route
from straight_through.run_state import DuplicateOf


def twin_of(table: Table, route: Route, sha256: str, run: str, now: datetime) -> DuplicateOf | None:
    """Return the earlier run of the route that had these bytes, within the time that it sets."""
    twin = cast("Duplicate | None", table.get(_key(route, sha256)))
    if twin is None or twin["run"] == run or twin["expires_at"] <= now.timestamp():
        return None
    return {"run": twin["run"], "key": twin["key"], "at": twin["at"]}


def skipped_twin(
    table: Table, attempt: Attempt, route: Route, body: Body, now: datetime
) -> DuplicateOf | None:
    """Return the earlier run of the same bytes, where the route skips them.

    `body` is the file as it would go up, since that is what is remembered. Only a drop is skipped:
    who starts an execution by hand wants it processed.
    """
    if route.identical != "skip" or attempt.input.execution_id or not attempt.was_dropped:
        return None
    return twin_of(table, route, sha256_of(body), attempt.run, now)


def remember(table: Table, route: Route, sha256: str, run: str, key: str, now: datetime) -> None:
    """Note that this run has processed these bytes; an earlier one is noted already."""
    values: dict[str, Any] = {"run": run, "key": key, "at": iso(now)}
    try:
        table.update(
            _key(route, sha256),
            "SET #run = :run, #key = :key, #at = :at, #expires_at = :expires_at",
            "attribute_not_exists(#run) OR #expires_at <= :now",
            **values,
            expires_at=int((now + timedelta(days=route.identical_within_days)).timestamp()),
            now=int(now.astimezone(UTC).timestamp()),
        )
    except Refused:
        return


def _key(route: Route, sha256: str) -> tuple[str, str]:
    """Return the key of what is known of some bytes."""
    return f"bytes#{route.name}", sha256
