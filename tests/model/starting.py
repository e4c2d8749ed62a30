"""The model with routes that take no file: what starts their runs, and what must hold of it."""

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from straight_through.moments import from_iso, iso
from straight_through.starting.index import LATE
from straight_through.starting.updates import resumed
from tests.model.calm import calm_down, run_all
from tests.model.functions import ENVIRONMENT, SECONDS
from tests.model.invocations import Invocation
from tests.model.machine import Model
from tests.model.moves import THEN, WHICH, one_of

MOST = int(ENVIRONMENT["MOST_UPDATE_RUNS_AN_HOUR"])
MOST_EVENTS, MOST_BY_HAND = 25, 4
HOURS = 6  # between two moments of the schedules
# Pipeline, and what starts the route's runs: "s" by either, "t" by two datasets, "u" by schedule.
BOTH = ("d-5", "d-6")
WHENS: dict[str, tuple[str, dict[str, Any]]] = {
    "s": ("p-5", {"updated": ["d-5"], "at": f"0 */{HOURS} * * *"}),
    "t": ("p-6", {"updated": list(BOTH)}),
    "u": ("p-7", {"at": f"0 */{HOURS} * * *", "missed": "skip"}),
}
# What a person may make of the first.
CHANGES = ({"updated": list(BOTH)}, {"updated": ["d-6"], "at": f"0 */{HOURS} * * *"}, None)
A_WRITE_TAKES = timedelta(seconds=max(SECONDS.values()))  # after the time that it notes, at most
EVENT_POINTS = st.sampled_from(
    ["begin", "query feeds#", "get when", "write Update when", "start", "heard", "return"]
)
SWEEP_POINTS = st.sampled_from(
    [
        "get parameters by path",
        "query when",
        "write Update feeds#",
        "write Update when",
        "write Delete",
        "describe",
        "start",
        "tellings",
        "publish",
    ]
)


@dataclass
class Claim:
    """A run that updates are said to have started."""

    run: str
    events: set[str]
    at: datetime
    count: int  # of writes before it
    counts: bool = True  # for the brake: until a person resumes the route


class Starting(Model):
    """The model, and beside files events of datasets, schedules, the brake, and runs by hand."""

    def _mend_routes(self) -> None:
        """Make all routes as they are at the beginning; then the sweep has read them."""
        super()._mend_routes()
        for name in WHENS:
            self._set_when(name, WHENS[name][1])
        if not hasattr(self, "_events"):
            self._events: list[tuple[str, str]] = []  # datasets and ids
            self._by_hand = self._sent = self._count = 0
            self._told: dict[str, dict[str, int]] = defaultdict(dict)  # events by route, and when
            self._executed: dict[str, int] = defaultdict(int)  # when the last one was noted
            self._claims: dict[str, list[Claim]] = defaultdict(list)
            self._since: dict[str, datetime] = {}  # from when on a schedule counts
            self._taken: list[tuple[Invocation, str]] = []
            self.world.watch = self._sees
        self.world.invoke("sweep_queues", {})
        run_all(self.world)

    def _set_when(self, name: str, when: dict[str, Any] | None) -> None:
        self.world.log.append(f"route {name}: {when}")
        route = {"organisation_id": "c-1", "pipeline_id": WHENS[name][0], "queue": "stock"}
        route |= {"when": when} if when else {}  # type: ignore[dict-item]
        self.world.parameters.values[f"/routes/{name}"] = json.dumps(route)

    def _send(self, dataset: str, event: str = "") -> Invocation:
        """Let an event tell that a dataset was updated."""
        self._sent += 1
        event = event or f"u-{self._sent}"
        self._events.append((dataset, event))
        payload = {"datasetId": dataset}
        told = self.world.hear({"id": event, "name": "DatasetUpdated", "payload": payload})
        self._taken.append((told, event))
        return told

    def _to_point(self, invocation: Invocation, point: str, then: str) -> None:
        """Let an invocation go on to a call, where it meets something."""
        while point not in invocation.at and not invocation.ended:
            self.world.step(invocation)
        if not invocation.ended:
            self._meets(invocation, then)

    def _item(self, route: str) -> dict[str, Any]:
        """Return what is known of a route."""
        return next((i for i in self.world.dynamodb.items("when") if i["sk"]["S"] == route), {})

    # --- what happens ---------------------------------------------------------------------------
    @precondition(lambda self: self._sent < MOST_EVENTS)
    @rule(dataset=st.sampled_from(BOTH), again=st.booleans(), which=WHICH, at_once=st.booleans())
    def dataset_is_updated(self, dataset: str, again: bool, which: int, at_once: bool) -> None:  # noqa: FBT001
        """A dataset is updated, or an event comes once more."""
        event = ""
        if again and self._events:
            dataset, event = one_of(self._events, which)
        told = self._send(dataset, event)
        while at_once and not told.ended:
            self.world.step(told)

    @precondition(lambda self: self._sent < MOST_EVENTS)
    @rule(dataset=st.sampled_from(BOTH), point=EVENT_POINTS, then=THEN)
    def update_meets(self, dataset: str, point: str, then: str) -> None:
        """A dataset is updated, and its event meets something on its way."""
        self._to_point(self._send(dataset), point, then)

    @precondition(lambda self: self._sent < MOST_EVENTS)
    @rule(point=EVENT_POINTS, then=THEN)
    def both_are_updated(self, point: str, then: str) -> None:
        """Two datasets are updated at once, and one event overtakes the other."""
        first, second = (self._send(dataset) for dataset in BOTH)
        self._to_point(first, point, "stand")
        self._to_point(second, point, then)

    @precondition(lambda self: self._sent < MOST_EVENTS)
    @rule(trouble=st.sampled_from(["refused", "lost", "kill", "step, kill"]))
    def start_meets(self, trouble: str) -> None:
        """A run is claimed, and its start meets trouble."""
        run_all(self.world)
        for dataset in BOTH:
            self._to_point(self._send(dataset), "start", trouble)

    @precondition(lambda self: self._sent < MOST_EVENTS)
    @rule(times=st.integers(1, MOST + 1), ends=st.sampled_from(["Succeeded", "Failed"]))
    def goes_round(self, times: int, ends: str) -> None:
        """What a pipeline makes comes back as the update that it waits for."""
        for _ in range(times):
            self._send("d-5")
            if self._stands_before("execute p-5"):
                run_all(self.world)
                for run in self._going():
                    self.world.quantemplate.end(run, ends)

    @rule(point=SWEEP_POINTS, then=THEN)
    def sweep_meets(self, point: str, then: str) -> None:
        """The sweep meets something on its way."""
        self._to_point(self.world.invoke("sweep_queues", {}), point, then)

    @rule(minutes=st.sampled_from([0, 1, 9, 12, 400]), point=SWEEP_POINTS, then=THEN)
    def moment_comes(self, minutes: int, point: str, then: str) -> None:
        """The next moment of a schedule is there, or was missed, and two sweeps see it."""
        due = self._item("u").get("next", {"S": ""})["S"]
        if due:
            left = (from_iso(due) - self.world.now()).total_seconds() + minutes * 60
            self.world.pass_time(max(left, 1))
        first = self.world.invoke("sweep_queues", {})
        self._to_point(first, point, "stand")
        self._to_point(self.world.invoke("sweep_queues", {}), point, then)

    @precondition(lambda self: self._by_hand < MOST_BY_HAND)
    @rule(route=st.sampled_from(list(WHENS)))
    def by_hand(self, route: str) -> None:
        """A person starts a run."""
        self._by_hand += 1
        name = f"hand-{self._by_hand}"
        self.world.states.start_execution("", name, json.dumps({"route": route}))

    @rule(route=st.sampled_from(list(WHENS)))
    def resume(self, route: str) -> None:
        """A person lets updates start runs again."""
        if resumed(self.functions.apps["take_event"].table, route):
            self.world.log.append(f"{route} is resumed")
            for claim in self._claims[route]:
                claim.counts = False

    @rule(when=st.sampled_from(CHANGES), swept=st.booleans())
    def change_when(self, when: dict[str, Any] | None, swept: bool) -> None:  # noqa: FBT001
        """A person changes what starts a route's runs, or takes it away."""
        self._set_when("s", when)
        if swept:
            self.world.invoke("sweep_queues", {})
            run_all(self.world)

    @rule()
    def mend_when(self) -> None:
        """A person makes it again what it was."""
        self._set_when("s", WHENS["s"][1])

    # --- what must hold -------------------------------------------------------------------------
    def _sees(self, items: list[dict[str, Any]]) -> None:
        """Look at each write that is about to be made."""
        self._count += 1
        for part in items:
            ((kind, request),) = part.items()
            pk, route = request["Key"]["pk"]["S"], request["Key"]["sk"]["S"]
            values = request.get("ExpressionAttributeValues", {})
            if request.get("UpdateExpression") == "SET #posted = :post":
                self._executed[values[":post"]["M"]["route"]["S"]] = self._count
            if pk != "when":
                continue
            if kind == "Delete":
                self._told.pop(route, None)
                self._claims.pop(route, None)
                self._since.pop(route, None)
            for told in values.get(":told", {"M": {}})["M"].values():
                self._told[route].setdefault(told["M"]["event"]["S"], self._count)
            if ":zone" in values and ":next" in values:
                self._since[route] = self.world.now()
            if ":claimed" in values:
                events = {event["S"] for event in values[":claimed"]["L"]}
                self._claimed(route, values[":pending"]["M"]["run"]["S"], events)

    def _claimed(self, route: str, run: str, events: set[str]) -> None:
        """Require that a run may be started for these events."""
        item, world = self._item(route), self.world
        for what in ("off", "pending"):
            if what in item:
                world.forbid(f"{run} is claimed although {route} has {what}")
        for event in events:
            if self._told[route][event] < self._executed[route]:
                world.forbid(f"{run} is started for {event}, which an Execute has taken in")
        if any(events == earlier.events for earlier in self._claims[route]):
            world.forbid(f"{run} is the second for {events}")
        self._claims[route].append(Claim(run, events, world.now(), self._count))
        since = world.now() - (timedelta(hours=1) - A_WRITE_TAKES)
        if sum(claim.counts and claim.at > since for claim in self._claims[route]) > MOST:
            world.forbid(f"the brake lets {run} start")

    def check_rest(self) -> None:
        """Require that no update is lost, each tick ran once, and people know what is off."""
        world = self.world
        for route in WHENS:
            item = self._item(route)
            if "off" in item:
                self._is_told(route, item)
            else:
                self._has_lost_nothing(route, item)
            for claim in self._claims[route]:
                executed = claim.count < self._executed[route]  # another has its updates
                if not executed and claim.run not in world.states.executions:
                    world.forbid(f"{claim.run} was never started")
        for told, event in self._taken:
            acknowledged = told.result and told.result["statusCode"] == 200
            if acknowledged and event not in self._told["t"]:
                world.forbid(f"{event} was taken and not noted")
        self._ticked()
        self._goes_on()

    def _is_told(self, route: str, item: dict[str, Any]) -> None:
        """Require that people were told of a route that is switched off."""
        subject = f"Updates start no more runs of route {route}"
        if not item["off"]["M"]["told"]["BOOL"] or subject not in self.world.services["sns"].told:
            self.world.forbid(f"nobody was told that {route} is switched off")

    def _has_lost_nothing(self, route: str, item: dict[str, Any]) -> None:
        """Require that each update is in a run's data, has started one, or waits for another."""
        waits = {dataset for dataset, told in item.get("told", {"M": {}})["M"].items()}
        for event, count in self._told[route].items():
            dataset = next(dataset for dataset, sent in self._events if sent == event)
            started = any(event in claim.events for claim in self._claims[route])
            if not (count < self._executed[route] or started or dataset in waits):
                self.world.forbid(f"{event} is lost to {route}")
        wanted = [each["S"] for each in item.get("updated", {"L": []})["L"]]
        told = [item["told"]["M"][d]["M"]["event"]["S"] for d in wanted if d in waits]
        claimed = {each["S"] for each in item.get("claimed", {"L": []})["L"]}
        if wanted and len(told) == len(wanted) and not set(told) <= claimed:
            self.world.forbid(f"{route} does not run for {told}")

    def _ticked(self) -> None:
        """Require that each moment has one run at most, and that the last one has its run."""
        by_moment: dict[tuple[str, str], list[str]] = defaultdict(list)
        for execution in self.world.states.executions.values():
            moment = execution.input.get("cause", {}).get("at")
            if not moment or execution.name.startswith("rerun"):
                continue
            by_moment[execution.input["route"], moment].append(execution.name)
            late = execution.started - from_iso(moment)
            skips = execution.input["route"] == "u"
            if late < timedelta(0) or from_iso(moment).hour % HOURS:
                self.world.forbid(f"{execution.name} is started at {execution.started}")
            if skips and late > LATE + A_WRITE_TAKES:
                self.world.forbid(f"{execution.name} was missed, and is started")
        twice = [runs for runs in by_moment.values() if len(runs) > 1]
        if twice:
            self.world.forbid(f"{twice} are of one moment each")
        now = self.world.now() - A_WRITE_TAKES
        last = now.replace(hour=now.hour // HOURS * HOURS, minute=0, second=0, microsecond=0)
        is_due = "s" in self._since and last > self._since["s"]
        if is_due and ("s", iso(last)) not in by_moment:
            self.world.forbid(f"nothing is started for {last}, but {sorted(by_moment)}")

    def _goes_on(self) -> None:
        """Require that new updates start runs, once what is off is resumed."""
        self.world.pass_time(3600)  # so that none of them is one too many
        for route in WHENS:
            self.resume(route)
        before = dict(self._executed)
        for dataset in BOTH:
            self._send(dataset)
        calm_down(self.world, events=self.events)
        for route in ("s", "t"):
            if self._executed[route] == before.get(route, 0):
                self.world.forbid(f"updates start no run of {route} any more: {self._item(route)}")
