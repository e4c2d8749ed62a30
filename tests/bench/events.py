"""What Quantemplate's events save: looks, transitions, dollars and delay, in virtual time.

`PYTHONPATH=layers:cli python -m tests.bench.events [--quick]` prints the table of docs/costs.md.
The waits are the application's own. A pipeline's runs follow each other: whether its ends were
announced is learnt from one to the next.
"""

import math
import random
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import NormalDist
from typing import Any

from straight_through.executing.listening import (
    ENDS_ANNOUNCED,
    announced_so_far,
    first_listening,
    waits_on,
    was_announced,
)
from straight_through.executing.waits import next_wait
from straight_through.moments import iso
from straight_through.queue.items import SeenEnd
from tests.bench.row import Row, at_most, equal, show

PIPELINES = {20: "20 s", 300: "5 min", 3600: "1 h", 86_400: "24 h", 7 * 86_400: "7 days"}
SPREAD = 0.3  # of the logarithm of the durations, as in the other tables
KNOWN = 10  # durations that the list tells
EVENT_AFTER = 1.0  # seconds from an end until its event has woken the run
FORGED = 5  # events of a run that are no end's, where somebody forges them
BEGAN = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)
NEVER = BEGAN + timedelta(days=1000)  # a deadline that no run meets
TRANSITIONS, A_LOOK = 10, 3  # as in cost.py
TRANSITION = 0.025 / 1000  # dollars, as in cost.py
LOOK = 0.20 / 1e6 + 0.0133 * 0.0000133334  # an invocation of CheckStatus
EVENT = 0.20 / 1e6 + 0.0133 * 0.0000133334 + 3 * 0.705 / 1e6  # of TakeEvent, with three writes
HEARD, TOKEN = 0.705 / 1e6, 0.705 / 1e6  # a write each: at a look, and at a callback

# Seconds of a run, and the number of the run: the moments at which events come.
Weather = Callable[[float, int, random.Random], list[float]]
WEATHERS: dict[str, Weather | None] = {
    "off": None,
    "on": lambda seconds, _number, _chance: [seconds + EVENT_AFTER],
    "every tenth lost": lambda seconds, number, _chance: (
        [seconds + EVENT_AFTER] if number % 10 else []
    ),
    "all lost": lambda _seconds, _number, _chance: [],
    "all forged": lambda seconds, _number, chance: sorted(
        chance.uniform(0, seconds) for _ in range(FORGED)
    ),
}


@dataclass(frozen=True)
class Seen:
    """One run: seconds of delay, looks, callbacks and events; how its end was announced."""

    delay: float
    looks: int
    callbacks: int
    events: int
    at: float  # when its end was seen, in seconds
    announced: bool
    heard_at: float | None  # when its last event came

    @property
    def dollars(self) -> float:
        """Of its looks and transitions; the rest of a file's costs is the same."""
        return (
            (TRANSITIONS + A_LOOK * self.looks) * TRANSITION
            + self.looks * LOOK
            + self.callbacks * TOKEN
            + self.events * EVENT
        )


def run_of(seconds: float, events: list[float] | None, known: Sequence[float], so_far: int) -> Seen:
    """Let one run end after so many seconds, where so many ends before it were announced."""
    state: Any = {"quantemplate": {"pipeline_id": "p", "execution_id": "e"}}
    now, looks, callbacks = float(next_wait(0, known)), 0, 0
    if events is not None:
        state["listening"] = first_listening(so_far)
    while True:
        looks += 1
        heard = max((str(at) for at in events or [] if at <= now), key=float, default="")
        if now >= seconds:
            announced = events is not None and was_announced(state, heard)
            last = max(events, default=None) if events else None
            number = len(events or [])
            return Seen(now - seconds, looks, callbacks, number, now, announced, last)
        if events is None:
            now += next_wait(now, known)
            continue
        state = waits_on(state, heard, BEGAN, moment(now), known, NEVER)
        due = now + state["wait_seconds"]
        if "pk" in state["listening"]:
            callbacks += 1
            due = min([due, *(at for at in events if at > now)])
        now = due


def runs_of(pipeline: int, weather: Weather | None, runs: int, seed: int = 1) -> list[Seen]:
    """Let a pipeline's runs follow each other, once ten are known."""
    chance = random.Random(f"{pipeline} {seed}")  # noqa: S311 - no secret
    known = [pipeline * math.exp(chance.gauss(0, SPREAD)) for _ in range(KNOWN)]
    # One from each part of the distribution: so the means depend less on chance.
    parts = [NormalDist(0, SPREAD).inv_cdf((n + 0.5) / runs) for n in range(runs)]
    chance.shuffle(parts)
    seen: list[Seen] = []
    so_far = ENDS_ANNOUNCED
    for number, deviation in enumerate(parts):
        seconds = pipeline * math.exp(deviation)
        events = weather(seconds, number, chance) if weather else None
        seen.append(run_of(seconds, events, known, so_far))
        so_far = announced_by(seen[-1], so_far)
        known = [*known[1:], seconds]
    return seen


def announced_by(run: Seen, before: int) -> int:
    """How many ends in a row were announced with this one, as the next run finds out."""
    end: SeenEnd = {"execution_id": "e", "at": iso(moment(run.at)), "announced": run.announced}
    heard_at = None if run.heard_at is None else moment(run.heard_at)
    return announced_so_far(before, end, heard_at)


def moment(seconds: float) -> datetime:
    """The time so many seconds after a run has begun."""
    return BEGAN + timedelta(seconds=seconds)


def table(runs: int) -> list[str]:
    """The table of docs/costs.md."""
    lines = [
        "| pipeline takes | events | looks | transitions | dollars per 1,000 runs | delay |",
        "|---|---|---|---|---|---|",
    ]
    for pipeline, name in PIPELINES.items():
        for weather, events in WEATHERS.items():
            seen = runs_of(pipeline, events, runs_for(pipeline, runs))
            looks = statistics.fmean(one.looks for one in seen)
            dollars = 1000 * statistics.fmean(one.dollars for one in seen)
            delay = statistics.fmean(one.delay for one in seen)
            cells = [name, weather, f"{looks:.1f}", f"{TRANSITIONS + A_LOOK * looks:.0f}"]
            cells += [f"{dollars:,.2f}", f"{delay:,.1f} s"]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def runs_for(pipeline: int, runs: int) -> int:
    """Of the long ones fewer runs, since each has many looks."""
    return runs if pipeline < 86_400 else max(runs // 10, 50)


def rows(*, quick: bool = False) -> list[Row]:
    """With events the end is known within two seconds, in three looks on average; else by clock."""
    found = []
    for pipeline, name in PIPELINES.items():
        runs = runs_for(pipeline, 100 if quick else 1000)
        with_events = runs_of(pipeline, WEATHERS["on"], runs)
        found.append(
            at_most(f"{name}, events: longest delay", 2, max(s.delay for s in with_events), "s")
        )
        looks = statistics.fmean(s.looks for s in with_events)
        found.append(at_most(f"{name}, events: mean looks", 3, looks))
        usual = statistics.quantiles([s.looks for s in with_events], n=20)[17]
        found.append(at_most(f"{name}, events: looks of nine runs in ten", 3, usual))
        off = [(s.delay, s.looks) for s in runs_of(pipeline, None, runs)]
        lost = runs_of(pipeline, WEATHERS["all lost"], runs)
        # The first of them is looked at less: nobody knows yet that no event comes.
        same = [(s.delay, s.looks) for s in lost][1:] == off[1:]
        found.append(equal(f"{name}, all lost: as by the clock", 1, int(same)))
    return found


if __name__ == "__main__":
    quick = "--quick" in sys.argv
    print("\n".join(table(100 if quick else 1000)))
    sys.exit(show(rows(quick=quick)))
