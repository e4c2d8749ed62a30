"""What a file costs on AWS: counted on the local stack, priced as AWS publishes.

`PYTHONPATH=layers python -m tests.bench.cost` prints the two tables of docs/costs.md. What a file
takes is counted from real executions with few and with many looks; how many looks there are comes
from the simulation in `detection`.
"""

import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from straight_through.executing.waits import next_wait
from tests.bench.counted import Counts, stack
from tests.bench.detection import EVENTS_A_LOOK, NAMES, Case, Detection, Rule, cases, measured
from tests.bench.row import Row, equal, show

# Transitions and history events, as the state machine has them; every execution here checks them.
TRANSITIONS, TRANSITIONS_A_LOOK = 10, 3  # of a file with one output, without its looks
EVENTS = 42
READS, WRITES = 17, 41  # DynamoDB's units, whatever the number of looks

# Dollars, as published for eu-west-1; docs/costs.md names the date.
TRANSITION = 0.025 / 1000
GB_SECOND, INVOCATION = 0.0000133334, 0.20 / 1e6  # Lambda, arm64
READ_UNIT, WRITE_UNIT = 0.1415 / 1e6, 0.705 / 1e6  # DynamoDB on demand
S3_WRITE, S3_READ = 0.005 / 1000, 0.0004 / 1000
QUEUE_REQUEST, EVENT = 0.40 / 1e6, 1.00 / 1e6  # SQS; EventBridge, for an event of S3
QUEUE_REQUESTS = 3  # send, receive, delete: AWS's own side makes them, so they are not counted

SPREAD = 0.3  # of the tables' pipelines: the greater one of the targets
RULES: dict[str, Rule] = {
    "learned": next_wait,
    "every second": lambda _elapsed, _durations: 1,
    "every 30 s": lambda _elapsed, _durations: 30,
}


@dataclass(frozen=True)
class Usage:
    """What one file takes."""

    transitions: float
    invocations: float
    gb_seconds: float
    reads: float
    writes: float
    s3_reads: float
    s3_writes: float

    @property
    def dollars(self) -> dict[str, float]:
        """Per 1,000 files, by service."""
        per_file = {
            "Step Functions": self.transitions * TRANSITION,
            "Lambda": self.gb_seconds * GB_SECOND + self.invocations * INVOCATION,
            "DynamoDB": self.reads * READ_UNIT + self.writes * WRITE_UNIT,
            "S3, SQS, EventBridge": self.s3_reads * S3_READ
            + self.s3_writes * S3_WRITE
            + QUEUE_REQUESTS * QUEUE_REQUEST
            + EVENT,
        }
        return {service: 1000 * dollars for service, dollars in per_file.items()}


def usage(found: Sequence[Counts]) -> Callable[[float], Usage]:
    """From executions with different numbers of looks: what a file with any number takes."""

    def count(of: Callable[[Counts], float]) -> Callable[[float], float]:
        """The line through the means of the executions with fewest and with most looks."""
        fewest, most = min(c.looks for c in found), max(c.looks for c in found)
        low = statistics.fmean(of(c) for c in found if c.looks == fewest)
        high = statistics.fmean(of(c) for c in found if c.looks == most)
        each = (high - low) / (most - fewest)
        return lambda looks: low + (looks - fewest) * each

    transitions = count(lambda c: c.transitions)
    invocations = count(lambda c: len(c.invocations))
    reads, writes = count(lambda c: c.requests["reads"]), count(lambda c: c.requests["writes"])
    s3_reads = count(lambda c: c.requests["s3 GET"] + c.requests["s3 HEAD"])
    s3_writes = count(lambda c: c.requests["s3 PUT"] + c.requests["s3 POST"])
    # Times scatter, so that no line goes through them: a look takes the median of all looks.
    looks_of = [gb for c in found for gb in gb_seconds(c, look=True)]
    rest = statistics.median(sum(gb_seconds(c, look=False)) for c in found)
    return lambda looks: Usage(
        transitions=transitions(looks),
        invocations=invocations(looks),
        gb_seconds=rest + looks * statistics.median(looks_of),
        reads=reads(looks),
        writes=writes(looks),
        s3_reads=s3_reads(looks),
        s3_writes=s3_writes(looks),
    )


def gb_seconds(counts: Counts, *, look: bool) -> Iterable[float]:
    """Billed GB-seconds of each invocation that was a look, or was none."""
    return [
        ms / 1000 * memory / 1024
        for function, ms, memory in counts.invocations
        if (function == "check_status") == look
    ]


def counted(pipelines: Sequence[float]) -> list[Counts]:
    """Count a file for each pipeline of so many seconds, with warm functions."""
    with stack() as running:
        running.route("warm", 0.1)
        running.processed("warm/may.csv")
        found = []
        for number, seconds in enumerate(pipelines):
            running.route(f"r{number}", seconds)
            found.append(running.processed(f"r{number}/may.csv"))
        return found


def table_cases(runs: int) -> list[Case]:
    """The pipelines of the tables."""
    return [case for case in cases(runs) if case.spread == SPREAD]


def simulated(runs: int = 1000) -> dict[tuple[int, str], Detection]:
    """Looks and delay by seconds of the pipeline and rule."""
    return {
        (case.seconds, name): measured(case, rule)
        for case in table_cases(runs)
        for name, rule in RULES.items()
    }


def tables(usage_of: Callable[[float], Usage], seen: dict[tuple[int, str], Detection]) -> str:
    """The two tables of docs/costs.md, in Markdown."""
    lines = [
        "| pipeline takes | looks | transitions | invocations | GB-seconds | DynamoDB units: read "
        "| write | dollars per 1,000 files: Step Functions | Lambda | DynamoDB | rest |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for seconds, name in NAMES.items():
        looks = round(seen[seconds, "learned"].checks)
        used = usage_of(looks)
        dollars = " | ".join(f"{each:.2f}" for each in used.dollars.values())
        lines.append(
            f"| {name} | {looks} | {used.transitions:,.0f} | {used.invocations:.0f} "
            f"| {used.gb_seconds:.2f} | {used.reads:.0f} | {used.writes:.0f} | {dollars} |"
        )
    lines += [
        "",
        "| pipeline takes | " + " | ".join(f"{rule}: dollars | delay" for rule in RULES) + " |",
        "|---|" + "---|---|" * len(RULES),
    ]
    for seconds, name in NAMES.items():
        cells = []
        for rule in RULES:
            found = seen[seconds, rule]
            total = sum(usage_of(round(found.checks)).dollars.values())
            cells.append(f"{total:,.2f} | {found.delay:.1f} s")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def rows(*, quick: bool = False) -> list[Row]:
    """Whether what is counted is what the tables of docs/costs.md say."""
    found = counted([0.1, 4] if quick else [0.1, 4, 8, 0.1, 4, 8])
    print("\n" + tables(usage(found), simulated(100 if quick else 1000)) + "\n")
    checked = []
    for counts in sorted(found, key=lambda each: each.looks):
        what = f"a file with {counts.looks} looks: "
        expected = TRANSITIONS + counts.looks * TRANSITIONS_A_LOOK
        checked.append(equal(f"{what}transitions", expected, counts.transitions))
        expected = EVENTS + counts.looks * EVENTS_A_LOOK
        checked.append(equal(f"{what}history events", expected, counts.events))
        checked.append(equal(f"{what}read units", READS, counts.requests["reads"]))
        checked.append(equal(f"{what}write units", WRITES, counts.requests["writes"]))
    return checked


if __name__ == "__main__":
    sys.exit(show(rows(quick="--quick" in sys.argv)))
