"""Runs, as Step Functions tells of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from botocore.exceptions import ClientError

from stp.said import UNKNOWN, Stop
from stp.stack import Stack
from straight_through.attempts import Attempt
from straight_through.execution_input import typed
from straight_through.queue.items import RunRecord
from straight_through.queue.table import Item
from straight_through.routes import routable_folders
from straight_through.statuses import HELD, REPLACED, SKIPPED, SUCCEEDED
from straight_through.telling.messages import ended_of, facts_of
from straight_through.telling.remedies import what_to_do

BAD = ("FAILED", "TIMED_OUT", "ABORTED")
AT_ONCE = 8  # executions that are described at the same time
RUNNING = "Running"
GOOD = (SUCCEEDED, SKIPPED, REPLACED)
# What a person types for each step of a remedy.
COMMANDS = {
    "redrive": "redrive it (stp redrive {run})",
    "drop": "drop it again (stp drop FILE)",
    "rerun": "process it anew (stp rerun {run})",
}


@dataclass(frozen=True)
class Run:
    """One execution; `facts` is what people and other systems are told of it."""

    name: str
    arn: str
    started: datetime
    input: Any
    facts: Item
    redrivable: str = ""  # why it is not, "" if it is
    redrives: int = 0
    prepared: Item = field(default_factory=dict)  # the table that was made of the file, if any

    @property
    def status(self) -> str:
        """What became of it: Running, Failed, TimedOut, Aborted, or one of `statuses`."""
        return str(self.facts["status"])

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.status == RUNNING

    @property
    def key(self) -> str:
        """The dropped file's key."""
        return str(self.facts["file"]["key"] or "")

    @property
    def order(self) -> str:
        """Its place among others: by the time of the drop, or of its own start."""
        started = self.started.isoformat()
        return Attempt(self.name, self.arn, 0, started, started, self.input).order


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
    running = found["status"] in ("RUNNING", "PENDING_REDRIVE")
    ended = ended_of(
        {
            **found,
            "startDate": _milliseconds(found["startDate"]),
            "stopDate": _milliseconds(found.get("stopDate") or datetime.now(UTC)),
        }
    )
    facts = facts_of(ended, cast("RunRecord", record or {}))
    if running:
        facts |= {"status": RUNNING, "ended_at": None, "next": "Wait for its end."}
    given = typed(found.get("input"))
    facts["route"] = facts["route"] or route_of(facts["file"]["key"] or "", routes)
    facts["next"] = next_of(found["name"], facts, given)
    able = found.get("redriveStatus", "REDRIVABLE" if found["status"] in BAD else "NOT_REDRIVABLE")
    why = found.get("redriveStatusReason") or f"it is {facts['status']}"
    return Run(
        name=found["name"],
        arn=found["executionArn"],
        started=found["startDate"],
        input=given,
        facts=facts,
        redrivable="" if able == "REDRIVABLE" else why,
        redrives=found.get("redriveCount") or 0,
        prepared=prepared_of(record or {}),
    )


def named(stack: Stack, name: str) -> Run:
    """Return the run of this name or ARN. Raises Stop where there is none."""
    arn = name if name.startswith("arn:") else stack.execution_arn(name)
    record = record_of(stack, arn.rpartition(":")[2])
    return read(stack, arn, route_names(stack), record)


def record_of(stack: Stack, run: str) -> Item:
    """Return what the application itself keeps of a run, empty where it keeps nothing."""
    return stack.table.get((f"run#{run}", "record")) or {}


def prepared_of(record: Item) -> Item:
    """Return what a run's record tells of the table made of its file, as its manifest does."""
    sent = record.get("execution") or record.get("posted") or {}
    return sent.get("measures", {}).get("prepared") or {}


def route_names(stack: Stack) -> list[str]:
    """Return the names of all deployed routes."""
    pages = stack.client("ssm").get_paginator("get_parameters_by_path")
    return [
        parameter["Name"].removeprefix(f"{stack.routes_path}/")
        for page in pages.paginate(Path=stack.routes_path, Recursive=True)
        for parameter in page["Parameters"]
    ]


def route_of(key: str, routes: Iterable[str]) -> str | None:
    """Return the route of the deepest folder of a key that has one now."""
    known = set(routes)
    return next((each for each in reversed(routable_folders(key)) if each in known), None)


def next_of(run: str, facts: Item, given: dict[str, Any]) -> str:
    """Return what a person does next, with the command for it."""
    status = facts["status"]
    if status == RUNNING or status in GOOD:
        return str(facts["next"])
    if status == HELD:
        return f"Look at the outputs that hold it. To publish it all the same: stp release {run}"
    if status == "Aborted":
        return f"Somebody stopped it. To go on: stp redrive {run}"
    names_nothing = not given.keys() & {"key", "release"}
    error = "InputInvalid" if names_nothing else facts["error"]
    return what_to_do(error, {step: told.format(run=run) for step, told in COMMANDS.items()})


def _milliseconds(moment: datetime) -> int:
    """Return a moment as EventBridge's events have it."""
    return int(moment.timestamp() * 1000)
