"""`stp drop`: files in, and their outputs back."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from stp.disk import legal_name
from stp.fetch import fetched
from stp.follow import follow
from stp.here import Here, here_of
from stp.run_facts import GOOD, Run
from stp.said import FAILED, Stop, counted, going_on
from stp.upload import Drop, Dropped, planned, upload
from straight_through.statuses import HELD, REPLACED, SKIPPED
from straight_through.telling.messages import first_of, held_because
from straight_through.text import shown


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("drop")(drop)


def drop(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="The files.", metavar="FILE...")],
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
    """Drop files into the inbox; follow their runs and fetch the outputs if wanted."""
    here = here_of(context)
    stack = here.stack
    with here.said.doing("Reading the routes"):
        drops = planned(stack, files, route)
    if check:
        _check(here, drops)
        return
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
    lines = [line for run in runs for line in _ending(run, files_of[run.name])]
    here.said.result(data, *lines, *(summed_up(runs) if len(runs) > 1 else []))
    if not all(run.status in GOOD for run in runs):
        raise typer.Exit(FAILED)


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
                f"{len(done):,} of {counted(len(drops), 'file')} were dropped and go on: stp runs. "
                f"{each.path} may not have been, and what follows it was not."
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


def summed_up(runs: Sequence[Run]) -> list[str]:
    """Return how many runs of a batch ended how, and what mends each kind of failure at once."""
    counts = Counter(run.status for run in runs)
    ends = ", ".join(f"{count:,} {status}" for status, count in counts.most_common())
    lines = [f"{counted(len(runs), 'file')}: {ends}."]
    kinds: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        if run.status not in GOOD:
            kind = run.facts["error"] or run.status
            kinds.setdefault((kind, _step(run)), []).append(run)
    for (kind, step), some in sorted(kinds.items(), key=lambda each: -len(each[1])):
        names = " ".join(run.name for run in some)
        # What no command mends at once is told of each run above; here of the first.
        mending = f"stp {step} {names}" if step else some[0].facts["next"]
        lines.append(f"{shown(kind)} ({len(some):,}): {mending}")
    return lines


def _step(run: Run) -> str:
    """Return the command that mends a run and takes several, "" where there is none."""
    steps = ("redrive", "rerun --attach", "rerun")
    return next((each for each in steps if f"stp {each} {run.name}" in run.facts["next"]), "")


def _ending(run: Run, files: list[dict[str, Any]]) -> list[str]:
    """Return how a run ended, and what to do."""
    lines = [
        f"{each['path']}  "
        + ("not counted" if each["rows"] is None else counted(each["rows"], "row"))
        for each in files
    ]
    key = shown(run.key)
    if run.status == HELD:
        lines.append(f"{key} is held: {first_of(held_because(run.facts))}.")
    elif run.status not in GOOD:
        lines.append(f"{key}: {run.facts['message'] or run.status}")
    elif run.status == SKIPPED:
        lines.append(f"{key} is skipped: {shown(run.facts['identical_to']['key'])} had its bytes.")
    elif run.status == REPLACED:
        lines.append(f"{key} was empty, and a newer version has replaced it.")
    elif run.facts["no_outputs"]:
        lines += [f"{key}: the run made no outputs.", run.facts["next"]]
    elif not files:
        lines.append(f"{key}: the outputs are in {run.facts['outputs']}")
    if run.status not in GOOD:
        lines.append(run.facts["next"])
    return lines
