"""The application in one process: its real functions on moto's AWS, and a stand-in Quantemplate.

The n-th call that one function makes (to AWS or to Quantemplate) can kill it, right before or right
after. A killed function makes no further call, whatever its `finally` says.
"""

import json
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, timedelta
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import pytest
import requests
from botocore.client import BaseClient

import straight_through.aws
from local.quantemplate import Control
from straight_through.names import run_folder
from tests.machine import service
from tests.machine.agenda import Agenda, Clock
from tests.machine.machine import Call, Execution, Killed, Machine
from tests.unit.conftest import INBOX, OUTBOX

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


class World:
    """The road, stepped through by hand."""

    def __init__(
        self, load: Callable[..., ModuleType], stand_in: Control, environment: dict[str, str]
    ) -> None:
        """Nothing is dropped yet."""
        self.stand_in = stand_in
        self._load, self._environment = load, environment
        self._apps: dict[str, ModuleType] = {}
        self._function, self._dead = "", False
        self.begin(None)

    def begin(
        self, kill: Kill | None, healing: str = "retry", *, lose_events: bool = False
    ) -> None:
        """Begin anew: nothing is dropped yet, and nothing in the table.

        `healing` is what becomes of an execution whose function was killed: retry or redrive.
        """
        self.kill, self.healing, self.lose_events = kill, healing, lose_events
        self.calls: dict[str, list[list[str]]] = defaultdict(list)  # of each invocation
        self.killed = False
        self.agenda = Agenda(lambda: Clock.now(UTC))
        self.machine = Machine(self.agenda, self._begin, self._changed)
        self.queue = f"q{uuid.uuid4().hex[:8]}"
        self._dropped: list[tuple[str, str, bytes]] = []
        self.stand_in.reset()
        self.stand_in.rotate_credentials("s3cr3t")  # those that the secret holds
        self.forget_processes()
        self.stand_in.define_dataset("d-kills")
        self.stand_in.define_pipeline("p-kills", datasets=["d-kills"], outputs=["Copy"], seconds=0)
        route = {"organisation_id": "c-broker", "dataset_id": "d-kills", "pipeline_id": "p-kills"}
        boto3.client("ssm").put_parameter(
            Name=f"/straight-through/routes/{self.queue}", Type="String", Value=json.dumps(route)
        )
        dynamodb, table = boto3.client("dynamodb"), self._environment["TURNS_TABLE"]
        for item in dynamodb.scan(TableName=table)["Items"]:
            dynamodb.delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})

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
            return self._through(name, request, session, method, url, **options)

        make = cache(straight_through.aws.client)  # making one takes long
        monkeypatch.setattr(straight_through.aws, "client", make)
        monkeypatch.setattr(BaseClient, "_make_api_call", make_api_call)
        monkeypatch.setattr(requests.Session, "request", send)
        monkeypatch.setattr(Clock, "ahead", timedelta())
        for module in CLOCKS:
            monkeypatch.setattr(f"straight_through.{module}.datetime", Clock)
        stamp = lambda: Clock.now().astimezone().isoformat()  # noqa: E731 - one short line
        monkeypatch.setattr("local.quantemplate.pipelines.timestamp", stamp)

    def _begin(self, call: Call) -> None:
        """Put the invocation of a Task on the agenda."""
        self.agenda.later(0, lambda: self.machine.run(call, self.invoke), call.execution)

    def invoke(self, name: str, event: Any) -> Any:
        """Run a function. Raises Killed."""
        self._runs_end()
        if name not in self._apps:
            self._apps[name] = app = self._load(name, **self._environment)
            if hasattr(app, "datetime"):
                app.datetime = Clock  # type: ignore[attr-defined]
        context = SimpleNamespace(
            function_name=name,
            memory_limit_in_mb=256,
            invoked_function_arn=f"arn:aws:lambda:eu-west-1:000000000000:function:{name}",
            aws_request_id=uuid.uuid4().hex,
            get_remaining_time_in_millis=lambda: 60_000,
        )
        self._function, self._dead = name, False
        self.calls[name].append([])
        try:
            try:
                result = self._apps[name].handler(event, context)
            finally:
                self._die_here()  # after its last call
        finally:
            dead, self._function = self._dead, ""
            if dead:
                del self._apps[name]  # the next invocation gets a process of its own
        if dead:
            raise Killed  # a thread of it was the first to know
        return json.loads(json.dumps(result))

    def _runs_end(self) -> None:
        """Let the runs of the pipeline end: a story goes the same way each time."""
        while any("finishedAt" not in run for run in self.stand_in.pipelines()["p-kills"]["runs"]):
            time.sleep(0.001)

    def forget_processes(self) -> None:
        """Let the next invocation of each function be the first of its process."""
        self._apps.clear()

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
        key, content = f"{self.queue}/{name}.csv", f"name\n{name} {self.queue}\n".encode()
        put = boto3.client("s3").put_object(Bucket=INBOX, Key=key, Body=content)
        self._dropped.append((key, put["VersionId"], content))
        item = {
            "key": key,
            "version-id": put["VersionId"],
            "sequencer": f"{len(self._dropped):016X}",
        }
        detail = {"bucket": {"name": INBOX}, "object": item}
        body = json.dumps({"time": Clock.now().astimezone().isoformat(), "detail": detail})
        self.surely("start_run", {"Records": [{"messageId": "m", "body": body}]})
        return list(self.machine.executions.values())[-1]

    def surely(self, name: str, event: Any) -> None:
        """Invoke a function again where it was killed."""
        try:
            self.invoke(name, event)
        except Killed:
            self.invoke(name, event)

    def _changed(self, execution: Execution) -> None:
        """Tell RunEnded of an end, unless the event is lost; a killed one is the sweep's matter."""
        if execution.status != "RUNNING" and not self.lose_events:
            self.quietly("run_ended", {"detail": execution.status_change()})

    def quietly(self, name: str, event: Any) -> None:
        """Invoke a function; its death stays unseen."""
        with suppress(Killed):
            self.invoke(name, event)

    def step(self, execution: Execution) -> bool:
        """Go one step, if there is one; whoever lost a function tries again, or is redriven."""
        due, retried = self.agenda.next_due(execution), len(execution.retried)
        if not due:
            return False
        Clock.reach(due)
        self.agenda.take(execution)()
        if len(execution.retried) > retried and self.healing == "redrive":
            self.machine.end(execution, "FAILED", "Runtime.ExitError")
            self.machine.redrive(execution)
        return True

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

    # --- what is left of it ---------------------------------------------------------------------
    def left_over(self) -> list[str]:
        """Tickets and holders in the table."""
        items = boto3.client("dynamodb").scan(TableName=self._environment["TURNS_TABLE"])["Items"]
        return [
            f"{item['pk']['S']} {item['sk']['S']}"
            for item in items
            if item["pk"]["S"].startswith("tickets#") or "holder" in item
        ]

    def problems(self) -> list[str]:
        """What is not as it must be: every file processed once, and nothing left."""
        found = [f"{v['kind']}" for v in self.stand_in.violations()]
        found += [f"left over: {item}" for item in self.left_over()]
        for execution in self.machine.executions.values():
            if execution.status != "SUCCEEDED":
                found.append(f"{execution.name} {execution.status} {execution.error}")
        ended = self.stand_in.journal("run_ended")
        good = [run["inputs"][0]["sha256"] for run in ended if run["status"] == "Succeeded"]
        if len(good) != len(self._dropped) or len(set(good)) != len(good):
            found.append(f"{len(good)} good runs of {len(self._dropped)} files")
        s3 = boto3.client("s3")
        for (key, version, content), execution in zip(
            self._dropped, self.machine.executions.values(), strict=True
        ):
            folder = run_folder(key.split("/")[0], key, execution.name)
            listed = s3.list_objects_v2(Bucket=OUTBOX, Prefix=folder).get("Contents", [])
            stored = {
                each["Key"]: s3.get_object(Bucket=OUTBOX, Key=each["Key"])["Body"].read()
                for each in listed
            }
            manifest = json.loads(stored.pop(f"{folder}manifest.json", b"{}"))
            told = manifest.get("source", {}).get("version_id")
            if told != version or list(stored.values()) != [content]:
                found.append(f"{key}: {sorted(stored)} of version {told}")
        return found
