"""`stp rerun`, `stp redrive`, `stp release`, `stp stop`."""

import json
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import typer
from botocore.exceptions import ClientError

from stp import new_runs
from stp.chosen import Choice, agreed, named_runs
from stp.endings import ending, summed_up
from stp.follow import follow
from stp.here import Here, here_of
from stp.history_room import MOST_EVENTS, needed
from stp.pace import side_by_side
from stp.run_facts import GOOD, Run, released_by
from stp.runs import MOST_RECORDS, RUN_NAMED, RUNS_NAMED, record_of, records_of
from stp.said import FAILED, Stop, going_on
from stp.shown_runs import RunsShown
from stp.stack import Stack
from stp.timeline import ELSEWHERE, STOPPED_AT
from straight_through.publishing.held import held_manifest
from straight_through.statuses import HELD
from straight_through.telling.messages import ENDED_BADLY
from straight_through.text import counted

NAMED_OR = RUNS_NAMED + " Or choose them by --since."
Names = Annotated[list[str] | None, typer.Argument(metavar="RUN", help=NAMED_OR)]
Name = Annotated[str, typer.Argument(metavar="RUN", help=RUN_NAMED)]
Since = Annotated[
    str, typer.Option(help="Instead of names: all of a time, such as 2h, 7d, 2026-11-24.")
]
OfRoute = Annotated[str, typer.Option("--route", help="With --since: only those of this route.")]
OfError = Annotated[str, typer.Option("--error", help="With --since: only those of this error.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only list what would be taken.")]
Wait = Annotated[bool, typer.Option("--wait", "-w", help="Follow the runs to their end.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

_Again = tuple[Run, str, dict[str, Any]]  # a run, and name and input of the one that follows it


class Stand(NamedTuple):
    """How far a run has come."""

    state: str  # in which it is, or has ended
    events: int  # of its history


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("rerun")(rerun)
    app.command("redrive")(redrive)
    app.command("release")(release)
    app.command("stop")(stop)


def rerun(
    context: typer.Context,
    runs: Names = None,
    attach: Annotated[
        bool,
        typer.Option("--attach", help="Upload nothing: follow the execution that each has made."),
    ] = False,
    failed: Annotated[
        bool, typer.Option("--failed", help="With --since: only failed runs, no stopped ones.")
    ] = False,
    since: Since = "",
    route: OfRoute = "",
    error: OfError = "",
    dry_run: DryRun = False,
    wait: Wait = False,
    yes: Yes = False,
) -> None:
    """Process files of earlier runs again, the same versions."""
    here, choice = here_of(context), Choice(since, route, error, failed)
    choice.require_sense("rerun", runs)
    chosen = named_runs(here, runs) if runs else choice.find(here, failed=failed or bool(error))
    again = _all_again(here, chosen, attach=attach, named=bool(runs))
    if not again:
        here.said.result([], f"No run that could run again has ended{choice.told}.")
        return
    taken = [run for run, _, _ in again]
    if dry_run:
        here.said.result([run.facts for run in taken], RunsShown(taken))
        return
    if not runs:
        what = "Follow the executions of" if attach else "Process anew the files of"
        agreed(here, taken, what, yes=yes)
    started: list[dict[str, str]] = []
    for run, name, given in again:
        left = f"Started so far: {len(started):,} of {counted(len(again), 'run')}. See: stp runs"
        with going_on(left), here.said.doing(f"Starting {name}"):
            started.append(
                {"run": name, "again": run.name, "arn": new_runs.start(here.stack, name, given)}
            )
    goes_on = "is followed by" if attach else "runs again as"
    lines = [f"{each['again']} {goes_on} {each['run']}" for each in started]
    if wait:
        for line in lines:
            here.said.note(line)
        _followed(here, {each["run"]: 0 for each in started})
        return
    here.said.result(started, *lines, f"See it: stp show {started[-1]['run']}")


def redrive(
    context: typer.Context,
    runs: Names = None,
    failed: Annotated[
        bool,
        typer.Option(
            "--failed", help="As without it: failed runs alone are taken, no stopped ones."
        ),
    ] = False,
    since: Since = "",
    route: OfRoute = "",
    error: OfError = "",
    dry_run: DryRun = False,
    wait: Wait = False,
    yes: Yes = False,
) -> None:
    """Let failed runs go on where they failed, the oldest drop first."""
    here, choice = here_of(context), Choice(since, route, error, failed)
    choice.require_sense("redrive", runs)
    if runs:
        chosen = sorted(named_runs(here, runs), key=lambda each: each.order)
    else:
        chosen = [run for run in choice.find(here, failed=True) if not run.redrivable]
        if not chosen:
            here.said.result([], f"No run that can be redriven has failed{choice.told}.")
            return
    if dry_run:
        here.said.result([run.facts for run in chosen], RunsShown(chosen))
        return
    if not runs:
        agreed(here, chosen, "Redrive", yes=yes)
    results: list[dict[str, str]] = []
    seen: dict[str, int] = {}
    here.stack.client("stepfunctions")  # boto3's session makes one client at a time
    with here.said.progress("Redriving") as tell:
        stands = side_by_side(lambda run: _stand_of(here.stack, run.arn), chosen)
        for run in chosen:
            tell(f"{run.name}, {len(results) + 1:,} of {len(chosen):,}")
            left = (
                f"Redriven so far: {len(results):,} of {counted(len(chosen), 'run')}. See: stp runs"
            )
            with going_on(left):
                stand = next(stands)
                results.append({"run": run.name, "trouble": redriven(here.stack, run, stand)})
            if not results[-1]["trouble"]:
                seen[run.name] = stand.events
    lines = [
        f"{each['run']} goes on" if not each["trouble"] else f"{each['run']}: {each['trouble']}"
        for each in results
    ]
    if wait and seen:
        for line in lines:
            here.said.note(line)
        _followed(here, seen, [each for each in results if each["trouble"]])
        return
    here.said.result(results, *lines)
    if any(each["trouble"] for each in results):
        raise typer.Exit(FAILED)


def _followed(here: Here, seen: dict[str, int], others: Sequence[dict[str, str]] = ()) -> None:
    """Follow runs to their end and sum them up; `seen` is the last event of each before it went on.

    `others` could not begin, and count as failed.
    """
    look = f"stp show {next(iter(seen))}" if len(seen) == 1 else "stp runs"
    with going_on(f"What has begun goes on: {look}"):
        ended = follow(here.stack, here.said, list(seen), seen)
    lines = [line for run in ended for line in ending(run, [])]
    lines += [f"{each['run']}: {each['trouble']}" for each in others]
    summary = summed_up(ended) if len(ended) > 1 else []
    here.said.result([*(run.facts for run in ended), *others], *lines, *summary)
    if others or not all(run.status in GOOD for run in ended):
        raise typer.Exit(FAILED)


def release(context: typer.Context, run: Name) -> None:
    """Publish what a gate holds: export it, and chain it on."""
    here = here_of(context)
    held, found = run.rpartition(":")[2], None
    with here.said.doing("Reading its record"):
        record = record_of(here.stack, held)
        in_outbox = not record and _lies_held(here.stack, held)
    if "held" not in record and not in_outbox:
        # Step Functions knows it for 90 days only, its record and the outbox for as long as held.
        (found,) = named_runs(here, [run])
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
        arn = new_runs.start(here.stack, name, given)
    here.said.result(
        {"run": name, "releases": held, "arn": arn},
        f"{held} is being released by {name}. See it: stp show {name}",
    )


def _lies_held(stack: Stack, run: str) -> bool:
    """Whether the outbox has what is held of a run that may be forgotten everywhere else.

    The records of release 1.0.0 are forgotten after 180 days.
    """
    outbox = stack.outputs["OutboxBucket"]
    return held_manifest(stack.client("s3"), outbox, run) is not None


def stop(context: typer.Context, run: Name) -> None:
    """Stop a run; a redrive lets it go on."""
    here = here_of(context)
    (going,) = named_runs(here, [run])
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


def _all_again(here: Here, runs: Sequence[Run], *, attach: bool, named: bool) -> list[_Again]:
    """Return the runs that can run again, in the order of their drops, and what follows each.

    Raises Stop for one that was named and cannot. Of others that are of one version of a file, or
    of one execution, the newest is enough.
    """
    make = new_runs.attach if attach else new_runs.again
    found: list[_Again] = []
    for at in range(0, len(runs), MOST_RECORDS):
        some = runs[at : at + MOST_RECORDS]
        with here.said.doing("Reading their records"):
            records = records_of(here.stack, [run.name for run in some])
        for run in some:
            made = make(run.name, run.input, records.get(run.name, {}))
            if made:
                found.append((run, *made))
            elif named:
                what = "has made no execution that could be followed" if attach else "is of no file"
                raise Stop(f"Run {run.name} {what}. See: stp show {run.name}")
    found.sort(key=lambda each: each[0].order)
    once = {json.dumps(given, sort_keys=True): (run, name, given) for run, name, given in found}
    return found if named else list(once.values())


def redriven(stack: Stack, run: Run, stand: Stand) -> str:
    """Redrive a run; return why it could not be, "" if it could."""
    if run.running:
        return f"goes on already, and needs no redrive. See: stp show {run.name}"
    if run.redrivable and not run.ended_badly:
        return f"cannot be redriven: {run.redrivable}. Process the file anew: stp rerun {run.name}"
    if run.redrivable:
        command = _instead(stack, run, stand.state)
        return f"cannot be redriven: {run.redrivable}. Start a new run instead: {command}"
    if full := _full(stack, run, stand):
        return full
    try:
        stack.client("stepfunctions").redrive_execution(executionArn=run.arn)
    except ClientError as error:
        return f"was not redriven: {error.response['Error'].get('Message')}"
    return ""


def _full(stack: Stack, run: Run, stand: Stand) -> str:
    """Say that a run's history has no room for all that it may still wait for, "" if it has."""
    state, events = stand
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


def _stand_of(stack: Stack, arn: str) -> Stand:
    """Return the state that a run is in, or has ended in, and how many events its history has."""
    events = stack.client("stepfunctions").get_execution_history(
        executionArn=arn, reverseOrder=True, maxResults=100, includeExecutionData=False
    )["events"]
    entered = (each.get("stateEnteredEventDetails") for each in events)
    state = next((each["name"] for each in entered if each), "")
    return Stand(state, max(each["id"] for each in events))
