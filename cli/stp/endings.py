"""How runs that were followed have ended: each for itself, and a batch summed up."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from stp.run_facts import GOOD, Run
from straight_through.statuses import GATHERED, HELD, REPLACED, SKIPPED
from straight_through.telling.messages import first_of, held_because, set_told
from straight_through.text import counted, shown


def summed_up(runs: Sequence[Run]) -> list[str]:
    """Return how many runs of a batch ended how, and what mends each kind of failure at once."""
    counts = Counter(run.status for run in runs)
    ends = ", ".join(f"{count:,} {status}" for status, count in counts.most_common())
    lines = [f"{counted(len(runs), 'run')}: {ends}."]
    kinds: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        if run.status not in GOOD:
            kind = run.facts["error"] or run.status
            kinds.setdefault((kind, step_of(run)), []).append(run)
    for (kind, step), some in sorted(kinds.items(), key=lambda each: -len(each[1])):
        names = " ".join(run.name for run in some)
        # What no command mends at once is told of each run above; here of the first.
        mending = f"stp {step} {names}" if step else some[0].facts["next"]
        lines.append(f"{shown(kind)} ({len(some):,}): {mending}")
    return lines


def step_of(run: Run) -> str:
    """Return the command that mends a run and takes several, "" where there is none."""
    steps = ("redrive", "rerun --attach", "rerun")
    return next((each for each in steps if f"stp {each} {run.name}" in run.facts["next"]), "")


def ending(run: Run, files: list[dict[str, Any]]) -> list[str]:
    """Return how a run ended, and what to do."""
    lines = [
        f"{each['path']}  "
        + ("not counted" if each["rows"] is None else counted(each["rows"], "row"))
        for each in files
    ]
    key = shown(run.key) or f"run {run.name}"
    if run.status == HELD:
        lines.append(f"{key} is held: {first_of(held_because(run.facts['held']))}.")
    elif run.status not in GOOD:
        lines.append(f"{key}: {run.facts['message'] or run.status}")
    elif run.status == SKIPPED:
        lines.append(f"{key} is skipped: {shown(run.facts['identical_to']['key'])} had its bytes.")
    elif run.status == REPLACED:
        of_set = run.facts.get("set")
        was = f"is of set {shown(of_set['period'])}" if of_set else "was empty"
        lines.append(f"{key} {was}, and a newer version has replaced it.")
    elif run.status == GATHERED:
        lines.append(f"{key} was gathered: set {set_told(run.facts['set'])}.")
    elif run.facts["no_outputs"]:
        lines += [f"{key}: the run made no outputs.", run.facts["next"]]
    elif not files:
        lines.append(f"{key}: the outputs are in {run.facts['outputs']}")
    if run.status not in GOOD:
        lines.append(run.facts["next"])
    if page := run.facts.get("pipeline_page"):
        lines.append(f"The pipeline in Quantemplate: {page}")
    return lines
