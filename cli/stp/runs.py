"""Runs, as Step Functions tells of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from stp.run_facts import BAD, Run, run_of
from stp.said import UNKNOWN, Stop
from stp.stack import Stack
from straight_through.queue.records import record_key
from straight_through.queue.table import Item

AT_ONCE = 8  # executions that are described at the same time
# What a person types for each step of a remedy.
COMMANDS = {
    "redrive": "redrive it (stp redrive {run})",
    "drop": "drop it again (stp drop FILE)",
    "rerun": "process it anew (stp rerun {run})",
    "release": "release it (stp release {run})",
}


# --- reading ------------------------------------------------------------------------------------
def listed(stack: Stack, since: datetime | None, *, failed: bool) -> Iterator[dict[str, Any]]:
    """Yield the executions, newest start first; with `failed`, those that ended badly.

    Of failed ones the time of the failure counts for `since`, of others that of the start.
    """
    pages = stack.client("stepfunctions").get_paginator("list_executions")
    ask = {"stateMachineArn": stack.machine, "maxResults": 100}
    if failed:
        found = [
            each
            for status in BAD
            for page in pages.paginate(**ask, statusFilter=status)
            for each in page["executions"]
            if since is None or each["stopDate"] >= since
        ]
        yield from sorted(found, key=lambda each: each["startDate"], reverse=True)
        return
    for page in pages.paginate(**ask):
        for each in page["executions"]:
            if since is not None and each["startDate"] < since:
                return
            yield each


def described(
    stack: Stack, executions: Iterable[Mapping[str, Any]], wanted: Callable[[Run], bool], most: int
) -> list[Run]:
    """Return the first runs that are wanted, in the order of the list."""
    routes = route_names(stack)
    found: list[Run] = []
    batch: list[str] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:

        def take() -> None:
            runs = pool.map(lambda arn: read(stack, arn, routes), batch)
            found.extend(run for run in runs if wanted(run))
            batch.clear()

        for each in executions:
            batch.append(each["executionArn"])
            if len(batch) == AT_ONCE:
                take()
            if len(found) >= most:
                break
        take()
    return found[:most]


def read(stack: Stack, arn: str, routes: Iterable[str] = (), record: Item | None = None) -> Run:
    """Return one run. Raises Stop where there is none."""
    states = stack.client("stepfunctions")
    try:
        found = states.describe_execution(executionArn=arn)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("ExecutionDoesNotExist", "InvalidArn"):
            raise
        raise Stop(
            f"There is no run {arn.rpartition(':')[2]!r} in stack {stack.name}. See them with "
            "stp runs; Step Functions keeps them for 90 days.",
            UNKNOWN,
        ) from None
    return run_of(found, COMMANDS, routes, record or {})


def named(stack: Stack, name: str) -> Run:
    """Return the run of this name or ARN. Raises Stop where there is none."""
    arn = name if name.startswith("arn:") else stack.execution_arn(name)
    record = record_of(stack, arn.rpartition(":")[2])
    return read(stack, arn, route_names(stack), record)


def record_of(stack: Stack, run: str) -> Item:
    """Return what the application itself keeps of a run, empty where it keeps nothing."""
    return stack.table.get(record_key(run)) or {}


def route_names(stack: Stack) -> list[str]:
    """Return the names of all deployed routes."""
    pages = stack.client("ssm").get_paginator("get_parameters_by_path")
    return [
        parameter["Name"].removeprefix(f"{stack.routes_path}/")
        for page in pages.paginate(Path=stack.routes_path, Recursive=True)
        for parameter in page["Parameters"]
    ]
