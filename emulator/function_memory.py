"""The memory that a function's process may have: one that grows past it is killed, as on AWS.

AWS documentation: "Configure Lambda function memory".
https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
"""

import re
from typing import Any

from emulator.function_forks import ForkedProcess

MEBIBYTE = 1024 * 1024
# An empty Python function has 15 MiB here, and 30 to 40 in Lambda's REPORT lines.
LAMBDAS_OWN = 20 * MEBIBYTE
PEAK = re.compile(rb"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


class BoundedProcess:
    """A function's process, which is killed once it has had more than its memory."""

    def __init__(self, process: ForkedProcess, mebibytes: int) -> None:
        self.outgrown = False
        self._process = process
        self._most = mebibytes * MEBIBYTE

    def poll(self) -> int | None:
        """How the process ended, None while it runs; who runs an invocation asks often."""
        if not self.outgrown and counted(self._process.pid) > self._most:
            self.outgrown = True
            self._process.kill()
            self._process.wait()
        return self._process.poll()

    def __getattr__(self, name: str) -> Any:
        """Everything else is the process's own."""
        return getattr(self._process, name)


def counted(pid: int) -> int:
    """Bytes that Lambda would count for a process: the most that it ever had; 0 if it is gone.

    Its resident memory, shared pages and libraries included; not its children's, nor its files'.
    """
    try:
        with open(f"/proc/{pid}/status", "rb", buffering=0) as file:  # noqa: PTH123 - asked often
            found = PEAK.search(file.read())
    except OSError:  # it has ended, or this is no Linux
        return 0
    # Where nothing is told it has ended, and nobody has asked how.
    return int(found[1]) * 1024 + LAMBDAS_OWN if found else 0
