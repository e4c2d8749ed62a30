"""What a function's start costs beside what it cannot do without.

`python -m tests.bench.cold_start [--quick]`. Each start is a fresh interpreter; what counts is the
processor's time. The least of many starts is taken: all that can happen to one makes it longer.
"""

import subprocess
import sys

from local.process import ROOT
from tests.bench.endpoints import Ends
from tests.bench.functions import environment
from tests.bench.row import Row, show

TARGET = 1.15
NEEDED = "import boto3; boto3.client({service!r})"
TIMED = """
import sys, time
sys.path[:0] = {path!r}
began = time.process_time()
{code}
print(time.process_time() - began)
"""
# The one client of each function: S3's for all that read or write files.
SERVICES = {
    "check_status": "secretsmanager",
    "download_output": "s3",
    "pause_queue": "dynamodb",
    "publish_run": "s3",
    "run_ended": "dynamodb",
    "start_run": "stepfunctions",
    "sweep_queues": "dynamodb",
    "check_file": "s3",
    "take_event": "dynamodb",
    "take_turn": "s3",
    "upload_and_execute": "s3",
}
CALLS_API = ("check_status", "download_output", "upload_and_execute")


def rows(*, quick: bool = False) -> list[Row]:
    """Measure all functions, in turns."""
    times = 3 if quick else 15
    least: dict[tuple[str, str], float] = {}
    for _ in range(times):
        for function in SERVICES:
            for kind, code in (("app", "import app"), ("needed", _needed(function))):
                seconds = _start(function, code)
                least[function, kind] = min(seconds, least.get((function, kind), seconds))
    return [
        _row(function, least[function, "app"], least[function, "needed"]) for function in SERVICES
    ]


def _row(function: str, app: float, needed: float) -> Row:
    """Return a function's row; both times in seconds."""
    return Row(
        name=f"start of {function}",
        target=f"<= {TARGET} times the needed",
        measured=f"{app / needed:.2f} ({app * 1000:.0f} ms / {needed * 1000:.0f} ms)",
        holds=app / needed <= TARGET,
    )


def _needed(function: str) -> str:
    """Return the code that imports what a function cannot do without."""
    code = NEEDED.format(service=SERVICES[function])
    return f"{code}; import requests" if function in CALLS_API else code


def _start(function: str, code: str) -> float:
    """Run code in a fresh interpreter with a function's path; return its processor's seconds."""
    path = [str(ROOT / "functions" / function), str(ROOT / "layers")]
    done = subprocess.run(
        [sys.executable, "-P", "-c", TIMED.format(path=path, code=code)],
        env=environment(Ends("http://127.0.0.1:9", "http://127.0.0.1:9")),
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


if __name__ == "__main__":
    sys.exit(show(rows(quick="--quick" in sys.argv)))
