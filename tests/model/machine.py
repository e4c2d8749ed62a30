"""The model: everything that may happen, in any order, as a Hypothesis state machine."""

import json
from datetime import timedelta
from typing import Any

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.model.calm import calm_down, check_ends, check_probe, run_all
from tests.model.functions import Functions
from tests.model.invocations import Invocation
from tests.model.states import Execution
from tests.model.world import World

MOST_DROPS = 8
WHICH = st.integers(0, 5)
FOLDERS = st.sampled_from(["a", "b", "c"])
# Pipeline, dataset and queue. Those of "a" have a queue of their own, "b" and "c" share one.
ROUTES = {
    "a": ("p-1", "d-1", ""),
    "b": ("p-2", "d-2", "shared"),
    "c": ("p-3", "d-2", "shared"),
}
OTHERS = (
    None,
    ("p-1", "d-1", "shared"),
    ("p-4", "d-3", ""),
    ("p-2", "d-2", "other"),
    ("p-4", "d-1", ""),
)
QUEUES = st.sampled_from(["p-1", "shared"])
PIPELINES = st.sampled_from(["p-1", "p-2", "p-3"])
# What a call may meet. Each service has those that it can have, and no trouble in the others.
TROUBLES = st.sampled_from(
    [*[""] * 6, "refused", "lost", "lost", "twice", "conflict", "lag", "unsent", "throttled"]
)
POINTS = st.sampled_from(
    [
        "write Update queues SET #holder.#mark",
        "upload begins",
        "upload ends",
        "write Update queues SET #last_post",
        "execute",
        "SET #execution",
        "REMOVE #holder",
        "write Delete tickets",
        "answer",
        "describe",
        "list",
        "return",
    ]
)


class Model(RuleBasedStateMachine):
    """Files, people, functions, Step Functions and Quantemplate do what they may."""

    functions: Functions  # set by the test
    steps = 0

    @initialize(
        skew=st.sampled_from([0, 0, -4, 4]), newest_first=st.booleans(), events=st.booleans()
    )
    def begin(self, skew: int, newest_first: bool, events: bool) -> None:  # noqa: FBT001
        """Begin with three routes; Quantemplate's clock may differ from ours."""
        self.world = World(self.functions, timedelta(seconds=skew))
        self.world.quantemplate.newest_first = newest_first
        self.events = events
        self.drops: list[dict[str, Any]] = []
        for folder in ROUTES:
            self._set_route(folder, ROUTES[folder])

    # --- files ----------------------------------------------------------------------------------
    @precondition(lambda self: len(self.drops) < MOST_DROPS)
    @rule(folder=FOLDERS, name=st.sampled_from(["x", "y"]), twice=st.booleans())
    def drop(self, folder: str, name: str, twice: bool) -> None:  # noqa: FBT001
        """A file, or a new version of it, is dropped."""
        event = self.world.drop(f"{folder}/{name}.csv")
        self.drops.append(event)
        for _ in range(1 + twice):
            self.world.start(event)

    @precondition(lambda self: 0 < len(self.drops) < MOST_DROPS)
    @rule(which=WHICH)
    def drop_comes_again(self, which: int) -> None:
        """The event of an earlier drop comes once more."""
        self.world.start(_one(self.drops, which))

    @precondition(lambda self: 0 < len(self.drops) < MOST_DROPS)
    @rule(which=WHICH)
    def rerun(self, which: int) -> None:
        """A person starts a new execution with an old one's input."""
        first = _one(self._executions(), which)
        self.drops.append(self.drops[0])
        self.world.states.start_execution("", f"rerun-{len(self.drops)}", json.dumps(first.input))

    # --- functions ------------------------------------------------------------------------------
    @precondition(lambda self: self.world.invocations)
    @rule(which=WHICH, steps=st.sampled_from([1, 1, 2, 3, 5, 8, 40]), trouble=TROUBLES)
    def go_on(self, which: int, steps: int, trouble: str) -> None:
        """One function goes on for some calls; the last of them may have trouble."""
        invocation = _one(self.world.invocations, which)
        for left in reversed(range(steps)):
            self.world.step(invocation, trouble if not left else "")
            if invocation.ended:
                return

    @precondition(lambda self: self.world.invocations)
    @rule(point=POINTS)
    def go_on_until(self, point: str) -> None:
        """All functions go on until one stands before a certain call."""
        world = self.world
        for _ in range(60):
            if not world.invocations or any(point in one.at for one in world.invocations):
                return
            world.step(world.invocations[0])

    @precondition(lambda self: self.world.invocations)
    @rule()
    def all_go_on(self) -> None:
        """All functions go on to their ends."""
        run_all(self.world)

    @precondition(lambda self: self.world.invocations)
    @rule(which=WHICH)
    def kill(self, which: int) -> None:
        """A function's process dies."""
        self.world.kill(_one(self.world.invocations, which))

    @precondition(lambda self: self._waiting())
    @rule(which=WHICH)
    def give_up(self, which: int) -> None:
        """Step Functions hears no more of a function that goes on, and tries the state again."""
        self.world.harmed = True
        self.world.states.give_up(_one(self._waiting(), which))

    # --- executions -----------------------------------------------------------------------------
    @precondition(lambda self: self._executions("RUNNING"))
    @rule(which=WHICH)
    def abort(self, which: int) -> None:
        """A person stops an execution."""
        self.world.states.abort(_one(self._executions("RUNNING"), which))

    @precondition(lambda self: self._executions("RUNNING"))
    @rule(which=WHICH)
    def time_out(self, which: int) -> None:
        """An execution's time is over."""
        self.world.states.time_out(_one(self._executions("RUNNING"), which))

    @precondition(lambda self: self._executions("FAILED", "ABORTED", "TIMED_OUT"))
    @rule(which=WHICH)
    def redrive(self, which: int) -> None:
        """A person redrives an execution."""
        ended = self._executions("FAILED", "ABORTED", "TIMED_OUT")
        self.world.states.redrive(_one(ended, which))

    @precondition(lambda self: self.world.states.ends)
    @rule(which=WHICH, again=st.booleans())
    def end_is_told(self, which: int, again: bool) -> None:  # noqa: FBT001
        """A status event comes, now or late, once or again."""
        end = _one(self.world.states.ends, which)
        if not again:
            self.world.states.ends.remove(end)
        self.world.invoke("run_ended", {"detail": end})

    @precondition(lambda self: self.world.states.ends)
    @rule(which=WHICH)
    def end_is_not_told(self, which: int) -> None:
        """A status event is lost."""
        self.world.harmed = True
        self.world.states.ends.remove(_one(self.world.states.ends, which))

    # --- time and operators ---------------------------------------------------------------------
    @rule(seconds=st.sampled_from([1, 1, 6, 61, 130, 500, 1000, 50_000]))
    def time_passes(self, seconds: int) -> None:
        """Marks lapse, functions meet their time-outs, waits end."""
        self.world.pass_time(seconds)

    @rule()
    def next_wait_ends(self) -> None:
        """Time passes to the end of the next wait."""
        wake_at = self.world.next_wake()
        if wake_at:
            self.world.pass_time(max((wake_at - self.world.now()).total_seconds(), 0))

    @rule()
    def sweep(self) -> None:
        """The sweep begins."""
        self.world.invoke("sweep_queues", {})

    @rule(queue=QUEUES, pause=st.booleans())
    def pause_or_resume(self, queue: str, pause: bool) -> None:  # noqa: FBT001
        """A person pauses a queue, or resumes it."""
        self.world.invoke("pause_queue", {"pause" if pause else "resume": queue})

    @rule(folder=FOLDERS, other=st.sampled_from(OTHERS))
    def route_changes(self, folder: str, other: tuple[str, str, str] | None) -> None:
        """A route is deleted, or names another pipeline, dataset or queue."""
        self._set_route(folder, other)

    @rule(folder=FOLDERS)
    def route_is_mended(self, folder: str) -> None:
        """A route is as it was at first."""
        self._set_route(folder, ROUTES[folder])

    # --- Quantemplate ---------------------------------------------------------------------------
    @precondition(lambda self: self._going())
    @rule(which=WHICH, status=st.sampled_from(["Succeeded", "Succeeded", "Failed", "Cancelled"]))
    def run_ends(self, which: int, status: str) -> None:
        """A run ends."""
        self.world.quantemplate.end(_one(self._going(), which), status)

    @rule(pipeline=PIPELINES)
    def somebody_else_runs(self, pipeline: str) -> None:
        """Somebody else makes a run."""
        self.world.quantemplate.somebody_executes(pipeline)

    @rule(seconds=st.sampled_from([5, 100]))
    def next_run_is_listed_late(self, seconds: int) -> None:
        """The next new run will be missing from the list for some time."""
        self.world.quantemplate.late_by = timedelta(seconds=seconds)

    @rule(down=st.booleans(), rejects=st.booleans())
    def trouble_on_the_other_side(self, down: bool, rejects: bool) -> None:  # noqa: FBT001
        """Quantemplate is down or up again, rejects our credentials or takes them again."""
        self.world.quantemplate.down = down
        self.world.quantemplate.rejects = rejects and not down

    # --- what must hold -------------------------------------------------------------------------
    @invariant()
    def holds(self) -> None:
        """Between any two rules."""
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        """Everything calms down: all files get their turns, and nothing is left."""
        if not hasattr(self, "world"):
            return
        world = self.world
        try:
            if not world.violation:
                ended = {e.name for e in self._executions("FAILED")}
                for folder in ROUTES:
                    self._set_route(folder, ROUTES[folder])
                calm_down(world, events=self.events)
                check_ends(world, ended)
                check_probe(world, list(ROUTES), events=self.events)
        finally:
            note("\n".join(world.log))
            Model.steps += world.steps
            world.close()

    # --- small parts ----------------------------------------------------------------------------
    def _set_route(self, folder: str, parts: tuple[str, str, str] | None) -> None:
        self.world.log.append(f"route {folder}: {parts}")
        self.world.parameters.values.pop(f"/routes/{folder}", None)
        if parts:
            pipeline, dataset, queue = parts
            route = {"organisation_id": "c-1", "pipeline_id": pipeline, "dataset_id": dataset}
            route |= {"queue": queue} if queue else {}
            self.world.parameters.values[f"/routes/{folder}"] = json.dumps(route)

    def _executions(self, *statuses: str) -> list[Execution]:
        every = self.world.states.executions.values()
        return [one for one in every if not statuses or one.status in statuses]

    def _waiting(self) -> list[Execution]:
        return [one for one in self._executions("RUNNING") if one.invocation]

    def _going(self) -> list[Any]:
        return [run for run in self.world.quantemplate.runs if run.going]


def _one(some: list[Any], which: int) -> Any:
    """Return one of some, the oldest first."""
    return some[which % len(some)]


__all__ = ["Invocation", "Model"]
