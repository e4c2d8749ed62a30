"""One attempt at an execution, on moto's state machine engine."""

import contextvars
import datetime
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from moto.stepfunctions.parser.api import StateMachineType
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.evaluation_details import AWSExecutionDetails
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventHistoryContext
from moto.stepfunctions.parser.asl.eval.program_state import ProgramError
from moto.stepfunctions.parser.asl.eval.variable_store import VariableStore
from moto.stepfunctions.parser.utils import TMP_THREADS

from emulator.history import History, PlacedContext, Recorder
from emulator.resumption import Place, Resumption, Steps
from emulator.state_machine_definition import compile_definition
from emulator.task_tokens import AttemptTokens, TaskTokens


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended by itself."""

    status: str
    output: Any = None
    error: str | None = None
    cause: str | None = None


@dataclass(frozen=True)
class Plan:
    """What an attempt runs, until `withdrawn` says that its machine is being deleted."""

    definition: str
    account: str
    region: str
    role_arn: str
    context: dict[str, Any]
    history: History
    entering: Callable[[], None]  # waits until a state may be entered
    previous_event: int
    resumption: Resumption | None
    withdrawn: Callable[[], bool]


class AttemptEnvironment(Environment):  # type: ignore[misc] # untyped library
    """The engine's evaluation state; frames know their attempt, their place and their Map item."""

    attempt: "Attempt"
    place: Place
    event_history_context: EventHistoryContext

    def stand(self, earlier: Resumption | None, start: str) -> Place:
        """Stand at the beginning of a set of states, or where an earlier attempt stopped."""
        self.place = Place(self, start, earlier)
        self.event_history_context = PlacedContext(self.event_history_context, self.place)
        return self.place

    @classmethod
    def as_frame_of(
        cls, env: "AttemptEnvironment", event_history_frame_cache: EventHistoryContext | None = None
    ) -> "AttemptEnvironment":
        """A frame with the same variables."""
        return cls.as_inner_frame_of(env, env.variable_store, event_history_frame_cache)

    @classmethod
    def as_inner_frame_of(
        cls,
        env: "AttemptEnvironment",
        variable_store: VariableStore,
        event_history_frame_cache: EventHistoryContext | None = None,
    ) -> "AttemptEnvironment":
        """A frame with variables of its own."""
        frame: AttemptEnvironment = super().as_inner_frame_of(
            env, variable_store, event_history_frame_cache
        )
        frame.attempt = env.attempt
        frame.place = env.place
        outer = env.states.context_object.context_object_data
        if "Map" in outer:
            frame.states.context_object.context_object_data["Map"] = outer["Map"]
        return frame

    def abort(self) -> None:
        """Stop this frame and all in it; what they still do is not recorded."""
        self.event_manager = self.attempt.silent
        for frame in list(self._frames):
            frame.abort()
        self.halt()

    def halt(self) -> None:
        """Let nothing more be evaluated in this frame and all in it."""
        self.set_stop(datetime.datetime.now(datetime.UTC), cause=None, error=None)


class Attempt:
    """Runs the states of a plan in a thread of its own, and tells how that ended."""

    def __init__(
        self, plan: Plan, tokens: TaskTokens, ended: Callable[["Attempt", Outcome], None]
    ) -> None:
        program = compile_definition(plan.definition)
        self._steps = Steps(
            program.states, program.start_at.start_at_name, program.query_language, plan.resumption
        )
        self._recorder = Recorder(plan.history, self._outgrown, plan.entering)
        self.silent = Recorder(plan.history, self._outgrown, plan.entering)
        self.silent.closed = True
        self._tokens = AttemptTokens(tokens, plan.context["StateMachine"]["Id"])
        self._ended = ended
        self._longest_history = plan.history.longest
        self._env = AttemptEnvironment(
            aws_execution_details=AWSExecutionDetails(plan.account, plan.region, plan.role_arn),
            execution_type=StateMachineType.STANDARD,
            context=plan.context,
            event_history_context=EventHistoryContext(plan.previous_event),
            cloud_watch_logging_session=None,
            activity_store={},
        )
        self._env.attempt = self
        self._env.event_manager = self._recorder
        self._env.callback_pool_manager = self._tokens
        self._env._is_frame = True  # the end of an execution is recorded by its owner, not here
        self._resumption = plan.resumption
        self._withdrawn = plan.withdrawn
        self.timeout_seconds: int | None = (
            program.timeout_seconds.timeout_seconds if program.timeout_seconds else None
        )

    @property
    def last_event(self) -> int:
        """Id of the event that the attempt's last one followed from."""
        return int(self._env.event_history_context.last_published_event_id)

    def start(self) -> None:
        """Begin; returns at once."""
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._run,), daemon=True).start()

    def cut_off(self) -> Resumption | None:
        """End the attempt at once and say where it stood; functions that run are left running."""
        self._recorder.closed = True
        resumption = self._steps.place.resumption() if self._steps.place else self._resumption
        self._env.halt()
        self._tokens.close_all()
        return resumption

    def transit(self) -> None:
        """Enter another state; where the machine is being deleted, the execution ends instead."""
        if self._withdrawn():
            self._ended(self, Outcome("ABORTED"))

    def _outgrown(self) -> None:
        """End the attempt because its history has.

        https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-history-limit
        """
        most = self._longest_history()
        cause = f"The execution reached the maximum number of history events ({most})."
        self._ended(self, Outcome("FAILED", error="States.Runtime", cause=cause))

    def _run(self) -> None:
        self._steps.eval(self._env)
        TMP_THREADS.clear()  # the engine keeps every thread that it ever started
        state = self._env.program_state()
        if isinstance(state, ProgramError):
            failure = state.error or {}
            outcome = Outcome("FAILED", error=failure.get("error"), cause=failure.get("cause"))
        else:
            outcome = Outcome("SUCCEEDED", output=self._env.states.get_input())
        self._ended(self, outcome)
