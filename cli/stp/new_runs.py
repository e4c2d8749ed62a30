"""Runs that come of an earlier one: their names, and what they are started with."""

import uuid
from typing import Any

from straight_through.names import LONGEST_RUN_NAME
from straight_through.queue.table import Item


def again(run: str, given: Item, record: Item) -> tuple[str, dict[str, Any]] | None:
    """Return name and input of a run that processes a run's very version again.

    `given` is what the run was started with, `record` its own; None for a run of no file.
    """
    source = record.get("source") or given
    if not source.get("bucket") or not source.get("key"):
        return None
    version = source.get("version_id")
    file = {"bucket": source["bucket"], "key": source["key"]}
    return _name(run, "again"), file | ({"version_id": version} if version else {})


def attach(run: str, given: Item, record: Item) -> tuple[str, dict[str, Any]] | None:
    """Return name and input of a run that follows the execution that a run has made.

    None where the record knows of no execution.
    """
    made, processed = record.get("execution"), again(run, given, record)
    if not made or not processed:
        return None
    # Its place is that of the drop: an older file's outputs replace no newer one's.
    place = {name: given[name] for name in ("dropped_at", "sequencer") if name in given}
    return _name(run, "attach"), processed[1] | place | {"execution_id": made["execution_id"]}


def release(run: str) -> tuple[str, dict[str, Any]]:
    """Return name and input of a run that publishes what a run's gate holds."""
    return _name(run, "release"), {"release": run}


def _name(run: str, what: str) -> str:
    """Return a new run's name that tells which one it comes from."""
    mark = f"-{what}-{uuid.uuid4().hex[:8]}"
    return run[: LONGEST_RUN_NAME - len(mark)].rstrip("-") + mark
