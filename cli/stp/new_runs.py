"""Runs that come of an earlier one: their names, and what they are started with."""

import json
import uuid
from typing import TYPE_CHECKING, Any

from straight_through.names import LONGEST_RUN_NAME, route_run_name
from straight_through.queue.items import SetMember
from straight_through.queue.table import Item

if TYPE_CHECKING:
    from stp.stack import Stack

PLACE = ("dropped_at", "sequencer", "replay")  # the fields of an input that tell a run's place


def again(run: str, given: Item, record: Item) -> tuple[str, dict[str, Any]] | None:
    """Return name and input of a run that processes a run's very version again.

    `given` is what the run was started with, `record` its own; None for a run that only releases
    another.
    """
    if given.get("route"):
        return _name(run, "again"), {"route": given["route"]}
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
    place = {name: given[name] for name in PLACE if name in given}
    return _name(run, "attach"), processed[1] | place | {"execution_id": made["execution_id"]}


def of_route(route: str) -> tuple[str, dict[str, Any]]:
    """Return name and input of a run without a file."""
    return route_run_name(route, uuid.uuid4().hex[:16]), {"route": route}


def of_set(newest: SetMember) -> tuple[str, dict[str, Any]]:
    """Return name and input of a run of a set without the members that are missing."""
    source = newest["source"]
    version = {"version_id": source["version_id"]} if source["version_id"] else {}
    file = {"bucket": source["bucket"], "key": source["key"]} | version
    return _name(newest["run"], "set"), file | {"incomplete": True}


def release(run: str) -> tuple[str, dict[str, Any]]:
    """Return name and input of a run that publishes what a run's gate holds."""
    return _name(run, "release"), {"release": run}


def start(stack: "Stack", name: str, given: dict[str, Any]) -> str:
    """Start a run and return its ARN."""
    started = stack.client("stepfunctions").start_execution(
        stateMachineArn=stack.machine, name=name, input=json.dumps(given)
    )
    return str(started["executionArn"])


def start_once(stack: "Stack", name: str, given: dict[str, Any]) -> bool:
    """Start a run whose name is its own for ever; False where somebody has started it."""
    try:
        start(stack, name, given)
    except stack.client("stepfunctions").exceptions.ExecutionAlreadyExists:
        return False
    return True


def _name(run: str, what: str) -> str:
    """Return a new run's name that tells which one it comes from."""
    mark = f"-{what}-{uuid.uuid4().hex[:8]}"
    return run[: LONGEST_RUN_NAME - len(mark)].rstrip("-") + mark
