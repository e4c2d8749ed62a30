"""How soon the end of a pipeline's run is seen and in how many looks, in virtual time.

`PYTHONPATH=layers python -m tests.bench.detection [--quick]`.
"""

import math
import random
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from straight_through.executing.waits import next_wait
from tests.bench.row import Row, at_most, show

Rule = Callable[[float, Sequence[float]], int]  # seconds elapsed, earlier durations: the wait
MOST_CHECKS = {20: 16, 300: 16, 3600: 25, 86_400: 320}
MOST_DELAY = {0.05: 0.012, 0.3: 0.035}  # of the run, by the spread of the durations
EVENTS_A_LOOK = 9  # in an execution's history; tests/end_to_end counts them
WEEK = 7 * 86_400  # seconds
NAMES = {20: "20 s", 300: "5 min", 3600: "1 h", 86_400: "24 h"}


@dataclass(frozen=True)
class Case:
    """Runs of one pipeline: their usual seconds, the sigma of their logarithm, how many."""

    seconds: int
    spread: float
    runs: int

    def __str__(self) -> str:
        """Name it in a line."""
        return f"{NAMES[self.seconds]}, sigma {self.spread:g}"

    @property
    def most_delay(self) -> float:
        """Seconds from a run's end to its detection, on average."""
        return max(self.seconds * MOST_DELAY[self.spread], 1)

    @property
    def most_checks(self) -> int:
        """Looks at a run, on average."""
        return MOST_CHECKS[self.seconds]


@dataclass(frozen=True)
class Detection:
    """Means over the runs of a case: seconds of delay, looks."""

    delay: float
    checks: float


def cases(runs: int) -> list[Case]:
    """The pipelines of the targets; of the long ones fewer runs, since each has many looks."""
    return [
        Case(seconds, spread, runs if seconds < 86_400 else max(runs // 10, 20))
        for seconds in MOST_CHECKS
        for spread in MOST_DELAY
    ]


def measured(
    case: Case, rule: Rule = next_wait, *, known: int = 3, look_seconds: float = 0, seed: int = 1
) -> Detection:
    """Let runs end, each with so many known durations before it; return what was seen of them."""
    chance = random.Random(f"{case} {seed}")  # noqa: S311 - no secret
    delays, checks = [], []
    for number in range(case.runs):
        earlier = [case.seconds * math.exp(chance.gauss(0, case.spread)) for _ in range(known)]
        # One from each part of the distribution: so the mean depends less on chance.
        deviation = NormalDist(0, case.spread).inv_cdf((number + chance.random()) / case.runs)
        seconds = case.seconds * math.exp(deviation)
        delay, looks = delay_and_checks(seconds, rule, earlier, look_seconds=look_seconds)
        delays.append(delay)
        checks.append(looks)
    return Detection(statistics.fmean(delays), statistics.fmean(checks))


def delay_and_checks(
    seconds: float, rule: Rule, earlier: Sequence[float], *, look_seconds: float = 0
) -> tuple[float, int]:
    """Seconds from the end of a run of so many seconds to the answer of the look that sees it.

    And the number of looks. A look sees what is when it begins, and takes `look_seconds`.
    """
    now, looks = 0.0, 0
    while True:
        now += rule(now, earlier)
        looks += 1
        if now >= seconds:
            return now + look_seconds - seconds, looks
        now += look_seconds


def holds(case: Case, found: Detection) -> bool:
    """Whether a rule keeps the limits of a case."""
    return found.delay <= case.most_delay and found.checks <= case.most_checks


def rows(*, quick: bool = False) -> list[Row]:
    """Mean delay and mean number of looks of each case, and what holds for every single run."""
    found = []
    for case in cases(runs=100 if quick else 2000):
        seen = measured(case)
        found.append(at_most(f"{case}: mean delay", case.most_delay, seen.delay, "s"))
        found.append(at_most(f"{case}: mean looks", case.most_checks, seen.checks))
    return [*found, *bounds()]


def bounds() -> list[Row]:
    """What holds for every single run."""
    histories = [[seconds] * 3 for seconds in MOST_CHECKS]
    longest = max(
        next_wait(elapsed, known) for known in [[], *histories] for elapsed in range(0, WEEK, 97)
    )
    early = max(
        delay_and_checks(ran, next_wait, known)[0] / max(ran, 10)
        for known in histories
        for ran in range(1, int(known[0] / 3), max(int(known[0] / 500), 1))
    )
    first = max(
        delay_and_checks(ran, next_wait, [])[0] / max(ran / 10, 1)
        for ran in (1.1**step for step in range(120))
    )
    looks = max(delay_and_checks(WEEK, next_wait, known)[1] for known in [[], *histories])
    return [
        at_most("longest wait", 300, longest, "s"),
        at_most("ended far too early: delay / max(run, 10 s)", 1, early),
        at_most("first run: delay / max(tenth of the run, 1 s)", 1, first),
        at_most(
            f"events of a seven-day run, {EVENTS_A_LOOK} a look", 20_000, looks * EVENTS_A_LOOK
        ),
    ]


if __name__ == "__main__":
    sys.exit(show(rows(quick="--quick" in sys.argv)))
