"""Where an attempt at an execution stands, and where a redrive goes on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.stepfunctions.parser.asl.component.common.flow.start_at import StartAt
from moto.stepfunctions.parser.asl.component.eval_component import EvalComponent
from moto.stepfunctions.parser.asl.component.program.program import Program
from moto.stepfunctions.parser.asl.component.program.states import States
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.job import (
    Job,
    JobClosed,
    JobPool,
)
from moto.stepfunctions.parser.asl.eval.environment import Environment


@dataclass(frozen=True)
class Resumption:
    """What a redrive needs of one set of states.

    It goes on at `state` (None: all of them are done) with `data`, that state's input or the last
    one's output. If the state is an inline Map, `outputs` holds the results of its succeeded
    iterations and `begun` where the others stopped, both by the iteration's index.
    """

    state: str | None
    data: Any
    outputs: Mapping[int, Any] = field(default_factory=dict)
    begun: Mapping[int, "Resumption"] = field(default_factory=dict)


class Place:
    """The state that a set of states is at, as its events tell."""

    def __init__(self, env: Environment, start: str, earlier: Resumption | None) -> None:
        self._env = env
        self._state = earlier.state if earlier else start
        self._data = env.states.get_input()
        self._earlier = earlier
        self._reenters = earlier is not None
        self._iterations: Iterations | None = None

    def reenters(self) -> bool:
        """Whether the state to be entered next was entered by an earlier attempt already."""
        reenters, self._reenters = self._reenters, False
        return reenters

    def advance(self) -> None:
        """The state was left: the next one's turn."""
        self._state = self._env.next_state_name if self._env.is_running() else None
        self._data = self._env.states.get_input()
        self._earlier = self._iterations = None

    def iterate(self, component: EvalComponent, items: list[Any]) -> "Iterations":
        """Begin the Map that this place is at; only its first run builds on an earlier attempt."""
        earlier, self._earlier = self._earlier, None
        self._iterations = Iterations(component, items, earlier)
        return self._iterations

    def resumption(self) -> Resumption:
        """Where a later attempt goes on."""
        if self._iterations:
            return Resumption(self._state, self._data, *self._iterations.progress())
        return self._earlier or Resumption(self._state, self._data)


class Steps(Program):  # type: ignore[misc] # untyped library
    """One walk through a set of states, from the beginning or from where an earlier one stopped."""

    def __init__(self, states: States, start: str, query_language: Any, earlier: Resumption | None):
        super().__init__(query_language, StartAt(start), states, timeout_seconds=None)
        self._earlier = earlier
        self.place: Place | None = None

    def _get_state(self, state_name: str) -> Any:
        """The state to be entered next."""
        self._env.attempt.transit()
        return super()._get_state(state_name)

    def eval(self, env: Environment) -> None:
        """Walk in the calling thread (the engine's own program starts another)."""
        self._env = env
        env.next_state_name = self.start_at.start_at_name
        if self._earlier:
            env.states.reset(self._earlier.data)
        self.place = env.stand(self._earlier, self.start_at.start_at_name)
        if self._earlier:
            if self._earlier.state is None:
                env.set_ended()
                return
            env.next_state_name = self._earlier.state
        EvalComponent.eval(self, env)


class Iterations(JobPool):  # type: ignore[misc] # untyped library
    """One run of an inline Map; those that succeeded in an earlier attempt do not run again."""

    def __init__(self, component: Any, items: list[Any], earlier: Resumption | None) -> None:
        super().__init__(job_program=None, job_inputs=items)
        outputs = earlier.outputs if earlier else {}
        begun = earlier.begun if earlier else {}
        self._open_jobs = [
            Job(index, steps_of_iteration(component, begun.get(index)), item)
            for index, item in reversed(list(enumerate(items)))
            if index not in outputs
        ]
        self._closed_jobs = {JobClosed(index, output) for index, output in outputs.items()}
        self._earlier_begun = begun
        self._begun: dict[int, Steps] = {}
        self._ended: set[int] = set()

    def next_job(self) -> Job | None:
        """The next iteration to run, if any is left."""
        job = super().next_job()
        if job:
            self._begun[job.job_index] = job.job_program
        return job

    def close_job(self, job: Job) -> None:
        """Take note of how an iteration ended."""
        self._ended.add(job.job_index)
        super().close_job(job)

    def unfinished(self) -> list[int]:
        """Indices of the iterations that were begun and have not ended."""
        return sorted(set(self._begun) - self._ended)

    def progress(self) -> tuple[dict[int, Any], dict[int, Resumption]]:
        """The results so far, and where the iterations without one stand."""
        with self._mutex:
            outputs = {closed.job_index: closed.job_output for closed in self._closed_jobs}
        begun = dict(self._earlier_begun)
        begun.update(
            (index, steps.place.resumption()) for index, steps in self._begun.items() if steps.place
        )
        return outputs, {index: place for index, place in begun.items() if index not in outputs}


def steps_of_iteration(component: Any, earlier: Resumption | None) -> Steps:
    """The walk through a Map's own states that is one iteration."""
    return Steps(
        component._states, component._start_at.start_at_name, component._query_language, earlier
    )
