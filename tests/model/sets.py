"""Sets as the model knows them: what has come of each, who has claimed it, and what must follow."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn

from tests.machine.machine import Execution
from tests.model.world import World

MEMBERS = {"claims": "d-1", "premiums": "d-2", "cash": "d-3"}
PERIODS = ("05", "06")
DOCUMENT = {
    "organisation_id": "c-1",
    "pipeline_id": "p-1",
    "set": {
        "period": "{period}",
        "members": [
            {"file": f"{name}-{{period}}.csv", "dataset_id": dataset}
            for name, dataset in MEMBERS.items()
        ],
    },
}
Place = tuple[datetime, str, str]  # when a file was dropped, its sequencer, and its run


@dataclass
class Ledger:
    """What the writes of the sets' items were, judged one by one as they are made."""

    world: World
    newest: dict[str, dict[str, Place]] = field(default_factory=dict)  # by period and member
    claims: dict[tuple[str, int], str] = field(default_factory=dict)  # runs, by period and version

    def wrote(self, items: list[dict[str, Any]]) -> None:
        """Judge a write that is about to be made."""
        for item in items:
            request = item.get("Update", {})
            if request and request["Key"]["pk"]["S"] == "sets":
                self._noted(request["ExpressionAttributeValues"], items)

    def _noted(self, values: dict[str, Any], items: list[dict[str, Any]]) -> None:
        """Require that a file is noted once, in its order, and claims just what it completes."""
        forbid = self.world.forbid
        period, version = values[":period"]["S"], int(values[":version"]["N"])
        before = self.newest.setdefault(period, {})
        after = {
            file.partition("-")[0]: place_of(self.world.states.executions[member["M"]["run"]["S"]])
            for file, member in values[":members"]["M"].items()
        }
        (run,) = {
            item["Update"]["Key"]["pk"]["S"].removeprefix("run#")
            for item in items
            if item["Update" if "Update" in item else "Delete"]["Key"]["sk"]["S"] == "record"
        }
        for member, place in before.items():
            if member not in after or after[member] < place:
                forbid(f"{run} has put an older {member} into set {period}")
        if not any(place != before.get(member) for member, place in after.items()):
            forbid(f"{run} is noted in set {period} a second time")
        complete = after.keys() == MEMBERS.keys()
        alone = self.world.states.executions[run].input.get("incomplete")
        claimed = self.claims.keys() & {(period, version)}
        if complete or alone:
            if claimed:
                forbid(f"{run} claims version {version} of set {period}, as another has")
            self.claims[period, version] = run
        elif version and not claimed:
            forbid(f"{run} claims set {period}, which is not complete")
        self.newest[period] = after


def place_of(execution: Execution) -> Place:
    """Return the place of an execution's file among those of its key."""
    named = execution.input
    if named.get("sequencer"):
        return datetime.fromisoformat(named["dropped_at"]), named["sequencer"], execution.name
    return execution.started, "", execution.name  # by hand


def check_sets(world: World, ledger: Ledger) -> None:
    """Require, once all have ended well, that each completed version has run once, and no other."""
    forbid: Callable[[str], NoReturn] = world.forbid
    made = [run for run in world.quantemplate.runs if run.made_for and run.status == "Succeeded"]
    by = [run.made_for for run in made]
    claimants = list(ledger.claims.values())
    if sorted(by) != sorted(set(by)) or set(by) != set(claimants):
        forbid(f"{sorted(by)} ran, and the sets were claimed by {sorted(claimants)}")
    if len(set(claimants)) < len(claimants):
        forbid(f"one run has claimed two versions: {claimants}")
    for execution in world.states.executions.values():
        status = (execution.output or {}).get("status")
        if execution.name not in claimants and status not in ("Gathered", "Replaced"):
            forbid(f"{execution.name} ended with {status}, and no set has its file")
    for period in PERIODS:
        _check_last(world, ledger, period)


def _check_last(world: World, ledger: Ledger, period: str) -> None:
    """Require that the last run of a complete set had the newest file of each member."""
    last = max((version for of, version in ledger.claims if of == period), default=0)
    dropped: dict[str, Execution] = {}
    for execution in world.states.executions.values():
        member, _, of = execution.input["key"].partition("/")[2].partition("-")
        newest = dropped.get(member)
        if of == f"{period}.csv" and (not newest or place_of(newest) < place_of(execution)):
            dropped[member] = execution
    if dropped.keys() != MEMBERS.keys():
        return
    if not last:
        world.forbid(f"set {period} is complete, and nobody has run it")
    by = ledger.claims[period, last]
    run = next(r for r in world.quantemplate.runs if r.made_for == by and r.status == "Succeeded")
    wanted = b"".join(world.bytes_of(dropped[member]) for member in MEMBERS)
    if run.content != wanted:
        world.forbid(f"the last run of set {period} had {run.content!r}, and not {wanted!r}")


def route() -> dict[str, str]:
    """Return the parameter of the one route."""
    return {"/routes/s": json.dumps(DOCUMENT)}
