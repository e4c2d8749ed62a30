"""The function processes of a local AWS, and how to kill one."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NAME = b"AWS_LAMBDA_FUNCTION_NAME="


@dataclass(frozen=True)
class FunctionProcess:
    """A live process that runs, or waits to run, a function's invocations."""

    pid: int
    function: str

    def kill(self) -> None:
        """End it at once, in the midst of whatever it does."""
        os.kill(self.pid, signal.SIGKILL)


def function_processes(server: int, function: str = "") -> list[FunctionProcess]:
    """The live function processes of a server (its process id): all, or one function's."""
    found = (FunctionProcess(pid, function_of(pid)) for pid in children(server))
    return [each for each in found if each.function and function in ("", each.function)]


def children(parent: int) -> Iterator[int]:
    """The processes that a process has started."""
    for folder in Path("/proc").glob("[0-9]*"):
        # The name in parentheses may have any character; after it come the state and the parent.
        fields = read(folder / "stat").rpartition(b")")[2].split()
        if fields[1:2] == [str(parent).encode()]:
            yield int(folder.name)


def function_of(pid: int) -> str:
    """The function that a process runs; empty for any other, and for one that has ended."""
    variables = read(Path(f"/proc/{pid}/environ")).split(b"\0")
    names = (variable.removeprefix(NAME) for variable in variables if variable.startswith(NAME))
    return next(names, b"").decode()


def read(file: Path) -> bytes:
    """The content of a file of /proc; empty when its process has ended."""
    try:
        return file.read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""
