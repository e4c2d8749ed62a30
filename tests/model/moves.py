"""What may happen, and the small moves of which the model's rules are made."""

import json
from typing import Any

from hypothesis import strategies as st

from tests.machine.machine import Call, Execution
from tests.model.invocations import Invocation
from tests.model.quantemplate import Run
from tests.model.world import World

MOST_DROPS = 6
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
BADLY = ("FAILED", "ABORTED", "TIMED_OUT")
# What a call may meet. Each service has those that it can have, and no trouble in the others.
SOME_TROUBLES = ["refused", "lost", "twice", "conflict", "lag", "unsent", "throttled"]
TROUBLES = st.sampled_from([""] * 7 + SOME_TROUBLES)
# What a function meets where it stands; or its execution does, while the function goes on.
THEN = st.sampled_from(
    [
        "stand",
        "others",
        "others",
        "kill",
        "step, kill",
        "give up",
        "give up, others",
        "abort",
        "abort, tell",
        "abort, redrive",
        "abort, tell, redrive",
        "time out",
        *SOME_TROUBLES,
    ]
)
POINTS = st.sampled_from(
    [
        "ConditionCheck queues, Update tickets",
        "query tickets",
        "write Delete tickets",
        "answer",
        "write Update queues SET #holder.#mark",
        "upload begins",
        "upload ends",
        "write Update queues SET #last_post",
        "execute",
        "execute",
        "SET #execution",
        "SET #holder.#kills",
        "REMOVE #holder",
        "describe",
        "list",
        "return",
    ]
)


class Moves:
    """The moves in a world."""

    world: World
    drops: list[dict[str, Any]]
    quick: bool  # whether runs end before anybody looks again

    def _set_route(self, folder: str, parts: tuple[str, str, str] | None) -> None:
        self.world.log.append(f"route {folder}: {parts}")
        self.world.parameters.values.pop(f"/routes/{folder}", None)
        if parts:
            pipeline, dataset, queue = parts
            route = {"organisation_id": "c-1", "pipeline_id": pipeline, "dataset_id": dataset}
            route |= {"queue": queue} if queue else {}
            self.world.parameters.values[f"/routes/{folder}"] = json.dumps(route)

    def _mend_routes(self) -> None:
        for folder, parts in ROUTES.items():
            self._set_route(folder, parts)

    def _drop(self, folder: str, name: str, times: int) -> None:
        event = self.world.drop(f"{folder}/{name}.csv")
        self.drops.append(event)
        for _ in range(times):
            self.world.start(event)

    def _executions(self, *statuses: str) -> list[Execution]:
        every = self.world.states.executions.values()
        return [one for one in every if not statuses or one.status in statuses]

    def _stands_before(self, point: str) -> Invocation | None:
        """Let all go on, and time pass, until one stands before a call, if ever."""
        world = self.world
        for _ in range(50):
            for invocation in world.invocations:
                if point in invocation.at:
                    return invocation
            wake_at = world.next_wake()
            if world.invocations:
                world.step(world.invocations[0])
            elif wake_at:
                if self.quick:
                    for run in self._going():
                        world.quantemplate.end(run, "Succeeded")
                self._to_next_wake()
            else:
                break
        return None

    def _waited_for(self) -> Run | None:
        """Let all go on, and time pass, until one waits for an event; return what it waits for."""
        world = self.world
        for _ in range(200):
            waiting = [e.name for e in self._executions("RUNNING") if e.state == "WaitForEvent"]
            found = [run for run in self._going() if run.made_for in waiting]
            if found or not (world.invocations or world.next_wake()):
                return next(iter(found), None)
            if world.invocations:
                world.step(world.invocations[0])
            else:
                self._to_next_wake()
        return None

    def _to_next_wake(self) -> None:
        """Let time pass to the end of the next wait."""
        wake_at = self.world.next_wake()
        if wake_at:
            self.world.pass_time(max((wake_at - self.world.now()).total_seconds(), 0))

    def _others_go_on(self, one: Invocation) -> None:
        """Let all but one go on."""
        for _ in range(100):
            others = [other for other in self.world.invocations if other is not one]
            if not others:
                return
            self.world.step(others[0])

    def _meets(self, invocation: Invocation, then: str) -> None:
        """Let a function meet something where it stands, or its execution."""
        world, call = self.world, invocation.call
        if then in SOME_TROUBLES:
            world.step(invocation, then)
        elif then == "others":
            self._others_go_on(invocation)
        elif then == "kill":
            world.kill(invocation)
        elif then == "step, kill":
            world.step(invocation)
            if not invocation.ended:
                world.kill(invocation)
        elif call and call.awaited:
            self._execution_meets(call, invocation, then)

    def _execution_meets(self, call: Call, invocation: Invocation, then: str) -> None:
        """Let an execution end or try again while its function goes on."""
        world, execution = self.world, call.execution
        if then == "time out":
            world.states.time_out(execution)
        elif "abort" in then:
            world.states.abort(execution)
        elif "give up" in then:
            world.harmed = True
            world.states.give_up(call)
            self._to_next_wake()
        if "tell" in then:
            world.invoke("run_ended", {"detail": world.states.ends.pop()})
        if "tell" in then or "others" in then:
            self._others_go_on(invocation)
        if "redrive" in then:
            world.states.redrive(execution)

    def _going(self) -> list[Run]:
        return [run for run in self.world.quantemplate.runs if run.going]


def completed(run: Run) -> dict[str, Any]:
    """Return the event of a run's end, whether it has ended or not."""
    ids = {"pipelineId": run.pipeline, "pipelineExecutionId": run.id, "status": "Succeeded"}
    return {"eventName": "PipelineCompleted", "eventId": run.id, "payload": ids}


def one_of(some: list[Any], which: int) -> Any:
    """Return one of some, the oldest first."""
    return some[which % len(some)]
