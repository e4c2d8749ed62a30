"""`stp replay`: files of a time are processed again, by a plan."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from stp.endings import summed_up
from stp.here import Here, here_of
from stp.moments import local
from stp.moments import since as moment_of
from stp.queues import routes_of
from stp.replay_choice import ALL, FAILED, MISSED, REVISION, Chosen, Which, choose
from stp.replay_costs import Estimate, estimate, takes, told
from stp.replay_runs import Pace, Replayed, begun, carry_out
from stp.replays import Plan, Planned, made_now, newest_plans, plan_of, put_plan
from stp.route_files import deployed_documents
from stp.run_facts import GOING, GOOD
from stp.said import FAILED as SOME_FAILED
from stp.said import UNKNOWN, USAGE, Stop
from stp.unknown_files import LONGEST_AGO
from straight_through.moments import iso
from straight_through.routes import Route
from straight_through.text import counted, shown

MOST_FAILURES = 3  # before it stops, unless it is told otherwise
LONGEST_KEY = 1100  # characters of an address in S3


@dataclass(frozen=True)
class _Asked:
    """What the options of a new plan say."""

    route: str
    since: str
    until: str
    which: Which
    chain: bool

    @property
    def nothing(self) -> bool:
        """Whether they say nothing."""
        return not (self.route or self.since or self.until) and self.which.kind == ALL


def replay(
    context: typer.Context,
    plan: Annotated[
        str, typer.Argument(metavar="PLAN", help="The id of a plan that is to go on.")
    ] = "",
    route: Annotated[str, typer.Option(help="The route whose files are processed again.")] = "",
    since: Annotated[str, typer.Option(help="Dropped since then: 2026-09-01, 7d, 2h.")] = "",
    until: Annotated[str, typer.Option(help="Dropped before then; without it, until now.")] = "",
    failed: Annotated[
        bool, typer.Option("--failed", help="Only files whose last run has failed.")
    ] = False,
    missed: Annotated[
        bool, typer.Option("--missed", help="Only files that no run knows; of 90 days at most.")
    ] = False,
    revision_before: Annotated[
        int | None,
        typer.Option(min=1, help="Only files that an older revision of the pipeline processed."),
    ] = None,
    now: Annotated[
        bool, typer.Option("--now", help="Do not let other files of the queue go first.")
    ] = False,
    per_hour: Annotated[
        float | None, typer.Option(min=0.01, help="Start so many files an hour at most.")
    ] = None,
    failures: Annotated[
        int, typer.Option(min=1, help="Stop when so many have failed.")
    ] = MOST_FAILURES,
    chain: Annotated[
        bool,
        typer.Option("--chain", help="Of a route with 'then': chain on, as files dropped now."),
    ] = False,
    plans: Annotated[bool, typer.Option("--plans", help="List the newest plans.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show the plan, or what is left of it.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Process the files of a time again, in the order of their drops: first a plan, then its runs.

    With the id of a plan, go on where it stopped.
    """
    here = here_of(context)
    which = _which(failed=failed, missed=missed, before=revision_before)
    asked = _Asked(route, since, until, which, chain)
    pace = Pace(failures, per_hour, now)
    if plans:
        if plan or not asked.nothing:
            raise Stop("--plans lists the newest plans: name nothing beside it.", USAGE)
        _list(here)
        return
    if plan:
        if not asked.nothing:
            raise Stop(
                "A plan has its files already: name a plan, or --route and --since for a new one.",
                USAGE,
            )
        _go_on(here, plan, pace, chain=chain, dry_run=dry_run)
        return
    _begin(here, asked, pace, dry_run=dry_run, yes=yes)


def _list(here: Here) -> None:
    """List the newest plans."""
    with here.said.doing("Reading the plans"):
        found = newest_plans(here.stack)
    told_of = ("made_at", "route", "since", "until", "which", "per_hour")
    data = [
        {"plan": each.id}
        | {name: getattr(each, name) for name in told_of}
        | {"files": len(each.files)}
        for each in found
    ]
    if not found:
        here.said.result(data, "There is no plan yet: stp replay --route ROUTE --since 7d")
        return
    table = Table(box=SIMPLE, pad_edge=False, show_edge=False)
    for title in ("plan", "made", "route", "dropped from", "to", "files"):
        table.add_column(title, no_wrap=title == "plan", overflow="fold")
    for each in found:
        span = (local(each.since), local(each.until))
        row = (
            each.id,
            local(each.made_at),
            each.route,
            *span,
            f"{len(each.files):,}, {each.which}",
        )
        table.add_row(*(Text(text) for text in row))
    here.said.result(data, table, "What is left of one: stp replay PLAN --dry-run")


def _which(*, failed: bool, missed: bool, before: int | None) -> Which:
    """Return what chooses among the files. Raises Stop where two do."""
    if failed + missed + bool(before) > 1:
        raise Stop("Name one of --failed, --missed and --revision-before.", USAGE)
    if before:
        return Which(REVISION, before)
    return Which(FAILED if failed else MISSED if missed else ALL)


def _begin(here: Here, asked: _Asked, pace: Pace, *, dry_run: bool, yes: bool) -> None:
    """Make a plan, show it, ask, and carry it out. Raises Stop."""
    stack = here.stack
    if not asked.route or not asked.since:
        raise Stop(
            "Say which files: stp replay --route ROUTE --since 2026-09-01 --until 2026-10-01; "
            "or which plan is to go on: stp replay PLAN",
            USAGE,
        )
    since = moment_of(asked.since)
    until = moment_of(asked.until, "--until") if asked.until else datetime.now(UTC)
    if asked.which.kind == MISSED and since < datetime.now(UTC) - LONGEST_AGO:
        raise Stop(
            "Step Functions knows runs for 90 days, and what is older may have had one. Name a "
            "--since of 90d at most.",
            USAGE,
        )
    with here.said.doing("Reading the routes"):
        routes = routes_of(deployed_documents(stack))
    route = _route(routes, asked)
    made = made_now(
        route=route.name,
        since=iso(since),
        until=iso(until),
        which=asked.which.told,
        per_hour=pace.per_hour,
        chain=asked.chain,
    )
    with here.said.progress("Reading what was dropped and what has become of it") as tell:
        chosen = choose(stack, made, asked.which, list(routes), tell)
    with here.said.doing("Reading what its runs take"):
        needs = estimate(len(chosen.plan.files), takes(stack, chosen.past.samples), pace.per_hour)
    data = _plan_data(chosen, needs)
    if not chosen.plan.files:
        nothing = (
            f"Nothing to replay of route {route.name}, dropped from {local(made.since)} to "
            f"{local(made.until)}: {made.which}."
        )
        here.said.result(data | {"plan": None}, *_left_out(chosen), nothing)
        return
    if dry_run:
        here.said.result(data | {"plan": None}, *_plan_shown(chosen, needs, route))
        return
    if not yes:
        for each in _plan_shown(chosen, needs, route):
            here.said.err.print(each)
    here.said.confirm(f"Process {counted(len(chosen.plan.files), 'file')} again?", yes=yes)
    put_plan(stack, chosen.plan)
    here.said.note(f"This is plan {made.id}. To go on with it: stp replay {made.id}")
    _carry_out(here, chosen.plan, route, pace)


def _go_on(here: Here, plan_id: str, pace: Pace, *, chain: bool, dry_run: bool) -> None:
    """Carry out what is left of a plan, or show it. Raises Stop."""
    stack = here.stack
    with here.said.doing(f"Reading plan {plan_id}"):
        plan = plan_of(stack, plan_id)
        routes = routes_of(deployed_documents(stack))
    if plan.route not in routes:
        raise Stop(
            f"Plan {plan_id} is of route {plan.route!r}, which the stack does not have (any more).",
            UNKNOWN,
        )
    if dry_run:
        with here.said.doing("Reading how far it has come"):
            known = begun(stack, plan)
        left = [
            file
            for file in plan.files
            if file.run not in known or known[file.run]["status"] in GOING
        ]
        here.said.result(
            {"plan": plan.id, "route": plan.route, "files": [asdict(file) for file in left]},
            *([_files_shown(left)] if left else []),
            f"Left of plan {plan.id}: {len(left):,} of {counted(len(plan.files), 'file')}.",
        )
        return
    _require_meant(routes[plan.route], meant=chain or plan.chain)
    per_hour = pace.per_hour if pace.per_hour is not None else plan.per_hour
    _carry_out(here, plan, routes[plan.route], Pace(pace.failures, per_hour, pace.now))


def _route(routes: dict[str, Route], asked: _Asked) -> Route:
    """Return the route whose files are asked for. Raises Stop where it has none."""
    route = routes.get(asked.route)
    if route is None:
        names = ", ".join(sorted(routes)) or "none yet"
        raise Stop(f"There is no sound route {asked.route!r}; there are {names}.", UNKNOWN)
    if not route.datasets:
        raise Stop(f"Route {route.name} takes no file: stp run {route.name}", USAGE)
    _require_meant(route, meant=asked.chain)
    return route


def _require_meant(route: Route, *, meant: bool) -> None:
    """Raise Stop where a route chains on, and nobody has said that this is meant."""
    if route.then and not meant:
        onward = ", ".join(sorted({link.route for link in route.then}))
        raise Stop(
            f"Route {route.name} chains on to {onward}: what the files of a replay make would be "
            "dropped there anew, and so count as newer than all that is there. If that is meant, "
            "say so: --chain",
            USAGE,
        )


def _carry_out(here: Here, plan: Plan, route: Route, pace: Pace) -> None:
    """Carry out what is left of a plan, and say what has become of it."""
    try:
        done = carry_out(here.stack, here.said, plan, route.queue, pace)
    except (ClientError, BotoCoreError):
        here.said.note(f"To go on with the plan: stp replay {plan.id}")
        raise
    here.said.result(_done_data(plan, done), *_done_told(plan, done))
    if done.stopped or not all(run.status in GOOD for run in done.runs):
        raise typer.Exit(SOME_FAILED)


# --- what is said of it -------------------------------------------------------------------------
def _plan_data(chosen: Chosen, needs: Estimate | None) -> dict[str, Any]:
    """Return a plan as JSON has it."""
    plan = chosen.plan
    return {
        "plan": plan.id,
        "route": plan.route,
        "since": plan.since,
        "until": plan.until,
        "which": plan.which,
        "files": [asdict(file) for file in plan.files],
        "left_out": [asdict(each) for each in chosen.left_out],
        "estimate": asdict(needs) if needs else None,
    }


def _plan_shown(chosen: Chosen, needs: Estimate | None, route: Route) -> list[Any]:
    """Return a plan as people read it."""
    plan = chosen.plan
    lines: list[Any] = [_files_shown(plan.files), *_left_out(chosen)]
    lines.append(
        f"{counted(len(plan.files), 'file')} of route {plan.route}, dropped from "
        f"{local(plan.since)} to {local(plan.until)}: {plan.which}. {told(needs)}"
    )
    if route.destinations:
        lines.append("At its destinations, copies of files that were dropped later stay.")
    last = shown(plan.files[-1].key, LONGEST_KEY)
    lines.append(f"After it Quantemplate has the data of {last}, until the next file comes.")
    return lines


def _files_shown(files: list[Planned]) -> Table:
    """Return a line for each file of a plan."""
    table = Table(box=SIMPLE, pad_edge=False, show_edge=False)
    for title in ("dropped", "file", "so far", "supersedes"):
        table.add_column(title, overflow="fold", no_wrap=title == "dropped")
    for file in files:
        key = shown(file.key, LONGEST_KEY)
        row = (local(file.dropped_at), key, file.was, file.supersedes or "nothing")
        table.add_row(*(Text(text) for text in row))
    return table


def _left_out(chosen: Chosen) -> list[str]:
    """Return a line for each file that is left out."""
    return [
        f"left out: {shown(each.key, LONGEST_KEY)} of {local(each.dropped_at)}: {each.why}"
        for each in chosen.left_out
    ]


def _done_data(plan: Plan, done: Replayed) -> dict[str, Any]:
    """Return what has become of a plan as JSON has it."""
    return {
        "plan": plan.id,
        "files": len(plan.files),
        "before": done.before,
        "runs": [run.facts for run in done.runs],
        "passed_over": [
            {"key": file.key, "run": file.run, "why": w} for file, w in done.passed_over
        ],
        "left": len(plan.files) - done.told,
        "stopped": done.stopped,
    }


def _done_told(plan: Plan, done: Replayed) -> list[str]:
    """Return what has become of a plan as people read it."""
    left = len(plan.files) - done.told
    lines = summed_up(done.runs) if done.runs else []
    if done.passed_over:
        lines.append(f"{counted(len(done.passed_over), 'file')} passed over.")
    if done.before:
        lines.append(f"{counted(done.before, 'file')} had been processed by this plan before.")
    if done.stopped:
        lines.append(
            f"Stopped: {counted(done.failed, 'run')} failed, {counted(left, 'file')} left. Mend "
            f"the cause, then go on: stp replay {plan.id}"
        )
    else:
        lines.append(f"Plan {plan.id} is done.")
    return lines
