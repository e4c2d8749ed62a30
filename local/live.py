"""How the local stack looks in a terminal, and, in plain lines, where there is none."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderResult
from rich.status import Status
from rich.table import Table
from rich.text import Text

from local.packages import package
from local.runs import Run

if TYPE_CHECKING:
    from stp.timeline import Step

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
LONGEST_KEY = 1024  # characters; S3 takes no longer one
DONE = {"SUCCEEDED": "green", "RUNNING": "cyan"}  # anything else is red


def consoles() -> tuple[Console, Console]:
    """For results, on stdout, and for progress and errors, on stderr."""
    return (
        Console(highlight=False, soft_wrap=True),
        Console(highlight=False, soft_wrap=True, stderr=True),
    )


class Progress:
    """What is being done just now: a spinner in a terminal, else a line for each new thing."""

    def __init__(self, console: Console) -> None:
        """Nothing is being done yet."""
        self.console = console
        self.began = time.monotonic()
        self.text = ""
        self.status: Status | None = None

    def __call__(self, text: str) -> None:
        """Say what is being done from now on."""
        if self.console.is_terminal:
            if self.status is None:
                self.status = self.console.status(text)
                self.status.start()
            self.status.update(Text(f"{text} …"))
        elif text.partition(":")[0] != self.text.partition(":")[0]:
            self.console.print(f"{self.seconds():5.1f} s  {text} …", markup=False)
        self.text = text

    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.began

    def end(self) -> None:
        """Nothing is being done any more."""
        if self.status is not None:
            self.status.stop()
            self.status = None


@contextmanager
def progress_on(console: Console) -> Iterator[Progress]:
    """A progress that leaves the terminal as it found it."""
    progress = Progress(console)
    try:
        yield progress
    finally:
        progress.end()


# --- a line for each change --------------------------------------------------------------------
def news(before: Run | None, now: Run) -> list[tuple[datetime, str, str]]:
    """What happened to a run between two looks: when, what, and in which colour."""
    told = []
    known = set() if before is None else {step.name for step in before.steps}
    redriven = now.redriven if now.redrives > (before.redrives if before else 0) else None
    key = package("straight_through.text").shown(now.key, LONGEST_KEY)
    if before is None:
        told.append((now.started, f"started  {key}".rstrip(), "bold"))
    if redriven:
        told.append((redriven, "running again", "bold"))
    # Each state once, however often the run comes back to it, except when it was redriven.
    for step in now.steps:
        if redriven and step.since >= redriven:
            told.append((step.since, step.name, ""))
        elif step.name not in known:
            told.append((step.first, step.name, ""))
    told.sort(key=lambda line: line[0])
    if now.stopped is not None:
        told.append((now.stopped, ending(now), DONE.get(now.status, "red")))
    return told


def ending(run: Run) -> str:
    """How a run ended, in a line."""
    text = f"{run.status} after {run.seconds:.1f} s"
    if run.status == "SUCCEEDED":
        return text
    where = f" at {run.failed_at}" if run.failed_at else ""
    message = package("straight_through.telling.messages").message_of(run.cause)
    detail = ": ".join(part for part in (run.error, one_line(message)) if part)
    return f"{text}{where}  {detail}".rstrip()


def one_line(text: str) -> str:
    """The text without line breaks."""
    return " ".join(text.split())


def print_news(console: Console, before: Run | None, now: Run) -> None:
    """Print what happened to a run, a line for each change."""
    for when, what, style in news(before, now):
        line = Text(f"{when.astimezone():%H:%M:%S}  ", style="dim")
        line.append(f"{now.name}  ", style="not dim")
        line.append(what, style=f"not dim {style}".strip())
        console.print(line)


# --- one run, drawn anew several times a second --------------------------------------------------
class RunPicture:
    """The states of one run with a mark, the time spent in each, and how often it was entered."""

    def __init__(self) -> None:
        """No run yet."""
        self.run: Run | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the run as it is now."""
        spinner = SPINNER[int(time.monotonic() * 10) % len(SPINNER)]
        if self.run is None:
            yield Text(f"  {spinner} waiting for the run to start", style="cyan")
            return
        yield steps_table(self.run, spinner)


def steps_table(run: Run, spinner: str = " ") -> Table:
    """A run's states, one row each."""
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="dim")
    now = run.stopped or datetime.now(run.started.tzinfo)
    for step in run.steps:
        mark, style = step_mark(run, step, spinner)
        times = f"{len(step.visits)} times" if len(step.visits) > 1 else ""
        seconds = f"{step.seconds(now):.1f} s"
        table.add_row(Text(f"  {mark}", style), Text(step.name, style), seconds, times)
    return table


def step_mark(run: Run, step: "Step", spinner: str) -> tuple[str, str]:
    """A state's mark and colour."""
    if step.name == run.failed_at:
        return "✗", "red"
    return (spinner, "cyan") if step.status == "current" else ("✓", "green")
