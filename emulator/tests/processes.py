"""The function processes of a server, and how to kill one."""

import json
import os
import signal
import urllib.request
from dataclasses import dataclass

PATH = "/_local/processes"


@dataclass(frozen=True)
class FunctionProcess:
    """A live process that runs, or waits to run, a function's invocations."""

    pid: int
    function: str

    def kill(self) -> None:
        """End it at once, in the midst of whatever it does."""
        os.kill(self.pid, signal.SIGKILL)


def function_processes(endpoint: str, function: str = "") -> list[FunctionProcess]:
    """The live function processes of a server: all, or one function's."""
    with urllib.request.urlopen(f"{endpoint}{PATH}", timeout=60) as answer:  # noqa: S310 - ours
        found = [FunctionProcess(**each) for each in json.load(answer)["processes"]]
    return [each for each in found if function in ("", each.function)]
