"""What the storm does: kills, aborts, redrives, events doubled and late, replies lost."""

import json
import math
import random
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import requests
from botocore.exceptions import ClientError

from local.quantemplate import Control
from tests.end_to_end.status_trouble import counts, told
from tests.storm.files import LATE_SUFFIX
from tests.storm.processes import function_processes
from tests.storm.stack import Stack

STATUS_EVENTS = {"lost": 0.2, "doubled": 0.2, "late": 0.3, "late_seconds": 2}
DOUBLED = 0.2  # share of S3 events
# Of Quantemplate's events; "strangers" are about others' runs.
EVENTS = {"late": 0.2, "scattered": 1.0, "twice": 0.2, "lost": 0.2, "strangers": 0.2}
# What happens for each file, on average; a killed upload holds its queue up until its mark lapses.
KILLS, ABORTS, REPLIES = 0.35, 0.15, 0.4
AHEAD = 0.2  # share of it that happens before the first file is through
MOST_TROUBLES = 10  # that the stand-in has in store
LATEST_COPY = 8  # seconds
ENDED_BADLY = ("FAILED", "ABORTED", "TIMED_OUT")
# Each is one order to the stand-in; what only delays comes more often than what ends a run.
TROUBLES: list[tuple[str, str, dict[str, Any]]] = [
    *[("upload_dataset", "slow_read", {"bytes_per_second": 20_000.0})] * 6,
    ("upload_dataset", "drop", {"when": "before", "after_bytes": 500}),
    ("upload_dataset", "drop", {"when": "after"}),
    ("upload_dataset", "reply", {"status": 503, "retry_after": 2}),
    ("execute_pipeline", "drop", {"when": "before"}),
    *[("execute_pipeline", "drop", {"when": "after"})] * 2,
    ("execute_pipeline", "reply", {"status": 500, "when": "after"}),
    ("execute_pipeline", "delay", {"seconds": 1.0, "when": "after"}),
    ("execute_pipeline", "delay", {"seconds": 1.0}),
    ("execute_pipeline", "run", {"run": {"end_status": "Failed"}}),
    ("execute_pipeline", "run", {"run": {"end_status": "Cancelled"}}),
    ("execute_pipeline", "run", {"run": {"seconds": 100.0}}),
    ("execute_pipeline", "run", {"run": {"hidden_seconds": 30.0}}),
    ("list_executions", "drop", {}),
    ("list_executions", "reply", {"status": 429, "retry_after": 3}),
    ("download_output", "short", {}),
    ("download_output", "drop", {"when": "after"}),
]


class Weather:
    """The storm: each of its parts acts in a thread of its own, until it is told to calm down."""

    def __init__(self, stack: Stack, stand_in: Control, files: int, seed: int) -> None:
        """Begin."""
        self.happened: Counter[str] = Counter()
        self.went_through = 0.0  # the share of the files; the storm keeps pace with it
        self._stack, self._stand_in, self._seed = stack, stand_in, seed
        self._processor_time: dict[int, int] = {}
        self._calm, self._over = threading.Event(), threading.Event()
        self._problems: list[Exception] = []
        self._tap = Tap(stack)
        told(stack.endpoint, "PUT", {**STATUS_EVENTS, "seed": seed}).raise_for_status()
        stand_in.events(url=stack.hears_at, **EVENTS)
        parts = [
            (self._kill, 0.4, KILLS * files, self._calm),
            (self._abort, 1.0, ABORTS * files, self._calm),
            (self._lose_replies, 0.4, REPLIES * files, self._calm),
            (self._double_events, 0.2, math.inf, self._over),
            (self._forge, 0.5, math.inf, self._calm),
            (self._redrive, 1.0, math.inf, self._over),
        ]
        self._threads = [threading.Thread(target=self._act, args=part) for part in parts]
        for thread in self._threads:
            thread.start()

    def check(self) -> None:
        """Raise what went wrong in one of the parts."""
        if self._problems:
            raise self._problems[0]

    def calm_down(self) -> None:
        """Nothing bad happens from now on; who ended badly is still redriven."""
        self._calm.set()
        self._stand_in.clear_troubles()
        found = counts(self._stack.endpoint)
        self.happened.update({f"status events {kind}": n for kind, n in found.items()})
        told(self._stack.endpoint, "DELETE").raise_for_status()

    def end(self) -> None:
        """Stop everything."""
        self._calm.set()
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _act(
        self,
        act: Callable[[random.Random], bool],
        seconds: float,
        most: float,
        until: threading.Event,
    ) -> None:
        """Act again and again, so many seconds apart on average, until it has worked so often."""
        dice = random.Random(f"{act.__name__} {self._seed}")  # noqa: S311 - dice, not keys
        done = 0
        while done < most and not until.wait(dice.uniform(0, 2 * seconds)):
            if done > most * (self.went_through + AHEAD):
                continue
            try:
                done += act(dice)
            except Exception as problem:  # noqa: BLE001 - told by `check`
                self._problems.append(problem)
                return

    # --- its parts ------------------------------------------------------------------------------
    def _kill(self, dice: random.Random) -> bool:
        """Kill a function process, most often one that is at work."""
        found = function_processes(self._stack.endpoint)
        before = self._processor_time
        self._processor_time = {each.pid: each.worked() for each in found}
        busy = [each for each in found if self._processor_time[each.pid] > before.get(each.pid, 0)]
        uploads = [each for each in found if each.function.endswith("upload_and_execute")]
        chosen = uploads if dice.random() < 0.25 else busy
        if not chosen:
            return False
        victim = dice.choice(chosen)
        with suppress(ProcessLookupError):
            victim.kill()
            self.happened[f"killed {victim.function.rpartition('-')[2]}"] += 1
        return True

    def _abort(self, dice: random.Random) -> bool:
        """Abort an execution; half of them are redriven at once."""
        if not (running := self._stack.executions("RUNNING")):
            return False
        running.sort(key=lambda execution: execution["startDate"])
        # The older ones do more than wait.
        chosen = dice.choice(running[: len(running) // 4 + 1] if dice.random() < 0.7 else running)
        states = self._stack.client("stepfunctions")
        try:
            states.stop_execution(executionArn=chosen["executionArn"], error="Storm")
        except ClientError as refused:
            if "not RUNNING" not in str(refused):
                raise
            return False  # it has ended meanwhile
        self.happened["aborted"] += 1
        if dice.random() < 0.5:
            self._redrive_one(chosen["executionArn"])
        return True

    def _redrive(self, dice: random.Random) -> bool:
        """Redrive what ended badly, most of it not at once."""
        for status in ENDED_BADLY:
            for execution in self._stack.executions(status):
                if self._calm.is_set() or dice.random() < 0.3:
                    self._redrive_one(execution["executionArn"])
        return True

    def _redrive_one(self, arn: str) -> None:
        states = self._stack.client("stepfunctions")
        try:
            states.redrive_execution(executionArn=arn)
        except (states.exceptions.ExecutionNotRedrivable, ClientError) as refused:
            if "NotRedrivable" not in type(refused).__name__ + str(refused):
                raise
        else:
            self.happened["redriven"] += 1

    def _lose_replies(self, dice: random.Random) -> bool:
        """Let the stand-in have one more trouble."""
        if len(self._stand_in.troubles()) >= MOST_TROUBLES:
            return False
        operation, kind, order = dice.choice(TROUBLES)
        self._stand_in.trouble(operation, kind, **order)
        self.happened[f"trouble {operation} {kind}"] += 1
        return True

    def _double_events(self, dice: random.Random) -> bool:
        """Send on the S3 events that are to be late, and copies of others."""
        for event in self._tap.events():
            late = json.loads(event)["detail"]["object"]["key"].endswith(LATE_SUFFIX)
            copies = late + (dice.random() < DOUBLED)
            for _ in range(copies):
                self._tap.send(event, dice.randint(1, LATEST_COPY))
            self.happened["S3 events late"] += late
            self.happened["S3 events doubled"] += copies > late
        return True

    def _forge(self, dice: random.Random) -> bool:
        """Tell of an end that has not come, or came long ago, as whoever has the key can."""
        pipeline, found = dice.choice(list(self._stand_in.pipelines().items()))
        if not found["runs"]:
            return False
        run = dice.choice(found["runs"][-3:])
        payload = {"pipelineId": pipeline, "pipelineExecutionId": run["id"], "status": "Succeeded"}
        forged = {"eventName": "PipelineCompleted", "payload": payload}
        answer = requests.post(self._stack.hears_at, json=forged, timeout=60)
        self.happened[f"forged events answered {answer.status_code}"] += 1
        return True


class Tap:
    """A second way for S3's events: all come to a queue of our own, the late ones only there."""

    def __init__(self, stack: Stack) -> None:
        """Lay the way, and close the first one for those that are to be late."""
        self._sqs, events = stack.client("sqs"), stack.client("events")
        self._drops = stack.resource("Drops")
        self._queue = self._sqs.create_queue(QueueName="tap")["QueueUrl"]
        (arn,) = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])[
            "Attributes"
        ].values()
        allow = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        self._sqs.set_queue_attributes(QueueUrl=self._queue, Attributes={"Policy": policy})
        rule = stack.resource("DropRule").rpartition("/")[2]
        pattern = json.loads(events.describe_rule(Name=rule)["EventPattern"])
        events.put_rule(Name="tap", EventPattern=json.dumps(pattern))
        events.put_targets(Rule="tap", Targets=[{"Id": "tap", "Arn": arn}])
        pattern["detail"]["object"] = {"key": [{"anything-but": {"suffix": LATE_SUFFIX}}]}
        events.put_rule(Name=rule, EventPattern=json.dumps(pattern))

    def events(self) -> list[str]:
        """The next events, as they come from EventBridge."""
        found = self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10)
        for message in found.get("Messages", []):
            self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return [message["Body"] for message in found.get("Messages", [])]

    def send(self, event: str, seconds: int) -> None:
        """Let an event reach StartRun in so many seconds."""
        self._sqs.send_message(QueueUrl=self._drops, MessageBody=event, DelaySeconds=seconds)
