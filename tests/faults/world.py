"""The application in one process, with one fault at one of the calls that one function makes.

Its real functions run on the AWS of `aws.py` and the stand-in Quantemplate, the state machine's own
definition is played in virtual time, and events, SQS and the sweep come as the template says.
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from types import ModuleType
from typing import Any

import pytest
import requests
from botocore.client import BaseClient

import straight_through.aws
from local.deploy import read_template
from local.quantemplate import Control
from tests.faults.faults import Injected
from tests.machine import service
from tests.machine.agenda import Clock
from tests.machine.definition import ROOT
from tests.machine.machine import Execution
from tests.machine.road import Road

SWEEP_EVERY = 300  # seconds
MOST_SWEEPS = 12 * 24 * 3  # in a row in which nothing else happens: three days
SQS_AGAIN, SQS_TRIES = 180, 10  # seconds; the template's redrive policy
EVENT_AGAIN = (60, 120)  # seconds: Lambda tries an asynchronous invocation twice more
WAITS = {"download_output": {"wait_seconds"}}  # the fields by which a function says so
client = cache(straight_through.aws.client)  # for all tests: making one takes long
TEMPLATE = read_template(ROOT / "template.yaml")
CALLS = {  # of the API, as the stand-in names them, by method and end of the path
    ("POST", "token"): "token",
    ("POST", "datasets"): "upload_dataset",
    ("POST", "executions"): "execute_pipeline",
    ("GET", "executions"): "list_executions",
    ("GET", "outputs"): "download_output",
}


def environment() -> dict[str, str]:
    """Each variable of each function, a parameter or a plain text, as in the template."""
    found = {}
    for resource in TEMPLATE["Resources"].values():
        told = resource.get("Properties", {})
        told = told.get("Environment", {}) if isinstance(told, dict) else {}
        for name, value in told.get("Variables", {}).items():
            if isinstance(value, dict) and value.get("Ref") in TEMPLATE["Parameters"]:
                value = TEMPLATE["Parameters"][value["Ref"]]["Default"]  # noqa: PLW2901
            if not isinstance(value, dict):
                found[name] = str(value)
    del found["POWERTOOLS_SERVICE_NAME"]
    return found


class World(Road):
    """The road, on which files are dropped."""

    def __init__(
        self, load: Callable[..., ModuleType], stand_in: Control, variables: dict[str, str]
    ) -> None:
        """Nothing is dropped yet."""
        super().__init__(load, stand_in, environment() | variables)
        self.function = ""
        self.begin()

    def begin(self, injected: Injected | None = None, **route: Any) -> None:
        """Begin anew: nothing is dropped yet, and nothing in the table."""
        self.injected = injected
        self.lose_events = False
        self.calls: set[tuple[str, str]] = set()  # function and call
        self.causes: list[str] = []  # of all ends
        self.told: list[str] = []  # the subjects of all messages to people
        self.waited: set[str] = set()  # the executions that have waited for something
        self.met: list[str] = []  # the executions that have met the fault, in their order
        self.about = ""  # the execution that a function works for
        self.subject: Callable[[], Execution | None] = lambda: self.first  # if none meets the fault
        self.dead_letters: list[str] = []
        self.set_up(notify="always", **route)

    # --- functions ------------------------------------------------------------------------------
    def watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """See every call that a function makes, and give all the same clock."""
        self._monkeypatch = monkeypatch
        of_all: Any = BaseClient
        api_call, request = of_all._make_api_call, requests.Session.request

        def make_api_call(client: Any, operation: str, given: dict[str, Any]) -> Any:
            name = client.meta.service_model.service_name
            call = partial(service.call, self.machine) if name == "stepfunctions" else api_call
            do = lambda: call(client, operation, given)  # noqa: E731
            if operation == "Publish":
                self.told.append(given["Subject"])
            if not self.function:
                return do()
            self.calls.add((self.function, f"{name}.{operation}"))
            if self._meets(f"{name}.{operation}"):
                self.met += [self.about] * (self.about not in self.met)
                return self.injected.in_aws(do, client, operation)  # type: ignore[union-attr]
            return do()

        def send(session: requests.Session, method: str, url: str, **options: Any) -> Any:
            do = lambda url: request(session, method, url, **options)  # noqa: E731
            if not self.function or "/control/" in url:
                return do(url)
            *_, above, last = url.split("/")
            call = CALLS[(method, above if (method, above) in CALLS else last)]
            self.calls.add((self.function, call))
            if self._meets(call):
                self.met += [self.about] * (self.about not in self.met)
                return self.injected.in_quantemplate(do, url, self.stand_in, call)  # type: ignore[union-attr]
            return do(url)

        monkeypatch.setattr(straight_through.aws, "client", client)
        monkeypatch.setattr(BaseClient, "_make_api_call", make_api_call)
        monkeypatch.setattr(requests.Session, "request", send)
        Clock.begin()
        stamp = lambda: Clock.now().astimezone().isoformat()  # noqa: E731
        monkeypatch.setattr("local.quantemplate.pipelines.timestamp", stamp)

    def _meets(self, call: str) -> bool:
        return self.injected is not None and self.injected.is_at(self.function, call)

    def invoke(self, name: str, event: Any) -> Any:
        """Run a function."""
        while name == "check_status" and not self.pipelines_end():
            pass
        if name not in self.apps:
            one_clock(self._monkeypatch, self.app(name))
        self.about = event.get("execution", {}).get("Name") or event.get("run", "")
        before, self.function = self.function, name
        try:
            result = self.handled(name, event)
            if isinstance(result, dict) and result.keys() & WAITS.get(name, {"waiting"}):
                self.waited.add(self.about)
            return result
        finally:
            self.function = before

    # --- what happens ---------------------------------------------------------------------------
    def drop(self, name: str) -> None:
        """Drop a file, whose event SQS gives to StartRun."""
        event = self.put(name, f"Policy,Insured\r\n007,{name} {self.queue}\r\n")
        self.agenda.later(0, lambda: self._deliver(event))

    def _deliver(self, event: Any, tried: int = 1) -> None:
        failed = self.invoke("start_run", event)
        again = failed["batchItemFailures"] or (
            tried == 1 and self.injected and self.injected.delivers_twice
        )
        if again and tried < SQS_TRIES:
            self.agenda.later(SQS_AGAIN, lambda: self._deliver(event, tried + 1))
        elif failed["batchItemFailures"]:
            self.dead_letters.append("start_run")

    def changed(self, execution: Execution) -> None:
        """Tell RunEnded of an end, unless the event is lost."""
        if execution.status == "RUNNING":
            return
        self.causes.append(execution.cause)
        if self.injected and execution.name in self.met[self.injected.files - 1 :]:
            self.injected.mend()
        event = {"detail": execution.status_change()}
        if not self.lose_events:
            self.agenda.later(0, lambda: self._tell(event, EVENT_AGAIN))

    def _tell(self, event: Any, again: tuple[int, ...]) -> None:
        try:
            self.invoke("run_ended", event)
        except Exception:  # noqa: BLE001 - as Lambda does
            if again:
                self.agenda.later(again[0], lambda: self._tell(event, again[1:]))
            else:
                self.dead_letters.append(event["detail"]["name"])

    def settle(self) -> None:
        """Go on, and sweep now and then, until everybody is at rest or nothing happens any more."""
        sweep_at, idle = Clock.now(UTC) + timedelta(seconds=SWEEP_EVERY), 0
        while idle < MOST_SWEEPS:
            due = self.agenda.next_due()
            if due and due <= sweep_at:
                self.step()
                idle = 0
                continue
            Clock.reach(sweep_at)
            with suppress(Exception):
                self.invoke("sweep_queues", {})
            sweep_at, idle = Clock.now(UTC) + timedelta(seconds=SWEEP_EVERY), idle + 1
            if not due and idle > 1 and self.nobody_waits():
                return

    def nobody_waits(self) -> bool:
        """Whether every execution is at rest, or waits for a queue that is paused."""
        going = [e for e in self.machine.executions.values() if e.status == "RUNNING"]
        return self.paused() or (not going and not self.left_over())

    # --- what is left of it ---------------------------------------------------------------------
    @property
    def first(self) -> Execution | None:
        """The first file's execution."""
        return next(iter(self.machine.executions.values()), None)

    def in_question(self) -> Execution | None:
        """The execution that has met the fault, or that shows what became of it."""
        met = [e for e in self.machine.executions.values() if e.name in self.met[:1]]
        return met[0] if met else self.subject()

    def paused(self) -> bool:
        """Whether a queue is paused."""
        return any("paused" in item for item in self.items())

    def counts(self, run: dict[str, Any]) -> bool:
        """Whether there may be one such run of each file: any of ours."""
        return bool(run["by"] == "u-api")


def one_clock(monkeypatch: pytest.MonkeyPatch, app: ModuleType) -> None:
    """Let a function and all of the layer that it has imported look at the test's clock."""
    if getattr(app, "datetime", None) is datetime:
        app.datetime = Clock  # type: ignore[attr-defined]
    ours = ("quantemplate.", "straight_through.")
    for name, module in list(sys.modules.items()):
        if name.startswith(ours) and getattr(module, "datetime", None) is datetime:
            monkeypatch.setattr(module, "datetime", Clock)
