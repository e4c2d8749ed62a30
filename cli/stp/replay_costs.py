"""What a replay takes: looks, hours and dollars, by what the route's last runs took."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from stp.moments import about
from stp.stack import Stack
from stp.timeline import history, visits
from straight_through.text import counted

CENT = 0.01  # dollars
SAMPLES = 5  # runs whose histories are read
LOOK, TURN = "CheckStatus", "TakeTurn"
# Dollars of a state transition of a Standard workflow, in Ireland and in most regions. Source:
# "AWS Step Functions pricing" (https://aws.amazon.com/step-functions/pricing/).
TRANSITION = 0.025 / 1000


@dataclass(frozen=True)
class Takes:
    """What a run takes, in the middle of some that ended well."""

    of: int  # runs
    looks: float
    transitions: float
    seconds: float  # without the wait for its turn


@dataclass(frozen=True)
class Estimate:
    """What a replay takes; dollars are Step Functions' alone, nearly all that a run costs."""

    of: int  # runs by which it is estimated
    looks: int
    hours: float
    dollars: float


def takes(stack: Stack, samples: Sequence[str]) -> Takes | None:
    """Return what the newest of a route's runs took, None where there are none."""
    found = [run for arn in samples[:SAMPLES] if (run := visits(history(stack, arn)))]
    if not found:
        return None
    now = datetime.now(UTC)
    seconds = []
    for run in found:
        whole = max(visit.ended or now for visit in run) - min(visit.began for visit in run)
        waited = sum(
            ((stretch.ended or now) - stretch.began).total_seconds()
            for visit in run
            if visit.name == TURN
            for stretch in visit.stretches
        )
        seconds.append(whole.total_seconds() - waited)
    return Takes(
        of=len(found),
        looks=statistics.median(sum(visit.name == LOOK for visit in run) for run in found),
        transitions=statistics.median(len(run) for run in found),
        seconds=statistics.median(seconds),
    )


def estimate(files: int, each: Takes | None, per_hour: float | None) -> Estimate | None:
    """Return what so many files take, one after the other, None where nothing is known."""
    if each is None:
        return None
    hours = files * each.seconds / 3600
    if per_hour and files:
        hours = max(hours, (files - 1) / per_hour + each.seconds / 3600)
    return Estimate(
        of=each.of,
        looks=round(files * each.looks),
        hours=hours,
        dollars=files * each.transitions * TRANSITION,
    )


def told(found: Estimate | None) -> str:
    """Say what a replay takes."""
    if found is None:
        return "What it takes is not known: no run of the route that ended well is known."
    dollars = f"${found.dollars:,.2f}" if found.dollars >= CENT else "less than a cent"
    return (
        f"By {counted(found.of, 'run')} of the route they take {counted(found.looks, 'look')}, "
        f"{about(found.hours * 3600)} without waits for others, and {dollars} for Step Functions."
    )
