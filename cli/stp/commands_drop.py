"""`stp drop` and `stp run`: files in, or none, and the outputs back."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from stp.disk import legal_name
from stp.endings import ending, summed_up
from stp.fetch import fetched
from stp.follow import follow
from stp.here import Here, here_of
from stp.new_runs import of_route, start
from stp.run_facts import GOOD, Run
from stp.runs import route_names
from stp.said import FAILED, UNKNOWN, Stop, going_on
from stp.upload import Drop, Dropped, planned, upload
from straight_through.errors import NoRoute
from straight_through.routes import Routes
from straight_through.text import counted, shown


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("drop")(drop)
    app.command("run")(run_route)


def drop(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="The files.", metavar="FILE")],
    route: Annotated[
        str, typer.Option("--route", "-r", help="The route, or a folder inside it.")
    ] = "",
    wait: Annotated[
        bool, typer.Option("--wait", "-w", help="Follow the runs to their end.")
    ] = False,
    to: Annotated[
        Path | None, typer.Option(help="Wait, and put the outputs into this folder.")
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Only check them, as the stack would; nothing is sent."),
    ] = False,
) -> None:
    """Drop files into the inbox, follow their runs, fetch the outputs."""
    here = here_of(context)
    stack = here.stack
    with here.said.doing("Reading the routes"):
        drops = planned(stack, files, route)
    if check:
        _check(here, drops)
        return
    _make(to)
    _warn(here, drops)
    dropped = _upload_all(here, drops)
    told = [vars(each) | {"path": str(each.path)} for each in dropped]
    if not wait and to is None:
        lines = [f"Dropped {d.path} as s3://{d.bucket}/{d.key}, run {d.run}" for d in dropped]
        here.said.result(told, *lines, f"Follow it: stp show {dropped[-1].run}")
        return
    for each in dropped:
        here.said.note(f"Dropped {each.path} as s3://{each.bucket}/{each.key}")
    look = f"stp show {dropped[0].run}" if len(dropped) == 1 else "stp runs"
    with going_on(f"What was dropped goes on: {look}"):
        runs = follow(stack, here.said, [each.run for each in dropped])
    files_of = {run.name: _fetch(here, run, to, alone=len(runs) == 1) for run in runs}
    data = [run.facts | {"files": files_of[run.name]} for run in runs]
    lines = [line for run in runs for line in ending(run, files_of[run.name])]
    here.said.result(data, *lines, *(summed_up(runs) if len(runs) > 1 else []))
    if not all(run.status in GOOD for run in runs):
        raise typer.Exit(FAILED)


def run_route(
    context: typer.Context,
    route: Annotated[str, typer.Argument(metavar="ROUTE", help="A route without a dataset_id.")],
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Follow the run to its end.")] = False,
    to: Annotated[
        Path | None, typer.Option(help="Wait, and put the outputs into this folder.")
    ] = None,
) -> None:
    """Start a run without a file, on what Quantemplate has."""
    here = here_of(context)
    stack = here.stack
    with here.said.doing("Reading the route"):
        try:
            found = Routes(stack.client("ssm"), stack.routes_path).named(route)
        except NoRoute:
            known = ", ".join(sorted(route_names(stack))) or "none at all"
            raise Stop(
                f"Stack {stack.name} has no route {route!r}; it has {known}.", UNKNOWN
            ) from None
    if found.dataset_id:
        raise Stop(
            f"Route {route!r} takes files, and nothing was started. Drop one: "
            f"stp drop FILE --route {route}. If it is to run without one, take its dataset_id away "
            "(docs/run-without-a-file.md)."
        )
    _make(to)
    name, given = of_route(found.name)
    with here.said.doing(f"Starting {name}"):
        arn = start(stack, name, given)
    if not wait and to is None:
        told = {"run": name, "route": found.name, "arn": arn}
        here.said.result(told, f"Started run {name}", f"Follow it: stp show {name}")
        return
    here.said.note(f"Started run {name}")
    with going_on(f"What was started goes on: stp show {name}"):
        (run,) = follow(stack, here.said, [name])
    files = _fetch(here, run, to, alone=True)
    here.said.result([run.facts | {"files": files}], *ending(run, files))
    if run.status not in GOOD:
        raise typer.Exit(FAILED)


def _make(to: Path | None) -> None:
    """Make the folder for the outputs, before anything is begun whose outputs had no place."""
    if to is not None:
        to.mkdir(parents=True, exist_ok=True)


def _check(here: Here, drops: list[Drop]) -> None:
    """Check the files here, and show the first rows of each as its dataset would see them."""
    from stp.checked import judged, shown  # noqa: PLC0415 - only where it is asked for

    results = []
    for each in drops:
        with here.said.doing(f"Checking {each.path}"):
            results.append(judged(here.stack, each))
    lines = [line for result in results for line in shown(result)]
    here.said.result([result.told for result in results], *lines)
    if any(result.error for result in results):
        raise typer.Exit(FAILED)


def _warn(here: Here, drops: list[Drop]) -> None:
    """Say of what begins oddly, in a line each; it is dropped all the same."""
    from stp.checked import warning_of  # noqa: PLC0415 - its reading costs a start of others

    for each in drops:
        if warning := warning_of(here.stack, each):
            here.said.note(f"! {warning}", "yellow")


def _upload_all(here: Here, drops: list[Drop]) -> list[Dropped]:
    """Upload the files one after the other, with a bar in a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    quiet = not here.said.err.is_terminal
    done: list[Dropped] = []
    with Progress(
        *columns, TransferSpeedColumn(), console=here.said.err, transient=True, disable=quiet
    ) as bars:
        for each in drops:
            bar = bars.add_task(shown(each.path.name).replace("[", r"\["), total=each.size)
            left = (
                f"Dropped so far: {len(done):,} of {counted(len(drops), 'file')}, and perhaps "
                f"{each.path}. See: stp runs"
            )
            with going_on(left):
                if quiet:
                    with here.said.doing(f"Uploading {each.path} ({each.size:,} bytes)"):
                        done.append(upload(here.stack, each, lambda _: None))
                    continue
                done.append(upload(here.stack, each, lambda n, bar=bar: bars.advance(bar, n)))  # type: ignore[misc]
    return done


def _fetch(here: Here, run: Run, to: Path | None, *, alone: bool) -> list[dict[str, Any]]:
    """Fetch a run's outputs; of several runs, each has a folder of its own."""
    if to is None:
        return []
    folder = to if alone else to / legal_name(run.name)
    if folder.is_symlink() and not alone:
        raise Stop(f"{folder} is a link to another place. Remove it, or name another folder.")
    with here.said.doing(f"Fetching the outputs of {run.name}"):
        return [
            {"path": str(path), "rows": rows} for path, rows in fetched(here.stack, run, folder)
        ]
