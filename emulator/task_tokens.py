"""Task tokens: who waits for which, and which are used up."""

import json
import threading

from moto.stepfunctions.parser.asl.eval.callback.callback import (
    CallbackEndpoint,
    CallbackOutcome,
    CallbackOutcomeFailure,
    CallbackOutcomeSuccess,
    CallbackPoolManager,
)

from emulator.service_error import ServiceError


class TaskTokens:
    """All tokens that were ever given out.

    AWS documentation: "SendTaskSuccess", errors. A token that was never given out is InvalidToken;
    one whose task is over is TaskTimedOut, whether it was answered, timed out, failed, was retried
    with a new token, or its execution ended: AWS does not tell these apart either.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, CallbackEndpoint] = {}
        self._closed: set[str] = set()
        self._machines: dict[str, str] = {}

    def open(self, token: str, endpoint: CallbackEndpoint, machine: str) -> None:
        """From now on an answer to `token`, of this state machine, goes to `endpoint`."""
        with self._lock:
            self._open[token] = endpoint
            self._machines[token] = machine

    def machine_of(self, token: str) -> str:
        """ARN of the state machine that gave out a token; "*" where none did."""
        return self._machines.get(token, "*")

    def close(self, token: str) -> None:
        """Refuse every further answer to `token`."""
        with self._lock:
            self._open.pop(token, None)
            self._closed.add(token)

    def succeed(self, token: str, output: str) -> None:
        """Complete the waiting task with `output` (JSON); raises ServiceError."""
        try:
            json.loads(output)
        except ValueError as error:
            raise ServiceError("InvalidOutput", f"Invalid Output: '{error}'") from None
        self._answer(token, CallbackOutcomeSuccess(callback_id=token, output=output))

    def fail(self, token: str, error: str | None, cause: str | None) -> None:
        """Fail the waiting task; raises ServiceError."""
        self._answer(token, CallbackOutcomeFailure(callback_id=token, error=error, cause=cause))

    def _answer(self, token: str, outcome: CallbackOutcome) -> None:
        with self._lock:
            endpoint = self._waiting(token)
            del self._open[token]
            self._closed.add(token)
            endpoint.notify(outcome)

    def _waiting(self, token: str) -> CallbackEndpoint:
        if token in self._closed:
            raise ServiceError(
                "TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'"
            )
        if token not in self._open:
            raise ServiceError("InvalidToken", "Invalid Token: 'Invalid token'")
        return self._open[token]


class AttemptTokens(CallbackPoolManager):  # type: ignore[misc] # untyped library
    """The tokens of one attempt at an execution, as the engine asks for them."""

    def __init__(self, tokens: TaskTokens, machine: str) -> None:
        super().__init__(activity_store={})
        self._tokens = tokens
        self._machine = machine

    def add(self, callback_id: str) -> CallbackEndpoint:
        """Give out `callback_id`."""
        endpoint = super().add(callback_id)
        self._tokens.open(callback_id, endpoint, self._machine)
        return endpoint

    def close(self, callback_id: str) -> None:
        """The task that waited for `callback_id` is over."""
        self._tokens.close(callback_id)
        if endpoint := self._pool.pop(callback_id, None):
            endpoint.interrupt_all()

    def close_all(self) -> None:
        """The attempt is over: nothing waits any more."""
        for callback_id in list(self._pool):
            self.close(callback_id)
