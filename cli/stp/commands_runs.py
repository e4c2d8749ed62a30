"""`stp runs`, `stp show`, `stp watch`, `stp doctor`."""

import time
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from stp.console import links_of
from stp.doctor import BAD, GOOD, checks
from stp.here import Here, here_of
from stp.how_long import HowLong
from stp.moments import local
from stp.moments import since as moment_of
from stp.new_runs import start_once
from stp.run_facts import BAD as ENDED_BADLY
from stp.run_facts import Run, open_hold, uploaded_as
from stp.runs import MOST_LISTED, RUN_NAMED, described, listed, named, route_names
from stp.said import FAILED, UNKNOWN, USAGE, Stop, as_json
from stp.shown_runs import RunsShown, run_details, run_status
from stp.stack import Stack
from stp.timeline import history, phases, visits
from stp.unknown_files import LONGEST_AGO, unknown_files
from stp.waits import explain, explain_within, paused_told
from straight_through.text import counted, lines_shown, shown

HELD_END = ("SUCCEEDED",)  # how Step Functions says that a held run has ended
LONGEST_KNOWN = "90d"  # for which Step Functions knows runs
WATCHED = 20  # newest runs
LOOK_EVERY = 2.0  # seconds


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("runs")(runs)
    app.command("show")(show)
    app.command("watch")(watch)
    app.command("doctor")(doctor)


def runs(
    context: typer.Context,
    route: Annotated[str, typer.Option(help="Only those of this route.")] = "",
    failed: Annotated[bool, typer.Option("--failed", help="Only those that ended badly.")] = False,
    held: Annotated[
        bool, typer.Option("--held", help="Only those that a gate holds, and nobody has released.")
    ] = False,
    since: Annotated[
        str,
        typer.Option(
            help="Started since then (--failed, --held: ended since): 2h, 7d, 2026-11-24. "
            "Without it 7d, with --held 90d."
        ),
    ] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
) -> None:
    """List runs, the newest first."""
    here = here_of(context)
    if failed and held:
        raise Stop("A held run has not failed: name --failed or --held.", USAGE)
    since = since or (LONGEST_KNOWN if held else "7d")
    bad = tuple(ENDED_BADLY) if failed else HELD_END if held else ()
    found = find_runs(here, route=route, bad=bad, since=since, limit=limit, held=held)
    shown: list[Any] = [RunsShown(found)]
    if not found:
        what = "failed runs" if failed else "held runs" if held else "runs"
        of = f" of route {route}" if route else ""
        hint = "" if held else " To look back further, name --since."
        hint += "" if bad else " To drop a file: stp drop FILE"
        shown = [f"No {what}{of} since {since}.{hint}"]
    elif len(found) == limit:
        shown.append(f"These are the newest {limit}. See more with --limit.")
    shown += paused_told(found)
    here.said.result([run.facts for run in found], *shown)


def find_runs(
    here: Here,
    *,
    route: str,
    bad: Collection[str],
    since: str,
    limit: int,
    held: bool = False,
) -> list[Run]:
    """Return the runs that the options name; `bad` are the statuses asked for. Raises Stop."""
    only: dict[str, Any] = {"only": open_hold} if held else {}
    began, stack = moment_of(since), here.stack
    with here.said.progress("Reading the runs") as tell:
        executions = listed(stack, began, bad=bad, at_once=MOST_LISTED if bad or route else limit)
        found = described(stack, executions, limit, route=route, tell=tell, **only)
        explain(stack, found, HowLong(stack, here.said.note))
        known = route_names(stack) if route and not found else [route]
    if route not in known:  # one that was removed may still have runs
        names = ", ".join(sorted(known)) or "none yet"
        raise Stop(
            f"There is no route {route!r}, and no run of it since {since}; there are {names}.",
            UNKNOWN,
        )
    return found


def show(
    context: typer.Context, run: Annotated[str, typer.Argument(metavar="RUN", help=RUN_NAMED)]
) -> None:
    """Show one run: its time, its rows, what failed and what to do."""
    here = here_of(context)
    with here.said.doing(f"Reading run {run}"):
        found = named(here.stack, run)
        explain(here.stack, [found], HowLong(here.stack, here.said.note))
        explain_within(here.stack, found)
        went = phases(visits(history(here.stack, found.arn)), uploaded_as(found))
    links = links_of(here.stack, found)
    now = datetime.now(UTC)
    data = found.facts | {
        "timeline": [vars(each) | {"seconds": each.seconds(now)} for each in went],
        "links": links,
    }
    here.said.result(data, run_details(found, went, links))


def _start_unknown(here: Here, since: str, *, yes: bool) -> None:
    """List the files of the inbox that no run knows, ask, and start them. Raises Stop."""
    began, stack = moment_of(since), here.stack
    if began < datetime.now(UTC) - LONGEST_AGO:
        raise Stop(
            "Step Functions knows runs for 90 days, and what is older may have had one. Name a "
            "--since of 90d at most.",
            USAGE,
        )
    with here.said.doing("Comparing the inbox with the runs"):
        files = unknown_files(stack, began)
    if not files:
        here.said.result([], f"Each file that was dropped since {since} has a run.")
        return
    if here.said.json and not yes:
        here.said.result([vars(each) | {"started": False} for each in files])
        raise typer.Exit(FAILED)
    for each in files:
        where = shown(f"s3://{each.bucket}/{each.key}")
        here.said.note(f"{local(each.dropped_at)}  {where} has no run")
    here.said.confirm(
        f"Start {counted(len(files), 'run')}? What was dropped just now may start by itself.",
        yes=yes,
    )
    data = []
    for each in files:
        with here.said.doing(f"Starting {each.run}"):
            data.append(vars(each) | {"started": start_once(stack, each.run, each.input)})
    begun = sum(each["started"] for each in data)
    here.said.result(data, f"{counted(begun, 'run')} started. See them: stp runs")


def watch(
    context: typer.Context,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="End when no run is going on.")
    ] = False,
) -> None:
    """Watch the newest runs, until Ctrl-C."""
    here = here_of(context)
    newest, usual = Newest(here.stack), HowLong(here.stack, here.said.note)
    live = here.said.out.is_terminal and not here.said.json
    drawn = Live(Text("Reading the runs …"), console=here.said.out) if live else nullcontext()
    with drawn as picture:
        seen: dict[str, Run] = {}
        while True:
            with here.said.doing("Reading the runs") if not (live or seen) else nullcontext():
                found = newest.look()
                explain(here.stack, found, usual)
            if picture is not None:
                shown = RunsShown(found, fold=True) if found else Text("No runs yet. stp drop FILE")
                picture.update(shown, refresh=True)
            for run in reversed(found):
                before = seen.get(run.arn)
                if not live and (before is None or before.facts != run.facts):
                    _tell(here.said.out, run, json=here.said.json)
                seen[run.arn] = run
            if until_idle and not any(run.running for run in found):
                return
            time.sleep(LOOK_EVERY)


class Newest:
    """The newest runs; those of which the list tells nothing new are not asked for again."""

    def __init__(self, stack: Stack) -> None:
        """Know none yet."""
        self._stack = stack
        self._known: dict[str, tuple[Mapping[str, Any], Run]] = {}

    def look(self) -> list[Run]:
        """Return them as they are now."""
        executions = list(islice(listed(self._stack, None, at_once=WATCHED), WATCHED))
        known = self._known
        changed = [each for each in executions if known.get(each["executionArn"], ({},))[0] != each]
        runs = {run.arn: run for run in described(self._stack, changed, WATCHED)}
        self._known = {
            arn: (each, runs[arn] if arn in runs else known[arn][1])
            for each in executions
            for arn in [each["executionArn"]]
        }
        return [run for _, run in self._known.values()]


def _tell(out: Console, run: Run, *, json: bool) -> None:
    """Print one run on a line."""
    if json:
        out.file.write(as_json(run.facts).replace("\n", " ") + "\n")
        out.file.flush()
        return
    when = local(run.facts["ended_at"] or run.started)
    status = run_status(run)
    out.print(Text.assemble(f"{when}  ", status, f"  {shown(run.key)}  {run.name}"))


def doctor(
    context: typer.Context,
    inbox: Annotated[
        bool,
        typer.Option("--inbox", help="List files that no run knows, and start them if wanted."),
    ] = False,
    since: Annotated[
        str, typer.Option(help="With --inbox: dropped since then; 90d at most.")
    ] = "14d",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --inbox: do not ask.")] = False,
) -> None:
    """Check a deployment from end to end, and say what to do."""
    here = here_of(context)
    if inbox:
        _start_unknown(here, since, yes=yes)
        return
    stack, found = here.stack, []
    for name, check in checks(stack):
        with here.said.doing(f"Checking {name}"):
            findings = check()
        found += findings
        for each in findings if not here.said.json else ():
            mark, style = {GOOD: ("✓", "green"), BAD: ("✗", "red")}.get(each.state, ("!", "yellow"))
            here.said.out.print(
                Text.assemble((f"{mark} {each.about}", style), f"  {lines_shown(each.what)}")
            )
            if each.todo:
                here.said.out.print(Text(f"    {lines_shown(each.todo)}"))
    bad = sum(each.state == BAD for each in found)
    warned = sum(each.state not in (GOOD, BAD) for each in found)
    summary = f"{counted(len(found), 'check')}: {bad} failed, {warned} to look at."
    here.said.result([vars(each) for each in found], summary)
    if bad:
        raise typer.Exit(FAILED)
