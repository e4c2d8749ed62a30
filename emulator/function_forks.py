"""Processes of functions, forked from one that has imported the libraries of their layers.

Importing them is most of a start, and the same for all functions of a layer. GET /_local/processes
answers with the processes that live, for who wants to kill one.
"""

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import IO, Any

from emulator.control import Control

PATH = "/_local/processes"
NAME = "AWS_LAMBDA_FUNCTION_NAME"
# What Python and libraries read as they start: functions that differ there are not forked from one.
READ_EARLY = ("LANG", "LC_", "PATH", "PYTHON", "TMPDIR", "TZ")
Environment = dict[str, str]
TOLD_WITHIN = 10.0  # seconds, beyond what any machine takes


class ForkedProcess:
    """A function's process, with what its runner asks of a Popen."""

    pid = 0  # until it is there

    def __init__(self, function: str, stdout: IO[bytes]) -> None:
        """It is still to be forked."""
        self.function = function
        self.stdout = stdout
        self.returncode: int | None = None
        self._ended = threading.Event()

    def end(self, status: int) -> None:
        """Hear how it ended."""
        self.returncode = status
        self._ended.set()

    def poll(self) -> int | None:
        """How it ended, None while it runs."""
        if self.returncode is None and has_died(self.pid):
            self._ended.wait(TOLD_WITHIN)  # nobody may be served by it any more
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        """How it ended. Raises TimeoutExpired."""
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired(self.function, timeout or 0)
        return self.returncode

    def terminate(self) -> None:
        """Ask it to end."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # its end is still to be heard of
                os.kill(self.pid, number)


def has_died(pid: int) -> bool:
    """Whether a process has ended, where /proc tells; its parent may still have to say how."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:  # noqa: PTH123 - asked often
            return file.read().rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except (FileNotFoundError, ProcessLookupError):
        return sys.platform == "linux"


class ForkServer:
    """A process that forks others, and tells how each ended."""

    def __init__(self, command: Sequence[str], environment: Environment) -> None:
        """Start it; the command gets the number of a socket as its last argument."""
        self.living: dict[int, ForkedProcess] = {}
        self.gone = False
        self._asking = threading.Lock()
        self._asked: ForkedProcess | None = None
        self._answers: queue.Queue[bool] = queue.Queue()
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno())],
                env=environment,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._heard = threading.Thread(target=self._hear, daemon=True, name="forks")
        self._heard.start()

    def fork(self, folder: str, environment: Environment) -> ForkedProcess:
        """A process in this folder, with this environment. Raises OSError where there is none."""
        request = json.dumps({"folder": folder, "environment": environment}) + "\n"
        reading, writing = os.pipe()
        process = ForkedProcess(environment[NAME], os.fdopen(reading, "rb"))
        try:
            with self._asking:
                self._asked = process
                socket.send_fds(self._control, [request.encode()], [writing])
                if not self._answers.get():
                    raise BrokenPipeError("what functions are forked from has ended")
        finally:
            os.close(writing)
        return process

    def alive(self) -> list[ForkedProcess]:
        """The processes that run."""
        return list(self.living.values())

    def stop(self) -> None:
        """Let it end, as it does once nobody can ask it."""
        self._control.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """End it, and what it has forked."""
        self.stop()
        self._heard.join()

    def _hear(self) -> None:
        """Hear of forks and of ends, until it has ended itself."""
        with self._control.makefile("rb") as told, contextlib.suppress(OSError):
            for line in told:
                self._take(json.loads(line))
        self.gone = True
        self._answers.put(False)  # noqa: FBT003 - who asks waits for it
        self._process.wait()
        for process in self.alive():  # nobody would tell of their ends
            process.kill()
            self.living.pop(process.pid).end(-signal.SIGKILL)

    def _take(self, told: dict[str, int]) -> None:
        if "forked" in told and (process := self._asked):
            process.pid = told["forked"]
            self.living[process.pid] = process
            self._answers.put(True)  # noqa: FBT003 - likewise
        else:
            self.living.pop(told["ended"]).end(told["status"])


class Forks:
    """The fork servers of this server: one for all functions with the same layers."""

    def __init__(self, command: Sequence[str]) -> None:
        """None is there before the first function starts."""
        self._command = command
        self._servers: dict[str, ForkServer] = {}
        self._lock = threading.Lock()

    def start(self, folder: str, environment: Environment) -> ForkedProcess:
        """A function's process. Raises OSError."""
        try:
            return self._server(environment).fork(folder, environment)
        except BrokenPipeError:  # somebody killed it
            return self._server(environment).fork(folder, environment)

    def end(self) -> None:
        """End all processes; what would start another finds none to fork from."""
        with self._lock:
            for server in self._servers.values():
                server.end()

    def control(self) -> Control[None]:
        """What tells over HTTP which processes there are."""
        return Control(PATH, None, _nothing_to_set, lambda _: None, self._report)

    def _server(self, environment: Environment) -> ForkServer:
        early = {name: value for name, value in environment.items() if name.startswith(READ_EARLY)}
        key = json.dumps(early, sort_keys=True)
        with self._lock:
            server = self._servers.get(key)
            if not server or server.gone:
                self._stop_idle()
                server = self._servers[key] = ForkServer(self._command, early)
            return server

    def _stop_idle(self) -> None:
        """Those of layers that no function has any more would hold their memory for ever."""
        for key, server in list(self._servers.items()):
            if server.gone or not server.alive():
                del self._servers[key]
                server.stop()

    def _report(self) -> dict[str, Any]:
        with self._lock:
            living = [each for server in self._servers.values() for each in server.alive()]
        return {"processes": [{"pid": each.pid, "function": each.function} for each in living]}


def _nothing_to_set(_content: dict[str, Any]) -> None:
    raise ValueError("processes cannot be set; kill one by its pid")
