"""What a long list of executions costs: `PYTHONPATH=layers python -m tests.bench.listing`.

Each list is reduced in a fresh process, whose peak is what the kernel has counted (VmHWM). The time
is beside that of taking the list as a whole: `json.loads` of all, and an execution of each object.
"""

import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from quantemplate.executions import execution_of
from quantemplate.listing import items_of, reduced
from quantemplate.replies import PIECE
from tests.bench.row import Row, show

FEW, MANY = 100, 200_000  # executions
TARGET = 16  # MiB


def run(number: int) -> dict[str, Any]:
    """One execution as the API lists it."""
    return {
        "id": f"e-{number:016x}",
        "runNumber": number,
        "createdAt": "2026-05-04T08:15:33.420217Z",
        "createdBy": "u-1",
        "version": 4,
        "status": "Succeeded",
        "startedAt": "2026-05-04T08:15:34.420273Z",
        "finishedAt": "2026-05-04T08:19:34.420505Z",
        "outputs": [{"id": f"o-{number:016x}", "name": "Clean claims: Sheet 1"}],
    }


def pieces(count: int) -> Iterator[bytes]:
    """A list of so many, as it comes, without being held."""
    yield b"["
    for number in range(1, count, 100):
        chunk = ",".join(json.dumps(run(each)) for each in range(number, number + 100))
        yield (chunk + ("," if number + 100 <= count else "]")).encode()


def peak(count: int) -> float:
    """The peak of a process that reduces a list of so many, in MiB."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.listing", str(count)],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def times() -> tuple[float, float]:
    """Processor seconds for a long list: as a stream, and as a whole."""
    body = b"".join(pieces(MANY))
    began = time.process_time()
    cut = (body[at : at + PIECE] for at in range(0, len(body), PIECE))
    reduced(items_of(cut), after=MANY - 5, ours=["e-7"])
    streamed = time.process_time() - began
    began = time.process_time()
    whole = [execution_of(item) for item in json.loads(body)]
    assert len(whole) == MANY
    return streamed, time.process_time() - began


def rows(*, quick: bool = False) -> list[Row]:
    """Measure memory and time; quick once."""
    rounds = 1 if quick else 3
    few, many = (statistics.median(peak(n) for _ in range(rounds)) for n in (FEW, MANY))
    streamed, whole = map(statistics.median, zip(*(times() for _ in range(rounds)), strict=True))
    return [
        Row(
            name=f"memory of a list of {MANY:,} executions, not {FEW}",
            target=f"grows <= {TARGET} MiB",
            measured=f"{many - few:+.1f} MiB ({few:.0f} to {many:.0f})",
            holds=many - few <= TARGET,
        ),
        Row(
            name=f"time to read a list of {MANY:,} executions, beside taking it as a whole",
            target="no longer",
            measured=f"{streamed / whole:.2f} times ({streamed:.2f} s)",
            holds=streamed <= whole,
        ),
    ]


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].isdigit():
        found = reduced(items_of(pieces(int(sys.argv[1]))), after=1, ours=["e-7"])
        kept = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text("ascii"))
        print(int(kept[1]) / 1024 if kept and found else 0)
        sys.exit()
    sys.exit(show(rows(quick="--quick" in sys.argv)))
