"""How fast a file goes through, beside curl and the aws client, and beside the published example.

`python -m tests.bench.throughput [--quick]`. All contestants move the same bytes between the same
two ends, in turns, and each round is compared within itself. The functions and the example are
timed from the call on (what a start costs is measured elsewhere), curl and aws from their start.
"""

import json
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import replace

from local.process import ROOT
from tests.bench.endpoints import BUCKET, ROUTE, Ends, serving
from tests.bench.functions import INVOKE, MIB, environment
from tests.bench.row import Row, show

PARITY, EXAMPLE = 1.1, 1.5
# The published example's way: the whole file in memory, then on to the other side.
EXAMPLE_DOWN = """
import json, sys, time, boto3, requests
bucket, key, source = sys.argv[1:]
s3, began = boto3.client("s3"), time.perf_counter()
content = requests.get(source).content
s3.put_object(Bucket=bucket, Key=key, Body=content)
print(json.dumps({"seconds": time.perf_counter() - began}))
"""
AWS_CLIENTS = ("aws", str(ROOT / ".venv-aws/client/aws"))


def rows(*, quick: bool = False) -> list[Row]:
    """Measure both ways at 1 GiB, quick at 512 MiB; say so where curl or aws is missing."""
    size, times = (512 * MIB, 2) if quick else (1024 * MIB, 5)
    with serving() as ends:
        return [*_up(ends, size, times), *_down(ends, size, times)]


def _up(ends: Ends, size: int, times: int) -> list[Row]:
    """S3 to Quantemplate."""
    source = f"{ends.aws}/{BUCKET}/claims/{size}.csv"
    target = (
        f"{ends.quantemplate}/v1/organisations/{ROUTE['organisation_id']}"
        f"/datasets/{ROUTE['dataset_id']}"
    )
    curl = f"curl -sSf {source} | curl -sSf -X POST -T - {target}" if shutil.which("curl") else ""
    return _compared(
        "S3 to API", "curl | curl -T -", ends, "upload_and_execute", curl, "", size, times
    )


def _down(ends: Ends, size: int, times: int) -> list[Row]:
    """Quantemplate to S3, hash and row count included."""
    source = f"{ends.quantemplate}/v1/outputs/o-{size}"
    aws = next(filter(_runs, AWS_CLIENTS), None)
    curl = (
        f"curl -sSf {source} | {aws} s3 cp - s3://{BUCKET}/curl.csv"
        if shutil.which("curl") and aws
        else ""
    )
    example = _python(EXAMPLE_DOWN, BUCKET, "example.csv", source)
    return _compared(
        "API to S3", "curl | aws s3 cp -", ends, "download_output", curl, example, size, times
    )


def _compared(
    way: str,
    named: str,
    ends: Ends,
    function: str,
    curl: str,
    example: str,
    size: int,
    times: int,
) -> list[Row]:
    """Run all in turns, and compare their medians."""
    ours = shlex.join([sys.executable, "-P", INVOKE, function, str(size)])
    commands = {"ours": ours, "example": example, "curl": curl}
    commands = {name: command for name, command in commands.items() if command}
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(times):
        for name, command in commands.items():
            taken[name].append(_seconds(command, ends))
    title = f"{way}, {size // MIB:,} MiB, beside"
    rows = [
        Row(
            name=f"{title} {named}",
            target=f"<= {PARITY} times its time",
            measured="not measured: curl or aws is missing here",
            holds=False,
        )
    ]
    if curl:
        ratio, measured = _ratio(taken["ours"], taken["curl"])
        rows = [replace(rows[0], measured=measured, holds=ratio <= PARITY)]
    if not example:
        return rows
    ratio, measured = _ratio(taken["example"], taken["ours"])
    return [
        *rows,
        Row(
            name=f"{title} the published example",
            target=f">= {EXAMPLE} times as fast",
            measured=measured,
            holds=ratio >= EXAMPLE,
        ),
    ]


def _ratio(some: list[float], others: list[float]) -> tuple[float, str]:
    """Return the median of the rounds' ratios, and how to show it beside the median seconds."""
    ratio = statistics.median(one / other for one, other in zip(some, others, strict=True))
    seconds = f"{statistics.median(some):.2f} s / {statistics.median(others):.2f} s"
    return ratio, f"{ratio:.2f} ({seconds})"


def _seconds(command: str, ends: Ends) -> float:
    """Run a shell's command and return how long it took, or what it says that it took."""
    began = time.perf_counter()
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        env=environment(ends),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{command} failed:\n{done.stderr}")
    taken = time.perf_counter() - began
    last = done.stdout.strip().rpartition("\n")[2]
    return float(json.loads(last)["seconds"]) if '"seconds"' in last else taken


def _python(script: str, *arguments: str) -> str:
    """Return the command that runs a script."""
    return shlex.join([sys.executable, "-c", script, *arguments])


def _runs(command: str) -> bool:
    """Whether an aws client runs here."""
    try:
        done = subprocess.run([command, "--version"], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(show(rows(quick="--quick" in sys.argv)))
