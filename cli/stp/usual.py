"""What stands out among the runs of a route: one that is late, and one with hardly any rows."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stp.moments import duration

LEAST_KNOWN = 3  # other runs, before anything counts as usual
FAR_FEWER = 4  # times fewer rows than usual
LATE = 2  # times as long as usual
SOONEST_LATE = 30.0  # seconds within which nothing is late
LATE_UNKNOWN = 3600.0  # seconds after which a run is late of which nothing usual is known


@dataclass(frozen=True)
class Seen:
    """What is known of one run; `rows` is None where they are not counted."""

    name: str
    route: str | None
    seconds: float  # until its end, or until now
    rows: int | None
    running: bool
    ended_well: bool


def unusual(runs: Sequence[Seen]) -> dict[str, dict[str, str]]:
    """Return what stands out, by the runs' names: `late` and `rows`, each in words."""
    by_route: dict[str, list[Seen]] = {}
    for run in runs:
        by_route.setdefault(run.route or "", []).append(run)
    found: dict[str, dict[str, str]] = {}
    for route, own in by_route.items():
        good = [run for run in own if run.ended_well] if route else []
        took = _usual(run.seconds for run in good)
        rows = _usual(run.rows for run in good if run.rows is not None)
        for run in own:
            told = {"late": late(run, took), "rows": few_rows(run, rows)}
            if told := {what: words for what, words in told.items() if words}:
                found[run.name] = told
    return found


def late(run: Seen, usual: float | None) -> str:
    """Return that a run goes on for longer than usual, "" if it does not; in seconds."""
    if not run.running:
        return ""
    if usual is None:
        return "late: it takes over an hour" if run.seconds > LATE_UNKNOWN else ""
    if run.seconds <= max(LATE * usual, SOONEST_LATE):
        return ""
    return f"late: its route's runs take about {duration(usual)}"


def few_rows(run: Seen, usual: float | None) -> str:
    """Return that a run's file has no rows or far fewer than usual, "" if it has not."""
    if run.rows is None:
        return ""
    if not run.rows:
        return "no rows"
    if usual is None or run.rows * FAR_FEWER >= usual:
        return ""
    return f"few rows: usual are about {round(usual):,}"


def _usual(numbers: Iterable[float]) -> float | None:
    """Return the median of enough numbers, None of fewer."""
    known = list(numbers)
    return statistics.median(known) if len(known) >= LEAST_KNOWN else None
