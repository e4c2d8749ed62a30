"""What is said: results on stdout, as text or JSON; progress, questions and errors on stderr."""

import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rich.console import Console, RenderableType
from rich.prompt import Confirm
from rich.text import Text

from straight_through.text import lines_shown

OK, FAILED, USAGE, NO_STACK, UNKNOWN, NOT_NOW, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
EXIT_CODES = {
    OK: "done",
    FAILED: "something failed: a run, a check, a change; or the answer was no",
    USAGE: "wrong usage, or a question that nobody was there to answer (`--yes`)",
    NO_STACK: "the stack is not there, or AWS does not let you in",
    UNKNOWN: "no run, route or queue has this name",
    NOT_NOW: "AWS throttles, fails or does not answer in time: try again later",
    INTERRUPTED: "Ctrl-C; runs go on",
}
WIDE = 200  # columns where there is no terminal
PATIENCE = 1.0  # seconds without a word, at most
REMIND = 10.0  # seconds between two lines of one command's progress, where nothing is drawn


class Stop(Exception):
    """The command ends here; the message says what happened and what to do."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        """Keep the exit code."""
        super().__init__(message)
        self.code = code


class PipeClosed(Exception):
    """Whoever read what is said has seen enough."""


class _Console(Console):
    """A console for which a closed pipe is no failure."""

    def on_broken_pipe(self) -> None:
        """End the command. Raises PipeClosed."""
        raise PipeClosed


@contextmanager
def going_on(text: str) -> Iterator[None]:
    """Where Ctrl-C comes, say what goes on all the same. Raises Stop."""
    try:
        yield
    except KeyboardInterrupt:
        raise Stop(f"Interrupted. {text}", INTERRUPTED) from None


def _console(*, stderr: bool = False) -> Console:
    """Return a console that changes nothing of what it is given."""
    console = _Console(highlight=False, soft_wrap=True, stderr=stderr)
    if not console.is_terminal:
        console.width = WIDE
    return console


@dataclass(frozen=True)
class Said:
    """Where a command speaks, and whether its results are JSON."""

    json: bool = False
    out: Console = field(default_factory=_console)
    err: Console = field(default_factory=lambda: _console(stderr=True))

    def result(self, data: Any, *shown: RenderableType) -> None:
        """Print a result: the data as JSON, or what people read."""
        if self.json:
            self.out.file.write(as_json(data) + "\n")
            self.out.file.flush()
            return
        for each in shown:
            self.out.print(Text(lines_shown(each)) if isinstance(each, str) else each)

    def note(self, text: str, style: str = "") -> None:
        """Say something beside the result."""
        self.err.print(Text(lines_shown(text), style=style))

    @contextmanager
    def doing(self, text: str) -> Iterator[None]:
        """Show what takes time: a spinner in a terminal, else a line if it takes long."""
        if self.err.is_terminal:
            with self.err.status(Text(f"{lines_shown(text)} …")):
                yield
            return
        timer = threading.Timer(PATIENCE, self.note, [f"{text} …"])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    @contextmanager
    def progress(self, text: str) -> Iterator[Callable[[str], None]]:
        """Show how far something has come: yields what is told so."""
        if self.err.is_terminal:
            with self.err.status(Text(f"{lines_shown(text)} …")) as status:
                yield lambda far: status.update(Text(f"{lines_shown(text)}: {lines_shown(far)} …"))
            return
        told = time.monotonic()

        def tell(far: str) -> None:
            nonlocal told
            if time.monotonic() - told >= REMIND:
                told = time.monotonic()
                self.note(f"{text}: {far} …")

        with self.doing(text):
            yield tell

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask, unless `yes` is given. Raises Stop where the answer is no or nobody can answer."""
        if yes:
            return
        if self.json or not sys.stdin.isatty():
            raise Stop(f"{question} There is no terminal to answer in: repeat with --yes.", USAGE)
        if not Confirm.ask(Text(lines_shown(question)), console=self.err, default=False):
            raise Stop("Nothing was changed.")


def as_json(data: Any) -> str:
    """Return data as JSON; moments in ISO 8601, and no character that commands a terminal."""
    text = json.dumps(data, ensure_ascii=False, indent=2, default=_plain)
    return re.sub(r"[^\n -~]", _as_json_has_it, text)


def _as_json_has_it(found: re.Match[str]) -> str:
    """Return a character as it is, or its escape where it would not be seen as itself."""
    return found[0] if lines_shown(found[0]) == found[0] else json.dumps(found[0])[1:-1]


def _plain(value: Any) -> Any:
    """Return what JSON does not know in a form that it does."""
    return value.isoformat() if isinstance(value, datetime) else str(value)
