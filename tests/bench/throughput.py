"""How fast a file goes through, beside curl and the aws client, and beside the published example.

`python -m tests.bench.throughput [--quick]`. All contestants move the same bytes between the same
two ends, in turns; each is timed with its whole process, from its start to its exit.
"""

import shlex
import shutil
import statistics
import subprocess
import sys
import time

from local.process import ROOT
from tests.bench.endpoints import BUCKET, ROUTE, Ends, serving
from tests.bench.functions import INVOKE, MIB, environment
from tests.bench.row import Row, show

PARITY, EXAMPLE = 1.1, 1.5
# The published example's way: the whole file in memory, then on to the other side.
EXAMPLE_UP = """
import sys, boto3, requests
source, bucket, key, target = sys.argv[1:]
content = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
requests.post(target, data=content).raise_for_status()
"""
EXAMPLE_DOWN = """
import sys, boto3, requests
source, bucket, key, target = sys.argv[1:]
content = requests.get(source).content
boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=content)
"""
AWS_CLIENTS = ("aws", str(ROOT / ".venv-aws/client/aws"))


def rows(*, quick: bool = False) -> list[Row]:
    """Measure both ways at 1 GiB, quick at 128 MiB; say so where curl or aws is missing."""
    size, times = (128 * MIB, 2) if quick else (1024 * MIB, 5)
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
    example = _python(EXAMPLE_UP, source, BUCKET, f"claims/{size}.csv", target)
    return _compared(
        "S3 to API", "curl | curl -T -", ends, "upload_and_execute", curl, example, size, times
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
    example = _python(EXAMPLE_DOWN, source, BUCKET, "example.csv", "")
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
    commands = {"ours": ours, "example": example} | ({"curl": curl} if curl else {})
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(times):
        for name, command in commands.items():
            taken[name].append(_seconds(command, ends))
    median = {name: statistics.median(seconds) for name, seconds in taken.items()}
    mine = median["ours"]
    return [
        _parity(f"{way}, {size // MIB:,} MiB, beside {named}", mine, median.get("curl")),
        Row(
            name=f"{way}, {size // MIB:,} MiB, beside the published example",
            target=f">= {EXAMPLE} times as fast",
            measured=f"{median['example'] / mine:.2f} ({mine:.2f} s, {median['example']:.2f} s)",
            holds=median["example"] / mine >= EXAMPLE,
        ),
    ]


def _parity(name: str, mine: float, curl: float | None) -> Row:
    """Return the row beside curl, or one that says that there is none."""
    target = f"<= {PARITY} times the time"
    if curl is None:
        return Row(name, target, "not measured: curl or aws is missing here", holds=False)
    measured = f"{mine / curl:.2f} ({mine:.2f} s, {curl:.2f} s)"
    return Row(name, target, measured, holds=mine / curl <= PARITY)


def _seconds(command: str, ends: Ends) -> float:
    """Run a shell's command and return how long it took."""
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
    return time.perf_counter() - began


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
