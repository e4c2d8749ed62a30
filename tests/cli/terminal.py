"""The command `stp` in a terminal of its own."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.process import clean_environment

STP = Path(sys.prefix) / "bin" / "stp"
# Wide enough that no name is broken; a COLUMNS of the tests' own shell would win otherwise.
SIZED = {"TERM": "xterm-256color", "LINES": "40", "COLUMNS": "160"}
DEADLINE = 60  # seconds, far beyond what anything here takes
HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"  # what a terminal is told about its cursor
CONTROL = re.compile(r"\x1b\[[?\d;]*[A-Za-z]")


class Terminal:
    """A terminal, and the command that runs in it."""

    def __init__(self, environment: dict[str, str], *arguments: str) -> None:
        """Start the command."""
        self.raw = ""  # all that the terminal was told
        self._screen, inside = pty.openpty()
        termios.tcsetwinsize(inside, (40, 160))
        self.process = subprocess.Popen(  # noqa: S603 - the command that is tested
            [STP, *arguments],
            env=clean_environment(os.environ) | SIZED | environment,
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
        )
        os.close(inside)

    @property
    def text(self) -> str:
        """What was written, without colours and movements."""
        return CONTROL.sub("", self.raw)

    def until(self, text: str, after: int = 0) -> int:
        """Wait until a text was written after a place of `text`; return the place behind it."""
        deadline = time.monotonic() + DEADLINE
        while (found := self.text.find(text, after)) < 0:
            assert self._read(deadline), f"no {text!r} in {self.text[-2000:]!r}"
        return found + len(text)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def ended(self) -> int:
        """Wait for the command's end; return its exit code."""
        deadline = time.monotonic() + DEADLINE
        while self._read(deadline):
            pass
        return self.process.wait(DEADLINE)

    def close(self) -> None:
        """End what still runs."""
        self.process.kill()
        self.process.wait(DEADLINE)
        os.close(self._screen)

    def _read(self, deadline: float) -> bool:
        """Take what comes next; False where nothing comes any more."""
        ready, _, _ = select.select([self._screen], [], [], max(0, deadline - time.monotonic()))
        try:
            told = os.read(self._screen, 65536) if ready else b""
        except OSError:  # so Linux says that nobody writes any more
            return False
        self.raw += told.decode(errors="replace")
        return bool(told)


@contextmanager
def terminal(environment: dict[str, str], *arguments: str) -> Iterator[Terminal]:
    """Run the command in a terminal, and end it."""
    opened = Terminal(environment, *arguments)
    try:
        yield opened
    finally:
        opened.close()
