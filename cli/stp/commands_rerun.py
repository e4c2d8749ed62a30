"""`stp rerun`, `stp redrive`, `stp release`, `stp stop`."""

import json
from typing import Annotated, Any

import typer
from botocore.exceptions import ClientError

from stp import new_runs
from stp.commands_runs import find_runs
from stp.here import Here, here_of
from stp.history_room import MOST_EVENTS, needed
from stp.run_facts import BAD, Run, released_by
from stp.runs import RUN_NAMED, RUNS_NAMED, named, record_of
from stp.said import FAILED, USAGE, Stop, counted, going_on
from stp.shown_runs import RunsShown
from stp.stack import Stack
from stp.timeline import ELSEWHERE, STOPPED_AT
from straight_through.statuses import HELD
from straight_through.telling.messages import ENDED_BADLY

MOST = 10_000  # runs that one command redrives
Names = Annotated[list[str], typer.Argument(metavar="RUN...", help=RUNS_NAMED)]
Name = Annotated[str, typer.Argument(metavar="RUN", help=RUN_NAMED)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("rerun")(rerun)
    app.command("redrive")(redrive)
    app.command("release")(release)
    app.command("stop")(stop)


def rerun(
    context: typer.Context,
    runs: Names,
    attach: Annotated[
        bool,
        typer.Option("--attach", help="Upload nothing: follow the execution that each has made."),
    ] = False,
) -> None:
    """Process files of earlier runs again, in new runs: the same versions of the same files."""
    here = here_of(context)
    with here.said.doing("Reading the runs"):
        again = [(run, *_again(here.stack, run, attach=attach)) for run in _named(here, runs)]
    started: list[dict[str, str]] = []
    for run, name, given in sorted(again, key=lambda each: each[0].order):
        left = f"{len(started):,} of {counted(len(again), 'run')} were started: stp runs"
        with going_on(left), here.said.doing(f"Starting {name}"):
            started.append({"run": name, "again": run.name, "arn": start(here.stack, name, given)})
    goes_on = "is followed by" if attach else "runs again as"
    lines = [f"{each['again']} {goes_on} {each['run']}" for each in started]
    here.said.result(started, *lines, f"See it: stp show {started[-1]['run']}")


def redrive(
    context: typer.Context,
    runs: Annotated[list[str] | None, typer.Argument(metavar="[RUN...]", help=RUNS_NAMED)] = None,
    failed: Annotated[
        bool,
        typer.Option("--failed", help="All that have failed since --since, but not stopped ones."),
    ] = False,
    since: Annotated[str, typer.Option(help="Such as 2h, 7d, 2026-11-24.")] = "",
    route: Annotated[str, typer.Option(help="With --failed: only those of this route.")] = "",
    error: Annotated[str, typer.Option(help="With --failed: only those of this error.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be redriven.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Let failed runs go on where they failed, in the order of their drops."""
    here = here_of(context)
    if failed == bool(runs) or failed != bool(since):
        raise Stop("Name the runs, or all of a time: stp redrive --failed --since 2h", USAGE)
    if failed:
        # One that a person has stopped is named, if it is meant.
        bad = [status for status in BAD if status != "ABORTED"]
        listed = find_runs(here, route=route, bad=bad, since=since, limit=MOST)
        chosen = [run for run in listed if not run.redrivable and error in ("", run.facts["error"])]
        if not chosen:
            of = f" with {error}" if error else ""
            here.said.result([], f"No run that can be redriven has failed{of} since {since}.")
            return
    else:
        if route or error:
            raise Stop("--route and --error choose among failed runs: --failed --since 2h", USAGE)
        chosen = _named(here, runs or [])
    chosen.sort(key=lambda each: each.order)
    if dry_run:
        here.said.result([run.facts for run in chosen], RunsShown(chosen))
        return
    if failed:
        if not yes:
            here.said.err.print(RunsShown(chosen))
        here.said.confirm(f"Redrive {counted(len(chosen), 'failed run')}?", yes=yes)
    results: list[dict[str, str]] = []
    with here.said.progress("Redriving") as tell:
        for run in chosen:
            tell(f"{run.name}, {len(results) + 1:,} of {len(chosen):,}")
            left = f"{len(results):,} of {counted(len(chosen), 'run')} were redriven: stp runs"
            with going_on(left):
                results.append({"run": run.name, "trouble": redriven(here.stack, run)})
    lines = [
        f"{each['run']} goes on" if not each["trouble"] else f"{each['run']}: {each['trouble']}"
        for each in results
    ]
    here.said.result(results, *lines)
    if any(each["trouble"] for each in results):
        raise typer.Exit(FAILED)


def release(context: typer.Context, run: Name) -> None:
    """Publish what a gate holds: export it, and chain it on."""
    here = here_of(context)
    held, found = run.rpartition(":")[2], None
    with here.said.doing("Reading its record"):
        record = record_of(here.stack, held)
    if "held" not in record:  # Step Functions knows it for 90 days only, the record for as long
        (found,) = _named(here, [run])
        held = found.name
        with here.said.doing("Reading its record"):
            record = record_of(here.stack, held)
    if name := released_by(record):
        if "released_at" in record or "release_began" not in record:
            raise Stop(f"Run {held} was released already, by {name}. See: stp show {name}")
        raise Stop(
            f"Run {held} is being released by {name}; if that has failed: stp redrive {name}. "
            f"See: stp show {name}"
        )
    if found is not None and "held" not in record and found.status != HELD:
        raise Stop(f"Run {held} is not held: it is {found.status}. See: stp show {held}")
    name, given = new_runs.release(held)
    with here.said.doing(f"Releasing {held}"):
        arn = start(here.stack, name, given)
    here.said.result(
        {"run": name, "releases": held, "arn": arn},
        f"{held} is being released by {name}. See it: stp show {name}",
    )


def stop(context: typer.Context, run: Name) -> None:
    """Stop a run; a redrive lets it go on."""
    here = here_of(context)
    (going,) = _named(here, [run])
    if not going.running:
        raise Stop(f"Run {going.name} has ended already: it is {going.status}.")
    states = here.stack.client("stepfunctions")
    with here.said.doing(f"Stopping {going.name}"):
        state, _ = _stand_of(here.stack, going.arn)
        meaning = STOPPED_AT.get(state, ELSEWHERE)
        states.stop_execution(executionArn=going.arn, cause="Stopped with stp stop.")
    here.said.result(
        {"run": going.name, "stopped_at": state},
        f"{going.name} was stopped at {state or 'its start'}: {meaning}",
        f"To go on: stp redrive {going.name}",
    )


def _named(here: Here, names: list[str]) -> list[Run]:
    """Return the runs of these names. Raises Stop."""
    with here.said.doing("Reading the runs"):
        found = [named(here.stack, name) for name in dict.fromkeys(names)]
    return list({run.arn: run for run in found}.values())


def _again(stack: Stack, run: Run, *, attach: bool) -> tuple[str, dict[str, Any]]:
    """Return name and input of a run that processes a run's very version again. Raises Stop."""
    make = new_runs.attach if attach else new_runs.again
    found = make(run.name, run.input, record_of(stack, run.name))
    if found is None:
        what = "has made no execution that could be followed" if attach else "is of no file"
        raise Stop(f"Run {run.name} {what}. See: stp show {run.name}")
    return found


def start(stack: Stack, name: str, given: dict[str, Any]) -> str:
    """Start a run and return its ARN."""
    started = stack.client("stepfunctions").start_execution(
        stateMachineArn=stack.machine, name=name, input=json.dumps(given)
    )
    return str(started["executionArn"])


def redriven(stack: Stack, run: Run) -> str:
    """Redrive a run; return why it could not be, "" if it could."""
    if run.redrivable and not run.ended_badly:
        return f"cannot be redriven: {run.redrivable}. Process the file anew: stp rerun {run.name}"
    if run.redrivable:
        command = _instead(stack, run, _stand_of(stack, run.arn)[0])
        return f"cannot be redriven: {run.redrivable}. Start a new run instead: {command}"
    if full := _full(stack, run):
        return full
    try:
        stack.client("stepfunctions").redrive_execution(executionArn=run.arn)
    except ClientError as error:
        return f"was not redriven: {error.response['Error'].get('Message')}"
    return ""


def _full(stack: Stack, run: Run) -> str:
    """Say that a run's history has no room for all that it may still wait for, "" if it has."""
    state, events = _stand_of(stack, run.arn)
    executed = "execution" in record_of(stack, run.name)
    most = needed(state, stack.parameters, executed=executed)
    if events + most <= MOST_EVENTS:
        return ""
    instead = _instead(stack, run, state)
    return (
        f"cannot be redriven: its history has {events:,} of {MOST_EVENTS:,} events, and to go on "
        f"at {state or 'its start'} may take {most:,}. Start a new run instead: {instead}"
    )


def _instead(stack: Stack, run: Run, state: str) -> str:
    """Return the command that starts a new run where one that ended in a state cannot go on."""
    # Where it has an execution of its own, that one may have ended by now, or go on.
    made = record_of(stack, run.name).get("execution")
    followed = made and state != "UploadAndExecute" and run.facts["error"] not in ENDED_BADLY
    return f"stp rerun --attach {run.name}" if followed else f"stp rerun {run.name}"


def _stand_of(stack: Stack, arn: str) -> tuple[str, int]:
    """Return the state that a run is in, or has ended in, and how many events its history has."""
    events = stack.client("stepfunctions").get_execution_history(
        executionArn=arn, reverseOrder=True, maxResults=100, includeExecutionData=False
    )["events"]
    entered = (each.get("stateEnteredEventDetails") for each in events)
    return next((each["name"] for each in entered if each), ""), max(e["id"] for e in events)
