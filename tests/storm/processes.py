"""The function processes of a local AWS, and how to kill one."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import requests

PATH = "/_local/processes"  # emulator/README.md


@dataclass(frozen=True)
class FunctionProcess:
    """A live process that runs, or waits to run, a function's invocations."""

    pid: int
    function: str

    def kill(self) -> None:
        """End it at once, in the midst of whatever it does."""
        os.kill(self.pid, signal.SIGKILL)

    def worked(self) -> int:
        """How long it has worked, in ticks; 0 where it has ended."""
        try:
            status = Path(f"/proc/{self.pid}/stat").read_text("utf-8")
        except (FileNotFoundError, ProcessLookupError):
            return 0
        fields = status.rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])


def function_processes(endpoint: str) -> list[FunctionProcess]:
    """The live function processes of a local AWS."""
    answer = requests.get(f"{endpoint}{PATH}", timeout=60)
    answer.raise_for_status()
    return [FunctionProcess(**each) for each in answer.json()["processes"]]
