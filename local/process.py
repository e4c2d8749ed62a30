"""A part of the local stack: a process of its own, with a log, an address and an end."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

ADDRESS = re.compile(r"ready on (http://127\.0\.0\.1:\d+)")
TO_START = 60  # seconds
TO_STOP = 10  # seconds, before it is killed
LAST_LINES = 12
ROOT = Path(__file__).resolve().parent.parent
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux, prctl(2)


class PartFailed(Exception):
    """A part did not start, or ended by itself; the message holds the end of its log."""


class Part:
    """A running `python -m <module>`, known to its user as `name`."""

    def __init__(self, name: str, module: str, *options: str, log: Path) -> None:
        """Start it; its output goes to `log`."""
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *options],
                cwd=ROOT,
                env=clean_environment(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,  # Ctrl-C reaches us alone, and we stop our parts in order
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - no thread runs yet
            )

    def address(self) -> str:
        """Where it serves, or "" while it starts. Raises PartFailed."""
        self.check()
        found = ADDRESS.search(self.log.read_text(encoding="utf-8", errors="replace"))
        return found[1] if found else ""

    def check(self) -> None:
        """Raise PartFailed if it has ended."""
        code = self.process.poll()
        if code is not None:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
            raise PartFailed(
                f"{self.name} {how}. The end of {shown(self.log)}:\n{self.last_lines()}"
            )

    def last_lines(self) -> str:
        """The end of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-LAST_LINES:]) or "  (empty)"

    def ask_to_stop(self) -> None:
        """Ask it to end."""
        if self.process.poll() is None:
            self.process.terminate()

    def stop(self) -> None:
        """Wait for its end, and make one where it does not come."""
        try:
            self.process.wait(TO_STOP)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def wait_until_ready(*parts: Part) -> list[str]:
    """The addresses of the parts, once all serve. Raises PartFailed."""
    deadline = time.monotonic() + TO_START
    while time.monotonic() < deadline:
        addresses = [part.address() for part in parts]
        if all(addresses):
            return addresses
        time.sleep(0.05)
    slow = next(part for part in parts if not part.address())
    raise PartFailed(
        f"{slow.name} did not start within {TO_START} seconds. "
        f"The end of {shown(slow.log)}:\n{slow.last_lines()}"
    )


def shown(path: Path) -> str:
    """A path as a person here would type it."""
    return os.path.relpath(path)


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without settings of the user's own AWS, Quantemplate or proxies."""
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith(("AWS_", "QUANTEMPLATE_")) and not name.lower().endswith("_proxy")
    }
    nothing = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    return {**kept, **nothing, "NO_PROXY": "127.0.0.1,localhost", "PYTHONUNBUFFERED": "1"}


def die_with_parent() -> Callable[[], object] | None:
    """What a child calls so that it ends with us even where we are killed (Linux only)."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(DIE_WITH_PARENT, signal.SIGTERM)
