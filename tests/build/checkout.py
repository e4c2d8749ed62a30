"""A checkout in which `make` is run as a person runs it, and what is seen from outside."""

import os
import re
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.process import clean_environment
from local.stack import free_port

ROOT = Path(__file__).parents[2]
USERS_FILES = (
    "Makefile",
    "template.yaml",
    "cli",
    "emulator",
    "functions",
    "layers",
    "local",
    "statemachine",
)
PATIENCE = 240  # seconds, far beyond what anything here takes


@dataclass(frozen=True)
class Checkout:
    """A copy of the project."""

    folder: Path

    @property
    def stack_env(self) -> Path:
        """What a running `make up` leaves for shells."""
        return self.folder / ".local" / "stack.env"

    def environment(self, **settings: str) -> dict[str, str]:
        """A user's environment with nothing of AWS or Quantemplate but these settings."""
        return clean_environment(os.environ) | settings

    def make(self, target: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run `make <target>` to its end."""
        return subprocess.run(  # noqa: S603 - targets of these tests
            ["make", "--no-print-directory", target],  # noqa: S607 - as a person types it
            cwd=self.folder,
            env=self.environment(**settings),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def shell(self, command: str) -> str:
        """The output of a command in a shell that has read stack.env."""
        done = subprocess.run(  # noqa: S603 - commands of these tests
            ["sh", "-euc", f". .local/stack.env\n{command}"],  # noqa: S607 - as a person types it
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def up(self, *command: str, **settings: str) -> Iterator["Up"]:
        """A running `make up` on a free port, or another command; killed at the end if need be."""
        port = int(settings.setdefault("STACK_PORT", str(free_port())))
        log = self.folder / f"up-{port}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - commands of these tests
                command or ["make", "--no-print-directory", "up"],
                cwd=self.folder,
                env=self.environment(**settings),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        running = Up(process, log, port)
        try:
            yield running
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(PATIENCE)


@dataclass(frozen=True)
class Up:
    """A running `make up`: its process, which leads a session as a terminal's does."""

    process: subprocess.Popen[bytes]
    log: Path
    port: int

    def printed(self) -> str:
        """All that it has printed so far."""
        return self.log.read_text(encoding="utf-8")

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until it has printed something like this."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if found := re.search(pattern, self.printed(), re.MULTILINE):
                return found
            assert self.process.poll() is None, self.printed()
            time.sleep(0.05)
        raise AssertionError(f"{pattern!r} did not come:\n{self.printed()}")

    def ctrl_c(self) -> None:
        """What a terminal does on Ctrl-C: the signal goes to the whole foreground group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def ended(self) -> int:
        """Wait for its end and return its exit status."""
        return self.process.wait(PATIENCE)

    def wait_until_port_is_free(self) -> None:
        """Wait until nobody listens on its port; a killed process's threads hold it a moment."""
        deadline = time.monotonic() + 60
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) != 0:
                    return
            assert time.monotonic() < deadline, f"port {self.port} is still served"
            time.sleep(0.05)


def variables(stack_env: Path) -> dict[str, str]:
    """The variables that stack.env exports, by their plain text."""
    lines = stack_env.read_text(encoding="utf-8").splitlines()
    pairs = [shlex.split(line)[1] for line in lines if line.startswith("export ")]
    return dict(pair.split("=", 1) for pair in pairs)


def processes_of(folder: Path) -> list[str]:
    """Command lines of the running processes that work in the folder (Linux: /proc)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            inside = (entry / "cwd").resolve().is_relative_to(folder.resolve())
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if inside:  # an ending process has no command line any more, but may hold its port
            found.append(line or entry.name)
    return found


def wait_until_none(folder: Path) -> None:
    """Wait until no process works in the folder; fail with their command lines."""
    deadline = time.monotonic() + 60
    while found := processes_of(folder):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
