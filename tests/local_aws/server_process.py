"""Start the local AWS as its users do: as a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


@contextmanager
def running_aws(log: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The endpoint and the process of a local AWS on a free port, which logs to `log`."""
    command = [sys.executable, "-m", "local.aws", "--port", "0", *options]
    with log.open("w") as stderr:
        process = subprocess.Popen(  # noqa: S603 - this interpreter
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True
        )
    try:
        assert process.stdout
        line = process.stdout.readline()
        assert line.startswith("local AWS ready on "), log.read_text()
        yield line.split()[-1], process
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()
