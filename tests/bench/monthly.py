"""What a month costs at some numbers of files a day, and how near that comes to AWS's quotas.

`PYTHONPATH=layers python -m tests.bench.monthly` prints the tables of docs/costs.md. With `--count`
it counts on the local stack whether one file takes what they say. What is assumed is named so in
both.
"""

import sys
import time
from collections import Counter
from dataclasses import dataclass
from math import ceil

from straight_through.queue.reconcile import LOOKS as LOOKS_OF_A_SWEEP
from tests.bench.cost import READS, TRANSITIONS, TRANSITIONS_A_LOOK, WRITES, Usage
from tests.bench.counted import Stack, stack
from tests.bench.row import Row, at_most, equal, show

FILES_A_DAY = (100, 10_000, 100_000)
DAYS, DAY, HOUR = 30, 86_400, 3600
LATE_LINES = 3  # seconds, for what is still written of a run that has ended

# --- counted on the local stack: a file with one output and a pipeline of five minutes -----------
LOOKS = 15
INVOCATIONS, GB_SECONDS, MEMORY = 22, 0.28, 0.25  # GB
LOG_BYTES = 5_979  # of lines of ours; a look that sees nothing new writes none
REQUESTS = {
    "dynamodb DeleteItem": 2,
    "dynamodb GetItem": 14,
    "dynamodb Query": 3,
    "dynamodb TransactWriteItems": 6,
    "dynamodb UpdateItem": 10,
    "s3 GET": 3,
    "s3 HEAD": 1,
    "s3 PUT": 3,
    "ssm GetParameters": 5,
    "stepfunctions SendTaskSuccess": 1,
    "stepfunctions StartExecution": 1,
}
# The same at commit 3eed1dc: since then routes are kept for two seconds, who asks for a first turn
# writes only items of its own, what is told is noted first, and each run leaves a line.
BEFORE = REQUESTS | {
    "dynamodb DeleteItem": 1,
    "dynamodb TransactWriteItems": 5,
    "dynamodb UpdateItem": 11,
    "s3 GET": 2,
    "s3 PUT": 2,
}

# --- assumed --------------------------------------------------------------------------------------
PLATFORM_LINES = 400  # bytes that Lambda itself logs of an invocation: START, END and REPORT
MEGABYTES = 1  # of a file; it goes to Quantemplate over the internet
PEAK = 0.25  # of a day's files, in its busiest hour
FUNCTIONS, CONNECTIONS = 8, 2  # that use the table; of each process, to it
KEY_PERIOD = 300  # seconds, after which DynamoDB asks KMS again for a connection that is in use
TURN_DEADLINE = 30  # days: TurnDeadlineHours as delivered

# --- dollars, of AWS's lists for eu-west-1; docs/costs.md names them ------------------------------
GIGABYTE_OF_LOGS = 0.57
TRACE = 5.00 / 1e6
GIGABYTE_OUT = 0.09
KEY_A_MONTH, KEY_REQUEST = 1.00, 0.03 / 10_000
FAST_PARAMETER = 0.05 / 10_000  # a request, with the higher throughput


@dataclass(frozen=True)
class Quota:
    """One of AWS's quotas: what is had by default, and what a second needs in the peak."""

    name: str
    default: float
    a_file: float  # of a peak second's files, or of a day's where `standing`
    base: float = 0
    standing: float = 0  # days for which a day's files stay

    def needed(self, files: int) -> float:
        """Return what so many files a day need."""
        if self.standing:
            return files * self.standing
        return self.base + files * PEAK / HOUR * self.a_file


def quotas() -> list[Quota]:
    """The quotas that are met first."""
    transitions = TRANSITIONS + LOOKS * TRANSITIONS_A_LOOK
    reads = sum(REQUESTS[name] for name in REQUESTS if name.startswith("ssm "))
    started = REQUESTS["stepfunctions StartExecution"]
    described = REQUESTS.get("stepfunctions DescribeExecution", 0)
    return [
        Quota("Parameter Store: GetParameters a second", 40, reads),
        Quota("Lambda: functions at once", 1000, GB_SECONDS / MEMORY),
        Quota("Step Functions: StartExecution a second", 300, started),
        Quota("Step Functions: state transitions a second", 1500, transitions),
        Quota("Step Functions: DescribeExecution a second", 15, described, LOOKS_OF_A_SWEEP / 60),
        Quota(
            "Step Functions: open executions, if no turn comes for 30 days",
            1_000_000,
            1,
            standing=TURN_DEADLINE,
        ),
    ]


def dollars(files: int) -> dict[str, float]:
    """Dollars a month by service, for so many files a day."""
    month = files * DAYS
    usage = Usage(
        transitions=TRANSITIONS + LOOKS * TRANSITIONS_A_LOOK,
        invocations=INVOCATIONS,
        gb_seconds=GB_SECONDS,
        reads=READS,
        writes=WRITES,
        s3_reads=REQUESTS["s3 GET"] + REQUESTS["s3 HEAD"],
        s3_writes=REQUESTS["s3 PUT"],
    )
    logged = LOG_BYTES + INVOCATIONS * PLATFORM_LINES
    processes = FUNCTIONS + ceil(files * PEAK / HOUR * GB_SECONDS / MEMORY)
    asked = processes * CONNECTIONS * DAY / KEY_PERIOD * DAYS
    return {
        **{service: each / 1000 * month for service, each in usage.dollars.items()},
        "logs": month * logged / 1e9 * GIGABYTE_OF_LOGS,
        "X-Ray": month * TRACE,
        "data out": month * MEGABYTES / 1000 * GIGABYTE_OUT,
        "table's key": KEY_A_MONTH + asked * KEY_REQUEST,
    }


def tables() -> str:
    """The tables of docs/costs.md, in Markdown."""
    by_files = {files: dollars(files) for files in FILES_A_DAY}
    services = list(by_files[FILES_A_DAY[0]])
    lines = [f"| files a day | {' | '.join(services)} | all |", "|---" * (len(services) + 2) + "|"]
    for files, each in by_files.items():
        cells = [f"{amount:,.2f}" for amount in (*each.values(), sum(each.values()))]
        lines.append(f"| {files:,} | {' | '.join(cells)} |")
    head = " | ".join(f"{files:,} a day" for files in FILES_A_DAY)
    lines += ["", f"| quota | AWS gives | {head} |", "|---" * (len(FILES_A_DAY) + 2) + "|"]
    for quota in quotas():
        cells = []
        for files in FILES_A_DAY:
            needed = quota.needed(files)
            text = f"{needed:,.2f}" if needed < 10 else f"{needed:,.0f}"
            cells.append(f"**{text}**" if needed > quota.default / 2 else text)
        lines.append(f"| {quota.name} | {quota.default:,} | {' | '.join(cells)} |")
    lines += ["", "| requests of one file | at 3eed1dc | now |", "|---|---|---|"]
    for name in sorted(REQUESTS):
        lines.append(f"| {name} | {BEFORE[name]} | {REQUESTS[name]} |")
    return "\n".join(lines)


def log_bytes(running: Stack) -> Counter[str]:
    """Bytes of all log lines so far, by who wrote them."""
    logs = running.road.client("logs")
    found: Counter[str] = Counter()
    for group in logs.describe_log_groups()["logGroups"]:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
        for event in (event for page in pages for event in page["events"]):
            line = event["message"]
            found["ours" if line.startswith("{") else "Lambda's"] += len(line.encode())
    return found


def counted(seconds: float) -> tuple[Counter[str], int]:
    """Requests of one file whose pipeline takes so long, and bytes of the lines that we log."""
    with stack() as running:
        running.route("warm", 0.1)
        running.processed("warm/may.csv")
        running.route("counted", seconds)
        time.sleep(LATE_LINES)
        before = log_bytes(running)
        requests = running.processed("counted/may.csv").requests
        time.sleep(LATE_LINES)
        logged = log_bytes(running) - before
    del requests["reads"], requests["writes"]
    return requests, logged["ours"]


def rows(*, quick: bool = False) -> list[Row]:
    """Whether one file takes what the tables of docs/costs.md say."""
    requests, logged = counted(1 if quick else 4)
    expected = Counter(REQUESTS)
    wrong = ((requests - expected) + (expected - requests)).total()
    total = expected.total()
    return [
        equal("a file's requests, each as docs/costs.md has it", total, total - wrong),
        # Names and moments of a file are longer or shorter.
        at_most("bytes of a file's log lines", LOG_BYTES * 1.05, logged),
    ]


if __name__ == "__main__":
    if "--count" in sys.argv:
        sys.exit(show(rows()))
    print(tables())
