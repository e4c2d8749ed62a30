"""The model of what routes expect: files come or do not, and everything may happen to who looks."""

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from straight_through.expecting.expectations import GRACE, PATIENCE
from straight_through.moments import from_iso, iso
from straight_through.names import run_name
from straight_through.queue.arrivals import EXPECTS, arrivals_of
from straight_through.queue.tellings import PATIENCE as UNTOLD
from tests.model.calm import run_all
from tests.model.functions import Functions
from tests.model.invocations import Invocation, running
from tests.model.moves import SOME_TROUBLES, TROUBLES, WHICH, one_of
from tests.model.world import BUCKET, World

MOST = 12  # files
DAY = timedelta(days=1)
ROWS = 2  # that "r" asks for
HOURS = ("12:00", "18:00")
# Each expects a file of every working day, "r" one with rows.
RULES: dict[str, dict[str, Any]] = {
    "e": {"file": "x-{period}.csv", "every": "day", "by": HOURS[0]},
    "r": {"file": "x-{period}.csv", "every": "day", "by": HOURS[0], "at_least": {"rows": ROWS}},
}
WEEKLY = {"every": "week", "by": f"working day 2, {HOURS[0]}"}
ROUTES = st.sampled_from(sorted(RULES))
# What a function meets where it stands: those that repeat it find it as it is then.
THEN = st.sampled_from(["stand", "others", "kill", "step, kill", *SOME_TROUBLES])
CAME_POINTS = st.sampled_from(["begin", "head object", "run#", "came#", "expects", "return"])
SWEEP_POINTS = st.sampled_from(
    [
        "get parameters by path",
        f"query {EXPECTS}",
        "query came#",
        "query came#",
        f"Update {EXPECTS}",
        f"Update {EXPECTS}",
        "publish",
        "write Delete tellings",
        "query tellings",
        "write Update tellings SET #since",
        "return",
    ]
)
RIGHT: tuple[list[str], ...] = (
    [],
    ["late"],
    ["came"],
    ["late", "came"],
)  # what people may be told of a period


@dataclass
class Drop:
    """A file, and how far its run has come."""

    route: str
    period: str
    run: str
    at: datetime
    input: dict[str, Any]
    rows: int | None
    checks: list[Invocation]
    aborted: bool = False
    ended: bool = False

    @property
    def checked(self) -> bool:
        """Whether CheckFile has found it right."""
        return any(one.ended and not one.error and not one.killed for one in self.checks)


@dataclass
class Verdict:
    """What was judged: when the file was due."""

    due: datetime
    dropped: bool = False  # whether the rule asks for other periods since, and owes nothing of it


class Expecting(RuleBasedStateMachine):
    """Files, people, CheckFile, RunEnded and the sweep do what they may."""

    functions: Functions  # set by the test
    steps = histories = judged = messages = 0
    calms_down = True

    @initialize(ends=st.booleans())
    def begin(self, ends: bool) -> None:  # noqa: FBT001
        """Begin on a Monday with two routes; that runs have ended is told in the end, or is not."""
        self.world = World(self.functions)
        self.ends = ends
        self.world.watch = self._sees
        self.drops: list[Drop] = []
        self.verdicts: dict[tuple[str, str], Verdict] = {}
        self.told: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.good: dict[tuple[str, str], list[tuple[datetime, int]]] = defaultdict(list)
        for name, expect in RULES.items():
            self._set_rule(name, expect)
        self._sweep()

    def _set_rule(self, name: str, expect: dict[str, Any] | None) -> None:
        self.world.log.append(f"route {name}: {expect}")
        route: dict[str, Any] = {"organisation_id": "c-1", "pipeline_id": f"p-{name}"}
        route |= {"dataset_id": f"d-{name}"} | ({"expect": expect} if expect else {})
        self.world.parameters.values[f"/routes/{name}"] = json.dumps(route)

    def _sweep(self) -> None:
        """Sweep to the end, and let all others go on to theirs."""
        self.world.invoke("sweep_queues", {})
        run_all(self.world)

    def _item(self, route: str) -> dict[str, Any]:
        """Return what is known of a route."""
        return next((i for i in self.world.dynamodb.items(EXPECTS) if i["sk"]["S"] == route), {})

    def _check(self, drop: Drop) -> Invocation:
        """Let CheckFile look at a file, for the first time or once more."""
        arn = f"arn:aws:states:eu-west-1:1:execution:m:{drop.run}"
        began = iso(drop.at)
        execution = {"Id": arn, "Name": drop.run, "Input": drop.input, "StartTime": began}
        check = self.world.invoke("check_file", {"execution": execution})
        drop.checks.append(check)
        return check

    def _to_point(self, invocation: Invocation, point: str, then: str) -> None:
        """Let an invocation go on to a call, where it meets something."""
        while point not in invocation.at and not invocation.ended:
            self.world.step(invocation)
        if not invocation.ended:
            self._meets(invocation, then)

    def _meets(self, invocation: Invocation, then: str) -> None:
        """Let a function meet something where it stands."""
        world = self.world
        if then in SOME_TROUBLES:
            world.step(invocation, then)
        elif then == "others":
            for other in [one for one in world.invocations if one is not invocation]:
                while not other.ended:
                    world.step(other)
        elif then != "stand":
            if "step" in then:
                world.step(invocation)
            if "kill" in then and not invocation.ended:
                world.kill(invocation)

    # --- files ----------------------------------------------------------------------------------
    @precondition(lambda self: len(self.drops) < MOST)
    @rule(
        route=ROUTES,
        days=st.sampled_from([0, 0, 0, -1, -1, -3, 1]),
        rows=st.sampled_from([ROWS, ROWS, ROWS - 1, None]),
        point=CAME_POINTS,
        then=st.one_of(THEN, st.just("kill, for good")),
        at_once=st.booleans(),
    )
    def file_comes(
        self,
        route: str,
        days: int,
        rows: int | None,
        point: str,
        then: str,
        at_once: bool,  # noqa: FBT001
    ) -> None:
        """A file of today comes, or of another day, and its check meets something."""
        day = (self.world.now() + days * DAY).date()
        check = self._drop(route, day.isoformat(), rows)
        if at_once:
            run_all(self.world)
        else:
            self._to_point(check, point, then)
            self.drops[-1].aborted = "for good" in then and not self.drops[-1].checked

    @precondition(lambda self: len(self.drops) < MOST)
    @rule(which=WHICH, point=CAME_POINTS, then=THEN)
    def what_is_late_comes(self, which: int, point: str, then: str) -> None:
        """A file comes after all, and a sweep looks while it is noted."""
        late = [of for of, told in self.told.items() if told == ["late"]]
        if late:
            route, period = one_of(late, which)
            check = self._drop(route, period, ROWS)
            self._to_point(check, point, "stand")
            self._to_point(self.world.invoke("sweep_queues", {}), "return", "step")
            if not check.ended:
                self._meets(check, then)

    def _drop(self, route: str, period: str, rows: int | None) -> Invocation:
        """Drop a file, and begin its check."""
        world, number = self.world, len(self.drops) + 1
        key, version = f"{route}/x-{period}.csv", f"v{number}"
        world.inbox.versions[key, version] = (b"id,paid\nC-1,1.00\n", world.now())
        named = {"bucket": BUCKET, "key": key, "version_id": version}
        named |= {"dropped_at": iso(world.now()), "sequencer": f"{number:04}"}
        run = run_name(BUCKET, key, version)
        drop = Drop(route, period, run, from_iso(iso(world.now())), named, rows, [])
        self.drops.append(drop)
        return self._check(drop)

    @precondition(lambda self: self.drops)
    @rule(which=WHICH)
    def check_again(self, which: int) -> None:
        """The check of a file is repeated, as the state machine or a redrive does."""
        drop = one_of(self.drops, which)
        if not drop.aborted:
            self._check(drop)

    @precondition(lambda self: self.drops)
    @rule(which=WHICH)
    def run_is_stopped(self, which: int) -> None:
        """A run is stopped while its file is checked: nobody repeats that."""
        drop = one_of(self.drops, which)
        for check in [one for one in drop.checks if not one.ended]:
            self.world.kill(check)
        drop.aborted = not drop.checked

    @precondition(lambda self: any(drop.checked for drop in self.drops))
    @rule(which=WHICH, times=st.sampled_from([1, 1, 2]), at_once=st.booleans())
    def run_ends(self, which: int, times: int, at_once: bool) -> None:  # noqa: FBT001
        """A run ends, and its end is told, once or twice."""
        drop = one_of([drop for drop in self.drops if drop.checked], which)
        for _ in range(times):
            self._end(drop)
        if at_once:
            run_all(self.world)

    def _end(self, drop: Drop) -> Invocation:
        """Let RunEnded be told of a run's end."""
        now = int(self.world.now().timestamp() * 1000)
        result = {"run": drop.run, "route": drop.route, "status": "Succeeded"}
        detail = {
            "name": drop.run,
            "executionArn": f"arn:aws:states:eu-west-1:1:execution:m:{drop.run}",
            "status": "SUCCEEDED",
            "startDate": int(drop.at.timestamp() * 1000),
            "stopDate": now,
            "input": json.dumps(drop.input),
            "output": json.dumps(result | {"rows_in": drop.rows}),
        }
        drop.ended = True
        return self.world.invoke("run_ended", {"detail": detail})

    # --- functions and time ---------------------------------------------------------------------
    @precondition(lambda self: self.world.invocations)
    @rule(which=WHICH, steps=st.sampled_from([1, 2, 3, 5, 40]), trouble=TROUBLES)
    def go_on(self, which: int, steps: int, trouble: str) -> None:
        """One function goes on for some calls; the last of them may have trouble."""
        self.world.go_on(one_of(self.world.invocations, which), steps, trouble)

    @precondition(lambda self: self.world.invocations)
    @rule(which=WHICH, then=THEN)
    def meets(self, which: int, then: str) -> None:
        """A function meets something, wherever it stands."""
        self._meets(one_of(self.world.invocations, which), then)

    @rule(seconds=st.sampled_from([1, 61, 130, 1000]), days=st.sampled_from([0, 0, 0, 1, 2, 4]))
    def time_passes(self, seconds: int, days: int) -> None:
        """Functions meet their time-outs, and for days no sweep may come."""
        self.world.pass_time(seconds + days * 86400)

    @rule(
        route=ROUTES,
        minutes=st.sampled_from([-1500, -20, -5, -1, 0, 1, 100]),
        points=st.tuples(SWEEP_POINTS, SWEEP_POINTS),
        then=THEN,
    )
    def file_is_due(self, route: str, minutes: int, points: tuple[str, str], then: str) -> None:
        """A file is due and two sweeps see it, of which one meets something."""
        due = self._item(route).get("due", {"S": ""})["S"]
        if due:
            at = from_iso(due) + GRACE + timedelta(minutes=minutes)
            self.world.pass_time(max((at - self.world.now()).total_seconds(), 1))
        self._to_point(self.world.invoke("sweep_queues", {}), points[0], "stand")
        self._to_point(self.world.invoke("sweep_queues", {}), points[1], then)

    @rule(point=SWEEP_POINTS, then=THEN)
    def sweep_meets(self, point: str, then: str) -> None:
        """The sweep meets something on its way."""
        self._to_point(self.world.invoke("sweep_queues", {}), point, then)

    @rule()
    def sweep(self) -> None:
        """All functions go on to their ends, and then the sweep."""
        run_all(self.world)
        self._sweep()

    # --- people ---------------------------------------------------------------------------------
    @rule(
        change=st.sampled_from([{"by": HOURS[1]}, {"by": HOURS[0]}, WEEKLY, None, {}]),
        swept=st.booleans(),
    )
    def rule_changes(self, change: dict[str, Any] | None, swept: bool) -> None:  # noqa: FBT001
        """A person changes what a route expects, or takes it away, or mends it."""
        self._set_rule("e", None if change is None else RULES["e"] | change)
        if swept:
            self._sweep()

    # --- what must hold -------------------------------------------------------------------------
    @invariant()
    def holds(self) -> None:
        """Between any two rules."""
        if hasattr(self, "world"):
            self.world.check()

    def _sees(self, items: list[dict[str, Any]]) -> None:
        """Look at each write that is about to be made, at the verdict before what is told of it."""
        told: list[str] = []
        for part in items:
            ((_, request),) = part.items()
            pk, sk = request["Key"]["pk"]["S"], request["Key"]["sk"]["S"]
            values = request.get("ExpressionAttributeValues", {})
            if pk == EXPECTS and ":judged" in values:
                self._judged(sk, self._item(sk), mended=":every" in values)
            if pk == "tellings" and sk.startswith("expect#") and ":what" in values:
                told.append(sk)
            if pk.startswith("came#"):
                self._comes(pk, sk, values)
        for name in told:
            _, route, period, what, _ = name.split("#")
            self._is_told(route, period, what)

    def _judged(self, route: str, before: dict[str, Any], *, mended: bool) -> None:
        """Require that a period is judged once, and not before its file is due."""
        if mended:  # the rule is for other periods now
            for (name, _), verdict in self.verdicts.items():
                verdict.dropped |= name == route
            return
        name, due = before["name"]["S"], from_iso(before["due"]["S"])
        if (route, name) in self.verdicts:
            self.world.forbid(f"{name} of {route} is judged twice")
        if self.world.now() < due + GRACE:
            self.world.forbid(f"{name} of {route} is judged before {due + GRACE}")
        self.verdicts[route, name] = Verdict(due)

    def _is_told(self, route: str, period: str, what: str) -> None:
        """Require that people may be told this: once, and nothing that was known to be wrong."""
        of, forbid = (route, period), self.world.forbid
        self.told[of].append(what)
        if self.told[of] not in RIGHT:
            forbid(f"of {period} of {route} people are told {self.told[of]}")
        sweep = running()
        began = sweep.began_at_write if sweep else 0
        if what == "came" and not self.good[of]:
            forbid(f"{period} of {route} has not come")
        known = [at for at, write in self.good[of] if write <= began]
        if what == "late" and known:
            forbid(f"{period} of {route} has come at {known}")
        if what == "late" and self._counting(of, self.verdicts[of].due):
            forbid(f"the rows of {period} of {route} may be enough yet")

    def _comes(self, pk: str, run: str, values: dict[str, Any]) -> None:
        """Note when a file has come, or is known to have the rows that it should have."""
        _, route, period = pk.split("#")
        there = {item["sk"]["S"]: item for item in self.world.dynamodb.items(pk)}
        at = values[":at"]["S"] if ":at" in values else there[run]["at"]["S"]
        rows = values.get(":rows", {}).get("N", "0")
        if (route == "e" and ":at" in values) or (route == "r" and int(rows) >= ROWS):
            self.good[route, period].append((from_iso(at), self.world.writes))

    def _counting(self, of: tuple[str, str], due: datetime) -> bool:
        """Whether the rows of a file that came in time are waited for."""
        arrivals = self.world.dynamodb.items(arrivals_of(*of))
        going = any("ended" not in i and from_iso(i["at"]["S"]) <= due for i in arrivals)
        return of[0] == "r" and going and self.world.now() < due + PATIENCE - timedelta(minutes=3)

    def check_rest(self) -> None:
        """Require that each period was judged, and that people know what is late and what came."""
        for route in RULES:
            self._is_complete(route)
        for of, verdict in self.verdicts.items():
            wanted = self._wanted(of, verdict.due)
            if not verdict.dropped and self.told[of] not in wanted:
                self.world.forbid(f"of {of} people know {self.told[of]}, and not one of {wanted}")
        for (route, period), kinds in self.told.items():
            for kind in kinds:
                subject = {"late": "Late", "came": "Has come"}[kind]
                subject += f": x-{period}.csv of route {route}"
                if subject not in self.world.services["sns"].told:
                    self.world.forbid(f"{subject!r} was noted, and told to nobody")

    def _wanted(self, of: tuple[str, str], due: datetime) -> tuple[list[str], ...]:
        """Return what people may know in the end of a period."""
        first = min((at for at, _ in self.good[of]), default=None)
        if first:
            return ([] if first <= due else ["came"], ["late", "came"])
        return ([], ["late"]) if self._counting(of, due) else (["late"],)

    def _is_complete(self, route: str) -> None:
        """Require that each working day was judged, since the route expects its file."""
        item, now = self._item(route), self.world.now()
        hour = time.fromisoformat(item["by"]["S"])
        day = from_iso(item["since"]["S"]).date()
        while (due := datetime.combine(day, hour, UTC)) + GRACE + timedelta(minutes=5) < now:
            expected = due > from_iso(item["since"]["S"]) and day.weekday() < 5
            if expected and (route, day.isoformat()) not in self.verdicts:
                self.world.forbid(f"{day} of {route} was never judged")
            day += DAY

    def _calm_down(self) -> None:
        """No more trouble: what was cut off is repeated, runs end, and the sweep comes often."""
        run_all(self.world)
        self._set_rule("e", RULES["e"])
        for drop in self.drops:
            if not drop.checked and not drop.aborted:
                self._check(drop)
                run_all(self.world)
            if drop.checked and self.ends:  # Lambda repeats what was not done
                self._end(drop)
                run_all(self.world)
        for _ in range(6):
            self._sweep()
            self.world.pass_time(UNTOLD.total_seconds() + 1)
        if self.world.dynamodb.items("tellings"):
            self.world.forbid("not all was told")

    def teardown(self) -> None:
        """All calms down: then it is judged what people know."""
        if not hasattr(self, "world"):
            return
        world = self.world
        try:
            if self.calms_down and not world.violation:
                self._calm_down()
                self.check_rest()
        finally:
            note("\n".join(world.log))
            Expecting.steps += world.steps
            Expecting.histories += 1
            Expecting.judged += len(self.verdicts)
            Expecting.messages += len(world.services["sns"].told)
            world.close()
