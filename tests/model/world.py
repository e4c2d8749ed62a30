"""All that the functions see, what is under way, and the invariants that must hold at any time."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from straight_through.errors import StraightThroughError
from straight_through.queue.reconcile import SweepIncomplete
from tests.machine.machine import Call, Execution
from tests.model.dynamodb import DynamoDB
from tests.model.functions import SECONDS, Functions, context_of
from tests.model.invocations import Invocation, running
from tests.model.quantemplate import SOMEBODY_ELSE, FakeQuantemplate
from tests.model.states import States
from tests.model.storage import KEY, EventBus, Inbox, Parameters, Secrets, Topic

TICK = timedelta(milliseconds=1)
BUCKET = "inbox"
TAKES_THE_TURN = ("REMOVE #holder", "SET #holder = ")
NOBODY = {"M": {"run": {"S": ""}}}


class Violated(AssertionError):
    """An invariant does not hold."""


class World:
    """One AWS account and one Quantemplate, in virtual time."""

    def __init__(
        self,
        functions: Functions,
        clocks_differ: timedelta = timedelta(0),
        *,
        hears: bool = False,
    ) -> None:
        """Begin with nothing under way; `hears` is whether Quantemplate's events are taken."""
        functions.begin(self, hears=hears)
        self._functions = functions
        self._now = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)
        self.violation = ""
        self.harmed = False  # whether something happened that only a sweep may repair
        self.steps = 0
        self.dynamodb = DynamoDB(self._wrote)
        self.states = States(self.now, self._begin, self._write)
        self.inbox = Inbox()
        self.parameters = Parameters()
        clock = lambda: self._now + clocks_differ  # noqa: E731 - one short line
        self.quantemplate = FakeQuantemplate(clock, self.forbid, self._kept, self._content)
        self.services: dict[str, Any] = {
            "dynamodb": self.dynamodb,
            "stepfunctions": self.states,
            "s3": self.inbox,
            "ssm": self.parameters,
            "sns": Topic(),
            "events": EventBus(),
            "quantemplate": self.quantemplate,
            "secretsmanager": Secrets(),
        }
        self.invocations: list[Invocation] = []
        self.log: list[str] = []
        self.watch: Callable[[list[dict[str, Any]]], None] = lambda _items: None  # before writes
        self._drops = 0
        self._asked: dict[tuple[str, str], int] = {}  # when a ticket was first written
        self.writes = 0
        self._invoked = 0

    def now(self) -> datetime:
        """Return the time."""
        return self._now

    def forbid(self, what: str) -> NoReturn:
        """Note that an invariant does not hold; the first counts."""
        self.violation = self.violation or what
        raise Violated(what)

    # --- what happens ---------------------------------------------------------------------------
    def drop(self, key: str) -> dict[str, Any]:
        """Drop a new version of a file and return the event that tells of it."""
        self._drops += 1
        version = f"v{self._drops}"
        self.inbox.versions[key, version] = (f"{key} {version}".encode(), self._now)
        item = {"key": key, "version-id": version, "sequencer": f"{self._drops:04}"}
        time = self._now.replace(microsecond=0).isoformat()
        return {"time": time, "detail": {"bucket": {"name": BUCKET}, "object": item}}

    def start(self, event: dict[str, Any]) -> None:
        """Start the execution of a dropped file, as often as its event comes."""
        message = {"body": json.dumps(event), "messageId": "1"}
        failed = self._functions.handler("start_run")({"Records": [message]}, None)
        assert failed == {"batchItemFailures": []}

    def invoke(self, name: str, event: Any, call: Call | None = None) -> Invocation:
        """Begin an invocation."""
        deadline = self._now + timedelta(seconds=SECONDS[name])
        handler, context = self._functions.handler(name), context_of(deadline, self)
        invocation = Invocation(name, lambda: handler(event, context), call)
        invocation.deadline = deadline
        invocation.began_at_write = self.writes
        self._invoked += 1
        invocation.number = self._invoked
        self.invocations.append(invocation)
        return invocation

    def _begin(self, call: Call) -> None:
        """Begin the invocation of a Task."""
        self.invoke(call.function, call.payload, call)

    def _write(self, parameters: dict[str, Any]) -> None:
        """Make a state's own write, its task token."""
        self.dynamodb.update_item(**parameters)

    def hear(self, event: dict[str, Any]) -> Invocation:
        """Let Quantemplate, or whoever has the key, send an event."""
        request = {
            "rawPath": f"/{KEY}",
            "requestContext": {"http": {"method": "POST"}},
            "headers": {"content-type": "application/json"},
            "body": json.dumps(event),
        }
        return self.invoke("take_event", request)

    def step(self, invocation: Invocation, trouble: str = "") -> None:
        """Let an invocation make its next call."""
        self.steps += 1
        self._now += TICK
        self.log.append(f"{_name(invocation)}: {invocation.at}{trouble and ' !' + trouble}")
        self.harmed = self.harmed or bool(trouble)
        invocation.step(trouble)
        self._look_at(invocation)

    def go_on(self, invocation: Invocation, steps: int, trouble: str) -> None:
        """Let an invocation make so many calls; the last of them may have trouble."""
        for left in reversed(range(steps)):
            self.step(invocation, trouble if not left else "")
            if invocation.ended:
                return

    def kill(self, invocation: Invocation) -> None:
        """Kill an invocation before its next call."""
        self.log.append(f"{_name(invocation)}: killed before {invocation.at}")
        self.harmed = True
        invocation.kill()
        self._look_at(invocation)

    def pass_time(self, seconds: float) -> None:
        """Let time pass: functions meet their time-outs, and waits end."""
        self.log.append(f"{seconds} seconds pass")
        until = self._now + timedelta(seconds=seconds)
        for invocation in sorted(self.invocations, key=lambda one: one.deadline):
            if invocation.deadline < until:
                self._now = max(self._now, invocation.deadline)
                self.kill(invocation)
        self._now = until
        self.states.wake()

    def next_wake(self) -> datetime | None:
        """Return when the next wait ends."""
        return self.states.agenda.next_due()

    def close(self) -> None:
        """End all."""
        for invocation in self.invocations:
            invocation.kill()

    def _look_at(self, invocation: Invocation) -> None:
        """Take an invocation's end, and see whether an invariant was hurt."""
        if self.violation:
            raise Violated(self.violation)
        if not invocation.ended:
            return
        self.invocations.remove(invocation)
        error = invocation.error
        if error:
            self.log.append(f"{_name(invocation)}: {type(error).__name__}: {error}")
            if not _foreseen(error):
                self.violation = f"{type(error).__name__}: {error}"
                raise error
        if invocation.call:
            self.states.invocation_ended(invocation.call, invocation)

    # --- invariants -----------------------------------------------------------------------------
    def check(self) -> None:
        """Check what must hold between any two steps."""
        has = Counter[str]()
        waits: dict[str, int] = {}
        free: set[str] = set()
        for item in self.dynamodb.items():
            pk, sk = item["pk"]["S"], item["sk"]["S"]
            if pk == "queues" and "ended" not in item.get("holder", {"M": {"ended": 0}})["M"]:
                has[item["holder"]["M"]["run"]["S"]] += 1
            if pk == "queues" and not item.keys() & {"holder", "paused"}:
                free.add(sk)
            if pk.startswith("tickets#"):
                has[item["run"]["S"]] += 1
                waits[pk.removeprefix("tickets#")] = 1
        twice = [run for run, count in has.items() if count > 1]
        if twice:
            self.forbid(f"{twice} have two tickets or turns")
        quiet = not (self.invocations or self.states.ends or self.harmed)
        queues = {item["sk"]["S"] for item in self.dynamodb.items("queues")}
        idle = [queue for queue in waits if queue in free or queue not in queues]
        if quiet and idle:
            self.forbid(f"files wait in {idle}, nobody holds the turn, and only a sweep helps")

    def _wrote(self, items: list[dict[str, Any]]) -> None:
        """Check a write that is about to be made."""
        self.writes += 1
        self.watch(items)
        for item in items:
            ((kind, request),) = item.items()
            pk, sk = request["Key"]["pk"]["S"], request["Key"]["sk"]["S"]
            values = request.get("ExpressionAttributeValues", {})
            if pk == "queues" and request.get("UpdateExpression", "").startswith(TAKES_THE_TURN):
                self._passed_on(sk, values)
            if pk.startswith("tickets#") and kind == "Update":
                self._asked.setdefault((pk, sk), self.writes)
            if pk.startswith("tickets#") and kind == "Delete":
                if len(items) > 1:
                    self._granted(pk, sk)
                self._asked.pop((pk, sk), None)
            if ":execution" in values:
                self._executed(pk, values[":execution"]["M"])

    def _passed_on(self, queue: str, values: dict[str, Any]) -> None:
        """Require that nobody loses the turn to another, or during an upload."""
        holder = next(
            item["holder"]["M"]["run"]["S"]
            for item in [*self.dynamodb.items("queues"), {"sk": {"S": queue}, "holder": NOBODY}]
            if item["sk"]["S"] == queue and "holder" in item
        )
        now = values.get(":holder", values.get(":anew", NOBODY))["M"]["run"]["S"]
        if now == holder or not holder:
            return
        if now:
            self.forbid(f"{now} gets the turn that {holder} holds")
        for dataset, invocation in self.quantemplate.uploading:
            if invocation.about.name == holder:
                self.forbid(f"{holder} loses the turn while it uploads to {dataset}")

    def _granted(self, pk: str, sk: str) -> None:
        """Require that no older file waited already when this one was looked for."""
        invocation = running()
        since = invocation.began_at_write if invocation else self.writes
        run = {item["sk"]["S"]: item["run"]["S"] for item in self.dynamodb.items(pk)}
        chosen = self._drop_of(run[sk])
        for other, asked in self._asked.items():
            if other[0] == pk and asked <= since and other[1] != sk:
                older = self._drop_of(run[other[1]])
                same_key = older[1] == chosen[1]
                if older[0] < chosen[0] or (same_key and older < chosen):
                    self.forbid(f"{run[sk]} goes before {run[other[1]]}, which was dropped earlier")

    def _drop_of(self, run: str) -> tuple[str, str, str]:
        """Return an execution's time in the queue, its key and its sequencer."""
        execution = self.states.executions[run]
        named = execution.input
        if of_set := self.set_of(run):
            return str(of_set["order"]["S"]).partition("#")[0], "", str(of_set["order"]["S"])
        if run.startswith("rerun") or "route" in named:
            return execution.started.replace(microsecond=0).isoformat(), run, ""
        return named["dropped_at"], named["key"], named["sequencer"]

    def _executed(self, pk: str, noted: dict[str, Any]) -> None:
        """Require that the run that is noted for an execution was made from its bytes."""
        execution = self.states.executions[pk.removeprefix("run#")]
        run = next(r for r in self.quantemplate.runs if r.id == noted["execution_id"]["S"])
        for item in self.dynamodb.items():
            other = item.get("execution", {"M": {}})["M"].get("execution_id")
            if other == noted["execution_id"] and item["pk"]["S"] != pk:
                self.forbid(f"{run} is said to be made by {pk} and by {item['pk']['S']}")
        if run.created_by == SOMEBODY_ELSE and self._user_was_unknown(pk):
            return  # nothing tells somebody else's run from ours: a limit that is documented
        if run.made_for != execution.name or run.content != self._content(execution):
            self.forbid(f"{execution.name} is said to have made {run}")

    def _kept(self, pipeline: str) -> int:
        """Return the highest run number that the table has of a pipeline, 0 where it has none."""
        items = self.dynamodb.items(f"pipeline#c-1/{pipeline}")
        return max((int(item["highest"]["N"]) for item in items if "highest" in item), default=0)

    def may_be_executed_by_hand(self, pipeline: str) -> bool:
        """Whether our user may run it by hand so that it is no candidate of any lost reply."""
        for item in self.dynamodb.items():
            posted = item.get("posted", {"M": {}})["M"]
            open_post = posted and not item.keys() & {"execution", "uncertain"}
            if open_post and posted["pipeline_id"]["S"] == pipeline:
                return False
        # One that shows late in the list is a candidate too, of the next Execute.
        in_the_list_at_once = not self.quantemplate.late_by
        return in_the_list_at_once and all(
            one.name != "upload_and_execute" for one in self.invocations
        )

    def _user_was_unknown(self, pk: str) -> bool:
        """Whether our user was not known when Execute was sent."""
        (record,) = self.dynamodb.items(pk)
        return "NULL" in record["posted"]["M"]["user"]

    def _content(self, execution: Execution) -> bytes:
        """Return the bytes that an execution's run must be made from, none without a file."""
        of_set = self.set_of(execution.name)
        if not of_set:
            return self.bytes_of(execution)
        sources = [member["M"]["source"]["M"] for member in of_set["members"]["L"]]
        named = [(source["key"]["S"], source["version_id"]["S"]) for source in sources]
        return b"".join(self.inbox.versions[each][0] for each in named)

    def bytes_of(self, execution: Execution) -> bytes:
        """Return the bytes of an execution's own file."""
        named = execution.input
        if "route" in named:
            return b""
        return self.inbox.versions[named["key"], named["version_id"]][0]

    def set_of(self, run: str) -> dict[str, Any]:
        """Return the set that a run has claimed, as the table has it; empty where it has none."""
        for item in self.dynamodb.items(f"run#{run}"):
            found = dict(item.get("set", {"M": {}})["M"])
            return found if found and found["version"]["N"] != "0" else {}
        return {}


def _foreseen(error: BaseException) -> bool:
    """Whether an error is one that the application names; a sweep's has those of its queues."""
    if isinstance(error, SweepIncomplete) and isinstance(error.__cause__, BaseExceptionGroup):
        return all(map(_foreseen, error.__cause__.exceptions))
    return isinstance(error, StraightThroughError)


def _name(invocation: Invocation) -> str:
    """Name an invocation in the log."""
    call = invocation.call
    about = f" {call.execution.name[:6]} {call.attempt}" if call else ""
    return f"{invocation.number} {invocation.name}{about}"
