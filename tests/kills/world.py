"""The road, on which any call of a function can kill it.

The n-th call that one function makes (to AWS or to Quantemplate) can kill it, right before or right
after. A killed function makes no further call, whatever its `finally` says.
"""

from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from types import ModuleType
from typing import Any

import pytest
import requests
from botocore.client import BaseClient

import straight_through.aws
from local.quantemplate import Control
from tests.machine import service
from tests.machine.agenda import Clock
from tests.machine.machine import Execution, Killed
from tests.machine.road import Road

CLOCKS = (
    *("queue.turns", "queue.reconcile", "queue.pauses"),
    *("executing.execute_once", "executing.upload_and_execute", "executing.check_status"),
    "telling.ends",
)
SWEEP_AFTER = timedelta(seconds=90)  # longer than a mark lasts, and a grant stays unanswered
MOST_SWEEPS = 10


@dataclass(frozen=True)
class Kill:
    """Which call of which function kills it: the `number`th of its `invocation`th invocation.

    Right after a call is right before the next one; what comes after the last one has its number.
    """

    function: str
    invocation: int
    number: int


class World(Road):
    """The road, stepped through by hand."""

    def __init__(
        self, load: Callable[..., ModuleType], stand_in: Control, environment: dict[str, str]
    ) -> None:
        """Nothing is dropped yet."""
        super().__init__(load, stand_in, environment)
        self._function, self._dead, self._executing = "", False, False
        self.begin(None)

    def begin(
        self,
        kill: Kill | None,
        healing: str = "retry",
        *,
        lose_events: bool = False,
        **route: Any,
    ) -> None:
        """Begin anew, and now: nothing is dropped yet, and nothing in the table.

        `healing` is what becomes of an execution whose function was killed: retry or redrive;
        `route` are more fields of the route's document.
        """
        self.kill, self.healing, self.lose_events = kill, healing, lose_events
        self.calls: dict[str, list[list[str]]] = defaultdict(list)  # of each invocation
        self.killed = False
        self.set_up(**route)

    # --- functions ------------------------------------------------------------------------------
    def watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """See every call that a function makes, and give all the same clock."""
        of_all: Any = BaseClient
        api_call, request = of_all._make_api_call, requests.Session.request

        def make_api_call(client: Any, operation: str, given: dict[str, Any]) -> Any:
            if client.meta.service_model.service_name == "stepfunctions":
                return self._through(
                    operation, service.call, self.machine, client, operation, given
                )
            return self._through(operation, api_call, client, operation, given)

        def send(session: requests.Session, method: str, url: str, **options: Any) -> Any:
            if "/control/" in url:
                return request(session, method, url, **options)
            name = f"{method} {'output' if '/outputs/' in url else url.rsplit('/', 1)[-1]}"
            self._executing |= name == "POST executions"
            return self._through(name, request, session, method, url, **options)

        make = cache(straight_through.aws.client)  # making one takes long
        monkeypatch.setattr(straight_through.aws, "client", make)
        monkeypatch.setattr(BaseClient, "_make_api_call", make_api_call)
        monkeypatch.setattr(requests.Session, "request", send)
        for module in CLOCKS:
            monkeypatch.setattr(f"straight_through.{module}.datetime", Clock)
        stamp = lambda: Clock.now().astimezone().isoformat()  # noqa: E731 - one short line
        monkeypatch.setattr("local.quantemplate.pipelines.timestamp", stamp)

    def invoke(self, name: str, event: Any) -> Any:
        """Run a function. Raises Killed."""
        while self._executing:  # a story goes the same way each time
            self._executing = not self.pipelines_end()
        if name not in self.apps and hasattr(app := self.app(name), "datetime"):
            app.datetime = Clock  # type: ignore[attr-defined]
        self._function, self._dead = name, False
        self.calls[name].append([])
        try:
            try:
                result = self.handled(name, event)
            finally:
                self._die_here()  # after its last call
        finally:
            dead, self._function = self._dead, ""
            if dead:
                del self.apps[name]  # the next invocation gets a process of its own
        if dead:
            raise Killed  # a thread of it was the first to know
        return result

    def _through(self, call: str, do: Callable[..., Any], *given: Any, **options: Any) -> Any:
        """Let a call through, or kill the function that makes it."""
        if not self._function:
            return do(*given, **options)
        if self._dead:
            raise Killed
        self._die_here()
        self.calls[self._function][-1].append(call)
        return do(*given, **options)

    def _die_here(self) -> None:
        """Kill the function if this is the place."""
        made = self.calls[self._function]
        if self.kill == Kill(self._function, len(made) - 1, len(made[-1])):
            self._dead = self.killed = True
            raise Killed

    # --- what happens ---------------------------------------------------------------------------
    def drop(self, name: str) -> Execution:
        """Drop a file and start its run; SQS gives the event again to whoever was killed."""
        self.surely("start_run", self.put(name, f"name\n{name} {self.queue}\n"))
        return list(self.machine.executions.values())[-1]

    def surely(self, name: str, event: Any) -> None:
        """Invoke a function again where it was killed."""
        try:
            self.invoke(name, event)
        except Killed:
            self.invoke(name, event)

    def changed(self, execution: Execution) -> None:
        """Tell RunEnded of an end, unless the event is lost; a killed one is the sweep's matter."""
        if execution.status != "RUNNING" and not self.lose_events:
            self.quietly("run_ended", {"detail": execution.status_change()})

    def quietly(self, name: str, event: Any) -> None:
        """Invoke a function; its death stays unseen."""
        with suppress(Killed):
            self.invoke(name, event)

    def step(self, execution: Execution | None = None) -> bool:
        """Go one step; whoever lost a function to a kill tries again, or is redriven."""
        assert execution
        retried = len(execution.retried)
        went = super().step(execution)
        if len(execution.retried) > retried and self.healing == "redrive":
            self.machine.end(execution, "FAILED", "Runtime.ExitError")
            self.machine.redrive(execution)
        return went

    def settle(self) -> None:
        """Go on until nobody can go further; where somebody still waits, sweep."""
        for _ in range(MOST_SWEEPS):
            everyone = self.machine.executions.values()
            going = True
            while going:
                steps = [self.step(execution) for execution in list(everyone)]
                going = any(steps)
            Clock.ahead += SWEEP_AFTER
            self.quietly("sweep_queues", {})
            if all(e.status != "RUNNING" for e in everyone) and not self.left_over():
                return

    def made(self, call: str) -> int:
        """How often a call was made."""
        every = (calls for invocations in self.calls.values() for calls in invocations)
        return sum(calls.count(call) for calls in every)

    def counts(self, run: dict[str, Any]) -> bool:
        """Whether there may be one such run of each file: one that fails is made anew."""
        return bool(run["status"] == "Succeeded")
