"""The model: everything that may happen, in any order, as a Hypothesis state machine."""

import json
import os
from datetime import timedelta
from typing import Any

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.model.calm import calm_down, check_ends, check_probe, run_all
from tests.model.functions import Functions
from tests.model.moves import (
    BADLY,
    FOLDERS,
    MOST_DROPS,
    OTHERS,
    PIPELINES,
    POINTS,
    QUEUES,
    ROUTES,
    THEN,
    TROUBLES,
    WHICH,
    Moves,
    completed,
    one_of,
)
from tests.model.quantemplate import STYLES
from tests.model.world import World


class Model(Moves, RuleBasedStateMachine):
    """Files, people, functions, Step Functions and Quantemplate do what they may."""

    functions: Functions  # set by the test
    steps = histories = 0
    calms_down = True

    @initialize(
        skew=st.sampled_from([0, 0, -10, 10, -7200, 7200]),
        style=st.sampled_from(["with a zone", "with a zone", *STYLES]),
        dated=st.booleans(),
        newest_first=st.booleans(),
        events=st.booleans(),
        quick=st.booleans(),
        hears=st.booleans(),
        folders=st.lists(FOLDERS, max_size=4),
    )
    def begin(
        self,
        skew: int,
        style: str,
        dated: bool,  # noqa: FBT001
        newest_first: bool,  # noqa: FBT001
        events: bool,  # noqa: FBT001
        quick: bool,  # noqa: FBT001
        hears: bool,  # noqa: FBT001
        folders: list[str],
    ) -> None:
        """Begin with three routes; Quantemplate's clock may differ from ours, or tell nothing."""
        self.world = World(self.functions, timedelta(seconds=skew), hears=hears)
        self.world.quantemplate.newest_first = newest_first
        self.world.quantemplate.style, self.world.quantemplate.dated = style, dated
        self.events, self.quick = events, quick
        self.drops: list[dict[str, Any]] = []
        self._mend_routes()
        for folder in folders:
            self._drop(folder, "x", 1)

    # --- files ----------------------------------------------------------------------------------
    @precondition(lambda self: len(self.drops) < MOST_DROPS)
    @rule(folder=FOLDERS, name=st.sampled_from(["x", "y"]), twice=st.booleans())
    def drop(self, folder: str, name: str, twice: bool) -> None:  # noqa: FBT001
        """A file, or a new version of it, is dropped."""
        self._drop(folder, name, 1 + twice)

    @precondition(lambda self: 0 < len(self.drops) < MOST_DROPS)
    @rule(which=WHICH, by_hand=st.booleans())
    def again(self, which: int, by_hand: bool) -> None:  # noqa: FBT001
        """A drop's event comes once more, or a person starts a new run with an old input."""
        if not by_hand:
            self.world.start(one_of(self.drops, which))
            return
        first = one_of(self._executions(), which)
        self.drops.append(self.drops[0])
        self.world.states.start_execution("", f"rerun-{len(self.drops)}", json.dumps(first.input))

    # --- functions ------------------------------------------------------------------------------
    @precondition(lambda self: self.world.invocations)
    @rule(which=WHICH, steps=st.sampled_from([1, 1, 2, 3, 5, 8, 40]), trouble=TROUBLES)
    def go_on(self, which: int, steps: int, trouble: str) -> None:
        """One function goes on for some calls; the last of them may have trouble."""
        self.world.go_on(one_of(self.world.invocations, which), steps, trouble)

    @rule(point=POINTS, then=THEN)
    def go_on_until(self, point: str, then: str) -> None:
        """All go on, and time passes, until one stands before a call; then it meets something."""
        invocation = self._stands_before(point)
        if invocation:
            self._meets(invocation, then)

    @rule(point=POINTS, then=THEN)
    def go_on_until_again(self, point: str, then: str) -> None:
        """The same once more: it brings the histories forward."""
        self.go_on_until(point, then)

    @rule(
        trouble=st.sampled_from(["", "refused", "lost", "step, kill", "kill"]), late=st.booleans()
    )
    def execute_meets(self, trouble: str, late: bool) -> None:  # noqa: FBT001
        """The next Execute has trouble, and its run may be listed late."""
        invocation = self._stands_before("execute p-")
        if invocation:
            self.world.quantemplate.late_by = timedelta(seconds=100 * late)
            self._meets(invocation, trouble)

    @rule(then=st.sampled_from(["abort, tell", "abort, tell, redrive", "give up", "time out"]))
    def upload_meets(self, then: str) -> None:
        """An execution ends, or tries again, during its upload."""
        self.go_on_until("upload ends", then)

    @rule(
        point=st.sampled_from(["query tickets", "write Delete tickets", "queues, Update tickets"]),
        then=st.sampled_from(["others", "give up, others"]),
    )
    def take_meets(self, point: str, then: str) -> None:
        """A function is overtaken while it asks for a turn or grants one."""
        self.go_on_until(point, then)

    @precondition(lambda self: len(self.drops) < MOST_DROPS)
    @rule(folder=FOLDERS)
    def execute_is_lost_after_a_quick_run(self, folder: str) -> None:
        """A run ends within a second, and the next file's Execute gets lost on its way."""
        self._drop(folder, "x", 1)
        if self._stands_before("execute p-"):
            run_all(self.world)
            for run in self._going():
                self.world.quantemplate.end(run, "Succeeded")
            self._drop(folder, "y", 1)
            self._to_next_wake()
            self.go_on_until("execute p-", "refused")

    @precondition(lambda self: len(self.drops) < MOST_DROPS)
    @rule(folder=FOLDERS, older=st.booleans())
    def execute_is_lost_after_a_run_by_hand(self, folder: str, older: bool) -> None:  # noqa: FBT001
        """Our user runs the pipeline by hand; Execute is lost, after an older copy of the list."""
        pipeline, world = ROUTES[folder][0], self.world
        if not world.may_be_executed_by_hand(pipeline):
            return
        world.quantemplate.executed_by_hand(pipeline)
        world.quantemplate.end(world.quantemplate.runs[-1], "Succeeded")
        self._drop(folder, "x", 1)
        if older and self._stands_before("execute p-"):
            run_all(world)
            for run in self._going():
                world.quantemplate.end(run, "Succeeded")
            self._drop(folder, "y", 1)
            self._to_next_wake()
            if self._stands_before("write Update queues SET #holder.#mark"):
                world.quantemplate.behind = timedelta(seconds=100)
        self.go_on_until("execute p-", "refused")

    @precondition(lambda self: len(self.drops) < MOST_DROPS)
    @rule()
    def routes_clash(self) -> None:
        """A person lets two routes use one dataset, and both get a file."""
        self._set_route("b", ("p-4", "d-1", ""))
        for folder in ("a", "b"):
            self._drop(folder, "x", 1)
        run_all(self.world)

    @precondition(lambda self: len(self.world.invocations) > 1)
    @rule(which=WHICH)
    def others_go_on(self, which: int) -> None:
        """All functions but one go on, to their ends."""
        self._others_go_on(one_of(self.world.invocations, which))

    @precondition(lambda self: self.world.invocations)
    @rule()
    def all_go_on(self) -> None:
        """All functions go on to their ends."""
        run_all(self.world)

    @precondition(lambda self: self.world.invocations)
    @rule(which=WHICH, then=THEN)
    def meets(self, which: int, then: str) -> None:
        """A function meets something, wherever it stands."""
        self._meets(one_of(self.world.invocations, which), then)

    # --- executions -----------------------------------------------------------------------------
    @precondition(lambda self: self._executions("RUNNING"))
    @rule(which=WHICH, aborted=st.booleans())
    def execution_ends(self, which: int, aborted: bool) -> None:  # noqa: FBT001
        """A person stops a run, or its time is over."""
        execution = one_of(self._executions("RUNNING"), which)
        (self.world.states.abort if aborted else self.world.states.time_out)(execution)

    @precondition(lambda self: self._executions(*BADLY))
    @rule(which=WHICH)
    def redrive(self, which: int) -> None:
        """A person redrives a run."""
        self.world.states.redrive(one_of(self._executions(*BADLY), which))

    @precondition(lambda self: self.world.states.ends)
    @rule(which=WHICH, again=st.booleans(), at_once=st.booleans())
    def end_is_told(self, which: int, again: bool, at_once: bool) -> None:  # noqa: FBT001
        """A status event comes, now or late, once or again."""
        end = one_of(self.world.states.ends, which)
        if not again:
            self.world.states.ends.remove(end)
        told = self.world.invoke("run_ended", {"detail": end})
        while at_once and not told.ended:
            self.world.step(told)

    @precondition(lambda self: self.world.states.ends)
    @rule(which=WHICH)
    def end_is_not_told(self, which: int) -> None:
        """A status event is lost."""
        self.world.harmed = True
        self.world.states.ends.remove(one_of(self.world.states.ends, which))

    # --- time and operators ---------------------------------------------------------------------
    @rule(seconds=st.sampled_from([1, 1, 6, 61, 130, 500, 1000, 50_000]))
    def time_passes(self, seconds: int) -> None:
        """Marks lapse, functions meet their time-outs, waits end."""
        self.world.pass_time(seconds)

    @rule()
    def sweep(self) -> None:
        """The sweep begins."""
        self.world.invoke("sweep_queues", {})

    @rule(
        what=st.sampled_from(["pause", "resume", "resume", "route", "route", "mend", "mend"]),
        queue=QUEUES,
        folder=FOLDERS,
        other=st.sampled_from(OTHERS),
    )
    def operator(
        self, what: str, queue: str, folder: str, other: tuple[str, str, str] | None
    ) -> None:
        """A person pauses or resumes a queue, changes or deletes a route, or mends it again."""
        if what in ("pause", "resume"):
            self.world.invoke("pause_queue", {what: queue})
        else:
            self._set_route(folder, ROUTES[folder] if what == "mend" else other)

    # --- Quantemplate ---------------------------------------------------------------------------
    @precondition(lambda self: self._going())
    @rule(which=WHICH, status=st.sampled_from([*["Succeeded"] * 3, "Failed", "Cancelled", "Odd"]))
    def run_ends(self, which: int, status: str) -> None:
        """A run ends, perhaps with a status that nobody knows."""
        self.world.quantemplate.end(one_of(self._going(), which), status)

    @rule(
        what=st.sampled_from(
            [
                *("somebody runs", "by hand", "by hand", "late", "late", "behind", "behind"),
                *("down", "up", "up", "rejects", "gone"),
            ]
        ),
        pipeline=PIPELINES,
        seconds=st.sampled_from([5, 100]),
    )
    def quantemplate(self, what: str, pipeline: str, seconds: int) -> None:
        """Others run, lists are late or go backwards; Quantemplate is down or rejects us."""
        quantemplate = self.world.quantemplate
        if what == "somebody runs":
            quantemplate.somebody_executes(pipeline)
        elif what == "by hand":
            if self.world.may_be_executed_by_hand(pipeline):
                quantemplate.executed_by_hand(pipeline)
        elif what == "late":
            quantemplate.late_by = timedelta(seconds=seconds)
        elif what == "behind":
            quantemplate.behind = timedelta(seconds=seconds if seconds > 5 else 0)
        else:
            quantemplate.gone = what == "gone"
            quantemplate.down, quantemplate.rejects = what == "down", what == "rejects"

    @precondition(lambda self: self.world.quantemplate.runs)
    @rule(
        which=WHICH,
        ends=st.sampled_from(["Succeeded", "Succeeded", "Failed", ""]),
        times=st.sampled_from([1, 1, 2]),
        forged=st.booleans(),
        at_once=st.booleans(),
    )
    def event_comes(
        self,
        which: int,
        ends: str,
        times: int,
        forged: bool,  # noqa: FBT001
        at_once: bool,  # noqa: FBT001
    ) -> None:
        """An event of a run comes: with its end or without, once or twice, or it is a forgery."""
        run = one_of(self.world.quantemplate.runs, which)
        if ends and not forged and run.going:
            self.world.quantemplate.end(run, ends)
        for _ in range(times):
            told = self.world.hear(completed(run))
            while at_once and not told.ended:
                self.world.step(told)

    @rule(
        ends=st.sampled_from(["Succeeded", "Succeeded", "Failed", ""]),
        point=st.sampled_from(["begin", "listener#", "answer", "heard_last", "heard"]),
        then=THEN,
    )
    def event_wakes(self, ends: str, point: str, then: str) -> None:
        """All go on until a run waits for an event; one comes, and meets something on its way."""
        run = self._waited_for()
        if run:
            if ends:
                self.world.quantemplate.end(run, ends)
            told = self.world.hear(completed(run))
            while point not in told.at and not told.ended:
                self.world.step(told)
            if not told.ended:
                self._meets(told, then)

    @rule(name=st.sampled_from(["PipelineCompleted", "DatasetUpdated", "Odd"]))
    def event_of_others(self, name: str) -> None:
        """An event comes of what is nobody's here."""
        payload = {"pipelineId": "p-x", "pipelineExecutionId": "e-x", "datasetId": "d-1"}
        self.world.hear({"name": name, "id": "1", "payload": payload})

    # --- what must hold -------------------------------------------------------------------------
    @invariant()
    def holds(self) -> None:
        """Between any two rules."""
        if hasattr(self, "world"):
            self.world.check()

    def check_rest(self) -> None:
        """Require what else must hold once everything has calmed down."""

    def teardown(self) -> None:
        """Everything calms down: all files get their turns, and nothing is left."""
        if not hasattr(self, "world"):
            return
        world = self.world
        try:
            if self.calms_down and not world.violation:
                ended = {e.name for e in self._executions("FAILED")}
                self._mend_routes()
                calm_down(world, events=self.events)
                check_ends(world, ended)
                check_probe(world, list(ROUTES), events=self.events)
                self.check_rest()
        finally:
            note("\n".join(world.log))
            Model.steps += world.steps
            Model.histories += 1
            if "MODEL_PROGRESS" in os.environ and Model.histories % 100 == 0:
                print(f"{Model.histories} histories, {Model.steps} calls", flush=True)  # noqa: T201
            world.close()
