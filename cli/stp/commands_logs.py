"""`stp open`, `stp logs`: a run where it can be looked at, and what the functions have logged."""

import json
import time
import webbrowser
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from botocore.exceptions import ClientError

from stp.here import here_of
from stp.moments import local
from stp.run_facts import Run
from stp.runs import RUN_NAMED, named
from stp.said import Stop
from stp.stack import Stack
from straight_through.text import counted, lines_shown

LOOK_EVERY = 2.0  # seconds
# CloudWatch shows a line some seconds after it was written: looks reach back, and go on after the
# run's end. Source: "Lambda and CloudWatch Logs"
# (https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html).
LATE = 30_000  # milliseconds that a look reaches back behind the newest line
AFTER_THE_END = 5  # looks
# What each line has, and nobody reads in a terminal; --json has it.
LEFT_OUT = {
    *("level", "message", "timestamp", "service", "location", "correlation_id", "cold_start"),
    *("function_arn", "function_memory_size", "function_name", "function_request_id"),
    *("xray_trace_id", "exception", "stack_trace"),
}
Name = Annotated[str, typer.Argument(metavar="RUN", help=RUN_NAMED)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("open")(open_page)
    app.command("logs")(logs)


def open_page(context: typer.Context, run: Name) -> None:
    """Open a run's page: the local stack's, or AWS's console."""
    here = here_of(context)
    with here.said.doing(f"Reading run {run}"):
        found = named(here.stack, run)
    address = str(found.facts["console"])
    here.said.result({"run": found.name, "address": address}, address)
    if not here.said.json and not webbrowser.open(address):
        here.said.note("No browser could be started here: open the address in one.", "yellow")


def logs(
    context: typer.Context,
    run: Name,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run has ended, or Ctrl-C.")
    ] = False,
) -> None:
    """Show what the functions have logged of a run, the oldest first."""
    here = here_of(context)
    said, stack = here.said, here.stack
    with said.doing(f"Reading run {run}"):
        found = named(stack, run)
    if not follow:
        with said.doing("Reading the logs"):
            events = list(log_events(stack, found, _milliseconds(found.started)))
        days = int(stack.parameters.get("LogRetentionDays", "0"))
        kept = counted(days, "day") if days else "some days"
        none = (
            f"No log line of run {found.name}: CloudWatch shows them some seconds late, and keeps "
            f"them for {kept}."
        )
        said.result(events, *([line_of(each) for each in events] or [none]))
        return
    seen: set[str] = set()
    since, looks = _milliseconds(found.started), 0
    while True:
        ended = not found.running
        with nullcontext() if seen else said.doing("Waiting for the first line"):
            for event in log_events(stack, found, since):
                if event["id"] in seen:
                    continue
                seen.add(event["id"])
                since = max(since, event["at"] - LATE)
                if said.json:
                    said.out.file.write(json.dumps(event) + "\n")
                    said.out.file.flush()
                else:
                    said.result(event, line_of(event))
        looks = looks + 1 if ended else 0
        if looks >= AFTER_THE_END:
            return
        time.sleep(LOOK_EVERY)
        if not ended:
            found = named(stack, found.arn)


def log_events(stack: Stack, run: Run, since: int) -> Iterator[dict[str, Any]]:
    """Yield what the functions have logged of a run since then, in milliseconds. Raises Stop."""
    group = f"/aws/lambda/{stack.name}"
    # Each line of a run has its name, as the correlation id. Quoted it is sought as it is.
    pages = stack.client("logs").get_paginator("filter_log_events")
    try:
        for page in pages.paginate(
            logGroupName=group, filterPattern=f'"{run.name}"', startTime=since
        ):
            for each in page["events"]:
                yield event_of(each)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        raise Stop(f"There is no log group {group}. Check the stack: stp doctor") from None


def event_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return a log line as it is told, of what FilterLogEvents answers."""
    return {
        "id": found["eventId"],
        "at": found["timestamp"],
        "logged_at": datetime.fromtimestamp(found["timestamp"] / 1000, UTC).isoformat(),
        "line": _parsed(found["message"]),
    }


def line_of(event: dict[str, Any]) -> str:
    """Return a log line as people read it: when, how grave, which function, what, and with what."""
    when, line = local(event["logged_at"]), event["line"]
    if not isinstance(line, dict):
        return f"{when}  {lines_shown(line)}".rstrip()
    function = str(line.get("function_name") or line.get("service") or "").rpartition("-")[2]
    more = [f"{name}={_value(line[name])}" for name in line if name not in LEFT_OUT]
    words = [when, f"{line.get('level', ''):7}", function, _value(line.get("message", "")), *more]
    parts = ["  ".join(word for word in words if word)]
    if trace := line.get("exception"):
        parts += [f"    {each}" for each in str(trace).splitlines()]
    return "\n".join(parts)


def _value(value: Any) -> str:
    """Return what a log line has in one line."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.replace("\n", "\\n")


def _parsed(message: str) -> Any:
    """Return a line's JSON object, or its text where it is none."""
    try:
        found = json.loads(message)
    except ValueError:
        return message.rstrip("\n")
    return found if isinstance(found, dict) else message.rstrip("\n")


def _milliseconds(moment: datetime) -> int:
    """Return a moment as CloudWatch Logs has it."""
    return int(moment.timestamp() * 1000)
