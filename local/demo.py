"""`make demo`: one sample file through the whole road, shown live; its outputs stay here."""

import csv
import itertools
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from local.live import RunPicture, consoles, ending, progress_on, steps_table
from local.packages import package
from local.process import ROOT, shown
from local.runs import Run, RunWatch
from local.stack import LOCAL, Stack, free_port, fresh, running

SAMPLE = ROOT / "local" / "samples" / "claims_may.csv"
KEY = "claims/may.csv"
FOLDER = LOCAL / "demo"
ROWS = 5
CELL = 18  # characters
PATIENCE = 60  # seconds for a run to start, and again for it to end


class DemoFailed(Exception):
    """The demo did not come to its end; the message says where to look."""


def demo(_: Mapping[str, str]) -> int:
    """Run the sample; return 0 when its outputs are there and 1 when the run failed."""
    out, err = consoles()
    fresh(FOLDER)
    try:
        with progress_on(err) as progress:
            with running(FOLDER, free_port(), None, progress) as stack:
                progress.end()
                out.print(f"The stack is up after {progress.seconds():.1f} s.")
                run = drop_and_follow(out, stack)
                if run.status == "SUCCEEDED":
                    fetch_outbox(stack)
            progress.end()
    except KeyboardInterrupt:
        err.print("stopped")
        return 130
    if run.status != "SUCCEEDED":
        err.print(f"The parts' logs are in {shown(FOLDER / 'log')}", markup=False)
        return 1
    show_outputs(out, FOLDER / "outbox")
    out.print("To drop files of your own: make up", markup=False)
    return 0


# --- the run -----------------------------------------------------------------------------------
def drop_and_follow(out: Console, stack: Stack) -> Run:
    """Drop the sample and show its run until it has ended."""
    dropped = FOLDER / "inbox" / KEY
    dropped.parent.mkdir(parents=True)
    shutil.copyfile(SAMPLE, dropped)
    stack.client("s3").put_object(
        Bucket=stack.outputs["InboxBucket"], Key=KEY, Body=dropped.read_bytes()
    )
    out.print(
        f"Dropped {shown(dropped)} as s3://{stack.outputs['InboxBucket']}/{KEY}", markup=False
    )
    run = follow_in_place(out, stack) if out.is_terminal else follow_in_lines(out, stack)
    out.print(Text(ending(run), style="green" if run.status == "SUCCEEDED" else "red"))
    return run


def follow_in_place(out: Console, stack: Stack) -> Run:
    """Show the run as one picture that changes."""
    picture = RunPicture()
    with Live(picture, console=out, refresh_per_second=10):
        for run in looks(stack):
            picture.run = run
    return run


def follow_in_lines(out: Console, stack: Stack) -> Run:
    """Show the run as a line for each state, and the times at the end."""
    shown_states: set[str] = set()
    for run in looks(stack):
        for step in run.steps:
            if step.name not in shown_states:
                shown_states.add(step.name)
                after = (step.first - run.started).total_seconds()
                out.print(f"{after:5.1f} s  {step.name}", markup=False)
    out.print("Time spent in each state:")
    out.print(steps_table(run))
    return run


def looks(stack: Stack) -> Iterator[Run]:
    """The run at every change, until it has ended. Raises DemoFailed, PartFailed."""
    watch = RunWatch(stack.client("stepfunctions"), stack.outputs["StateMachineArn"])
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        stack.check()
        for before, run in watch.changes():
            if before is None:
                deadline = time.monotonic() + PATIENCE
            yield run
            if run.stopped:
                return
        time.sleep(0.1)
    raise DemoFailed(
        f"Nothing ended within {PATIENCE} seconds. The logs are in {shown(FOLDER / 'log')}"
    )


# --- what came back ----------------------------------------------------------------------------
def fetch_outbox(stack: Stack) -> None:
    """Copy everything in the outbox into the demo's folder."""
    s3, bucket = stack.client("s3"), stack.outputs["OutboxBucket"]
    for each in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
        target = on_disk(each["Key"])
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read())


def on_disk(key: str) -> Path:
    """Where an object of the outbox lies in the demo's folder, under names that any disk takes."""
    legal_name = package("stp.disk").legal_name
    return FOLDER.joinpath("outbox", *map(legal_name, key.split("/")))


def show_outputs(out: Console, outbox: Path) -> None:
    """Print where the outputs lie and the first rows of the first."""
    manifest = next(outbox.rglob("manifest.json"))
    outputs = json.loads(manifest.read_text(encoding="utf-8"))["outputs"]
    out.print(f"\nIts outputs lie in {shown(manifest.parent)}/", markup=False)
    listing = Table.grid(padding=(0, 2))
    for output in outputs:
        rows = "not counted" if output["rows"] is None else f"{output['rows']:,} rows"
        size = f"{output['bytes']:,} bytes"
        listing.add_row(Text(f"  {on_disk(output['key']).name}"), rows, size)
    out.print(listing)
    out.print(f"and the manifest in {shown(manifest)}\n", markup=False)
    first = on_disk(outputs[0]["key"])
    out.print(f"The first rows of {first.name}:", markup=False)
    out.print(first_rows(first, out.width))


def first_rows(path: Path, width: int) -> Table:
    """The first rows of a CSV file, as many columns as fit; long cells are cut."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = [[cut(cell) for cell in row] for row in itertools.islice(csv.reader(file), ROWS + 1)]
    fitting, used = 0, 1 + len("… │ ")
    for column in zip(*rows, strict=False):
        used += max(map(len, column)) + len(" │ ")
        if used > width and fitting:
            break
        fitting += 1
    more = ["…"] if fitting < len(rows[0]) else []
    table = Table(*rows[0][:fitting], *more)
    for row in rows[1:]:
        table.add_row(*map(Text, row[:fitting]), *more)
    return table


def cut(cell: str) -> str:
    """The cell, at most CELL characters of it."""
    return cell if len(cell) <= CELL else cell[: CELL - 1] + "…"
