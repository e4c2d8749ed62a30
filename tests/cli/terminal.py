"""The command `stp` in a terminal of its own."""

import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from local.process import clean_environment

STP = Path(sys.prefix) / "bin" / "stp"
# Wide enough that no name is broken; a COLUMNS of the tests' own shell would win otherwise.
SIZED = {"TERM": "xterm-256color", "LINES": "40", "COLUMNS": "160"}
DEADLINE = 240  # seconds, far beyond what anything here takes on a machine however busy
HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"  # what a terminal is told about its cursor
CONTROL = re.compile(r"\x1b\[[?\d;]*[A-Za-z]")


class Terminal:
    """A terminal, and the command that runs in it."""

    def __init__(self, environment: dict[str, str], *arguments: str) -> None:
        """Start the command."""
        self._told = b""
        self._screen, inside = pty.openpty()
        # What a shell starts in the background, the tests perhaps, ignores Ctrl-C, and so would
        # what it starts; a command in a terminal does not.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.process = subprocess.Popen(  # noqa: S603 - the command that is tested
            [STP, *arguments],
            env=clean_environment(os.environ) | SIZED | environment,
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
        )
        signal.signal(signal.SIGINT, before)
        os.close(inside)
        # In a thread: a terminal that nobody reads stops the command.
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    @property
    def raw(self) -> str:
        """All that the terminal was told."""
        return self._told.decode(errors="replace")

    @property
    def text(self) -> str:
        """What was written, without colours and movements."""
        return CONTROL.sub("", self.raw)

    def until(self, text: str, after: int = 0) -> int:
        """Wait until a text was written after a place of `text`; return the place behind it."""
        deadline = time.monotonic() + DEADLINE
        while (found := self.text.find(text, after)) < 0:
            assert time.monotonic() < deadline, f"no {text!r} in {self.text[-2000:]!r}"
            assert self._reading.is_alive(), f"no {text!r} in {self.text[-2000:]!r}"
            time.sleep(0.05)
        return found + len(text)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def ended(self) -> int:
        """Wait for the command's end; return its exit code."""
        code = self.process.wait(DEADLINE)
        self._reading.join(DEADLINE)
        return code

    def close(self) -> None:
        """End what still runs."""
        self.process.kill()
        self.ended()
        os.close(self._screen)

    def _read(self) -> None:
        """Take what is written, until nobody can write any more: Linux says so with an error."""
        with suppress(OSError):
            while told := os.read(self._screen, 65536):
                self._told += told


@contextmanager
def terminal(environment: dict[str, str], *arguments: str) -> Iterator[Terminal]:
    """Run the command in a terminal, and end it."""
    opened = Terminal(environment, *arguments)
    try:
        yield opened
    finally:
        opened.close()
