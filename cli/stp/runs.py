"""Runs, as Step Functions tells of them."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import islice
from typing import Any

from botocore.exceptions import ClientError

from stp.console import local_page
from stp.pace import AT_ONCE
from stp.run_facts import Run, release_facts, run_of
from stp.said import UNKNOWN, USAGE, Stop
from stp.stack import Stack
from straight_through.execution_input import typed
from straight_through.queue.records import record_key
from straight_through.queue.table import Item
from straight_through.text import counted

MOST_LISTED = 1000  # executions that one ListExecutions tells of
MOST_SOUGHT = 10_000  # newest executions among which a name's beginning is sought
MOST_RECORDS = 100  # items that one BatchGetItem reads
LAST = "last"  # the run that was started last, as people name it
RUN_NAMED = "The run's name, the beginning of it, or its ARN; last is the newest run."
RUNS_NAMED = "Names of runs, the beginnings of them, or ARNs; last is the newest run."
MOST_NAMED = 10  # runs that a question names
# What a person types for each step of a remedy.
COMMANDS = {
    "redrive": "redrive the run (stp redrive {run})",
    "drop": "drop the file again (stp drop FILE)",
    "rerun": "process the file anew (stp rerun {run})",
    "release": "release it (stp release {run})",
    "attach": "follow its execution in a new run (stp rerun {run} --attach)",
    "add": "add the route (its file, then stp routes apply)",
    "mend": "mend the route (its file, then stp routes apply)",
    "logs": "look at what was logged (stp logs {run})",
    "queue": "see what holds the queue up (stp queue)",
    "held": "see what is held (stp runs --held)",
}


# --- reading ------------------------------------------------------------------------------------
def listed(
    stack: Stack, since: datetime | None, *, bad: Collection[str] = (), at_once: int = 100
) -> Iterator[dict[str, Any]]:
    """Yield the executions, newest start first; with `bad`, those that have one of these statuses.

    Of these the time of the failure counts for `since`, of others that of the start. `at_once` is
    how many a request asks for.
    """
    pages = stack.client("stepfunctions").get_paginator("list_executions")
    ask = {"stateMachineArn": stack.machine, "maxResults": min(at_once, MOST_LISTED)}
    if bad:
        found = [
            each
            for status in bad
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
    stack: Stack,
    executions: Iterable[Mapping[str, Any]],
    most: int,
    *,
    route: str = "",
    only: Callable[[Item], bool] = lambda _: True,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Run]:
    """Return the first runs of the list, in its order; with `route`, those of this one.

    `only` says by a run's record whether it is wanted.

    What the table tells to be of another route is not asked for: DescribeExecution is what an
    account has least of. `tell` is told how far it has come.
    """
    routes = route_names(stack)
    found: list[Run] = []
    left = iter(executions)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while len(found) < most and (batch := list(islice(left, MOST_RECORDS))):
            records = records_of(stack, [each["name"] for each in batch])
            asked = [
                each
                for each in batch
                if route in ("", records.get(each["name"], {}).get("route", route))
                and only(records.get(each["name"], {}))
            ]
            while asked and len(found) < most:
                now = asked[: min(AT_ONCE, most - len(found))]
                del asked[: len(now)]
                arns = [each["executionArn"] for each in now]
                known = [records.get(each["name"], {}) for each in now]
                runs = pool.map(lambda arn, record: read(stack, arn, routes, record), arns, known)
                found.extend(run for run in runs if route in ("", run.facts["route"]))
                tell(f"{counted(len(found), 'run')} so far")
    return found


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
    own = record or {}
    releases = typed(found.get("input")).get("release")
    # The file is that of the run that it is to release.
    about = record_of(stack, releases) if isinstance(releases, str) and releases else own
    page_of = stack.parameters.get("PipelinePageUrl", "")
    run = run_of(found, COMMANDS, routes, about, page_of)
    run.facts.update(release_facts(run, own))
    if page := local_page(stack, run.name):
        run.facts["console"] = page
    return run


def named(stack: Stack, name: str) -> Run:
    """Return the run of this name or ARN, or that has it for its beginning; `last` is the newest.

    Raises Stop where there is none, or where several begin so.
    """
    if name == LAST:
        newest = next(listed(stack, None, at_once=1), None)
        if newest is None:
            raise Stop(f"Stack {stack.name} has no run yet. Drop a file: stp drop FILE", UNKNOWN)
        name = newest["name"]
    arn = name if name.startswith("arn:") else stack.execution_arn(name)
    record = record_of(stack, arn.rpartition(":")[2])
    routes = route_names(stack)
    try:
        return read(stack, arn, routes, record)
    except Stop:
        whole = "" if name.startswith("arn:") else _begun_so(stack, name)
        if not whole:
            raise
    return read(stack, stack.execution_arn(whole), routes, record_of(stack, whole))


def _begun_so(stack: Stack, start: str) -> str:
    """Return the name of the one run that begins so, "" if none does. Raises Stop for several."""
    if not start:
        return ""
    newest = islice(listed(stack, None, at_once=MOST_LISTED), MOST_SOUGHT)
    names = [each["name"] for each in newest if each["name"].startswith(start)]
    if len(names) > 1:
        shown_names = "\n".join(f"  {name}" for name in names[:MOST_NAMED])
        more = len(names) - MOST_NAMED
        raise Stop(
            f"{len(names):,} runs begin with {start!r}. Which is meant?\n{shown_names}"
            + (f"\n  … and {more:,} more" if more > 0 else ""),
            USAGE,
        )
    return names[0] if names else ""


def record_of(stack: Stack, run: str) -> Item:
    """Return what the application itself keeps of a run, empty where it keeps nothing."""
    return stack.table.get(record_key(run)) or {}


def records_of(stack: Stack, runs: Sequence[str]) -> dict[str, Item]:
    """Return what the application itself keeps of runs, by their names: one request for all."""
    keys = [record_key(run) for run in runs]
    return {pk.removeprefix("run#"): each for (pk, _), each in stack.table.many(keys).items()}


def route_names(stack: Stack) -> list[str]:
    """Return the names of all deployed routes."""
    pages = stack.client("ssm").get_paginator("get_parameters_by_path")
    return [
        parameter["Name"].removeprefix(f"{stack.routes_path}/")
        for page in pages.paginate(Path=stack.routes_path, Recursive=True)
        for parameter in page["Parameters"]
    ]
