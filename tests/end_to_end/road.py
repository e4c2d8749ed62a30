"""What a data person and an operator do with the deployed application, and what they see."""

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from local.deploy import ORGANISATION, clients
from straight_through.routes import KEPT

DEADLINE = 240  # seconds, far beyond what anything here takes on a machine however busy


@dataclass(frozen=True)
class Route:
    """A route of one test: its folder, and what belongs to it in Quantemplate."""

    name: str
    dataset_id: str
    pipeline_id: str


@dataclass(frozen=True)
class Run:
    """An execution that has ended, as the Step Functions console shows it."""

    arn: str
    name: str
    status: str
    error: str
    cause: str
    failed_at: str
    output: dict[str, Any]


class Road:
    """The deployed stack from outside: buckets, state machine, parameters, logs."""

    def __init__(self, endpoint: str, outputs: dict[str, str]) -> None:
        """Remember where everything is."""
        self.endpoint = endpoint
        self.client = clients(endpoint)
        self.inbox = outputs["InboxBucket"]
        self.outbox = outputs["OutboxBucket"]
        self.state_machine = outputs["StateMachineArn"]
        self.secret = outputs["CredentialsSecretArn"]
        self.routes_path = outputs["RoutesPath"]
        self.topic = outputs["TopicArn"]
        self._begun: dict[str, tuple[datetime, Any]] = {}  # when an execution began, and its input

    # --- what people do ------------------------------------------------------------------------
    def put_route(self, name: str, document: str | dict[str, Any]) -> None:
        """Create or change a route, and wait until that counts for every function."""
        value = document if isinstance(document, str) else json.dumps(document)
        put = self.client("ssm").put_parameter(
            Name=f"{self.routes_path}/{name}", Value=value, Type="String", Overwrite=True
        )
        if put["Version"] > 1:
            time.sleep(KEPT)

    def route_to(self, dataset_id: str, pipeline_id: str, name: str = "", **more: Any) -> Route:
        """Create a route with a folder of its own; `more` are its document's other fields."""
        name = name or f"r{uuid.uuid4().hex[:8]}"
        route = Route(name, dataset_id, pipeline_id)
        self.change(route, **more)
        return route

    def change(self, route: Route, **more: Any) -> None:
        """Let a route's document have these fields beside its ids."""
        ids = {"dataset_id": route.dataset_id, "pipeline_id": route.pipeline_id}
        self.put_route(route.name, {"organisation_id": ORGANISATION, **ids, **more})

    def drop(self, key: str, content: bytes) -> str:
        """Drop a file and return its version."""
        put = self.client("s3").put_object(Bucket=self.inbox, Key=key, Body=content)
        return str(put["VersionId"])

    def start(self, execution_input: Any) -> str:
        """Start a run by hand, as in the console."""
        started = self.client("stepfunctions").start_execution(
            stateMachineArn=self.state_machine, input=json.dumps(execution_input)
        )
        return str(started["executionArn"])

    def redrive(self, run: Run) -> Run:
        """Redrive a failed execution and wait for its new end."""
        self.client("stepfunctions").redrive_execution(executionArn=run.arn)
        return self.ended(run.arn)

    # --- what they see -------------------------------------------------------------------------
    def executions_of(self, key: str) -> list[str]:
        """ARNs of the executions whose input names the key, the newest first."""
        states = self.client("stepfunctions")
        pages = states.get_paginator("list_executions").paginate(
            stateMachineArn=self.state_machine, PaginationConfig={"PageSize": 20}
        )
        new: list[dict[str, Any]] = []
        for page in pages:
            unknown = [
                each for each in page["executions"] if each["executionArn"] not in self._begun
            ]
            new += unknown
            if not unknown:  # what is older is known too
                break
        for each in reversed(new):  # so that this holds at any time, for other threads
            described = states.describe_execution(executionArn=each["executionArn"])
            self._begun[each["executionArn"]] = each["startDate"], json.loads(described["input"])
        found = [
            (began, arn)
            for arn, (began, given) in list(self._begun.items())
            if isinstance(given, dict) and given.get("key") == key
        ]
        return [arn for _, arn in sorted(found, reverse=True)]

    def processed(self, key: str, content: bytes) -> Run:
        """Drop a file and wait for the end of its run."""
        self.drop(key, content)
        return self.ended(
            self.until(lambda: self.executions_of(key), f"an execution for {key!r}")[0]
        )

    def ended(self, arn: str) -> Run:
        """Wait for an execution's end."""
        states = self.client("stepfunctions")

        def described() -> Any:
            execution = states.describe_execution(executionArn=arn)
            return execution if execution["status"] != "RUNNING" else None

        execution = self.until(described, f"the end of {arn}")
        return Run(
            arn=arn,
            name=execution["name"],
            status=execution["status"],
            error=execution.get("error", ""),
            cause=execution.get("cause", ""),
            failed_at=self._left_open(arn) if execution["status"] == "FAILED" else "",
            output=json.loads(execution.get("output") or "{}"),
        )

    def history(self, arn: str) -> list[Any]:
        """All events of an execution."""
        states = self.client("stepfunctions")
        pages = states.get_paginator("get_execution_history").paginate(executionArn=arn)
        return [event for page in pages for event in page["events"]]

    def _left_open(self, arn: str) -> str:
        """The state that was entered last of those that were never left."""
        open_states: list[str] = []
        for event in self.history(arn):
            if entered := event.get("stateEnteredEventDetails"):
                open_states.append(entered["name"])
            if left := event.get("stateExitedEventDetails"):
                open_states.remove(left["name"])
        return open_states[-1]

    def entered(self, run: Run) -> list[str]:
        """Names of the states that the run entered, in order."""
        return [
            event["stateEnteredEventDetails"]["name"]
            for event in self.history(run.arn)
            if "stateEnteredEventDetails" in event
        ]

    def manifest(self, run: Run) -> dict[str, Any]:
        """The manifest that the run's output names."""
        return dict(json.loads(self.stored(run.output["manifest"])))

    def stored(self, key: str) -> bytes:
        """An object of the outbox."""
        return bytes(self.client("s3").get_object(Bucket=self.outbox, Key=key)["Body"].read())

    def stored_keys(self, prefix: str) -> list[str]:
        """Keys of the outbox below a prefix."""
        pages = (
            self.client("s3")
            .get_paginator("list_objects_v2")
            .paginate(Bucket=self.outbox, Prefix=prefix)
        )
        return [each["Key"] for page in pages for each in page.get("Contents", ())]

    def in_inbox(self, key: str) -> bool:
        """Whether the file is still there."""
        try:
            self.client("s3").head_object(Bucket=self.inbox, Key=key)
        except ClientError:
            return False
        return True

    def logs(self, run_name: str = "") -> list[str]:
        """Messages in the functions' log group, of one run or of all."""
        pattern = f'"{run_name}"' if run_name else ""
        pages = (
            self.client("logs")
            .get_paginator("filter_log_events")
            .paginate(logGroupName="/aws/lambda/straight-through", filterPattern=pattern)
        )
        return [event["message"] for page in pages for event in page["events"]]

    @staticmethod
    def until(look: Callable[[], Any], what: str) -> Any:
        """Look until there is something to see, ever less often: each look takes processor too."""
        deadline, pause = time.monotonic() + DEADLINE, 0.05
        while not (seen := look()):
            assert time.monotonic() < deadline, f"no {what} within {DEADLINE} seconds"
            time.sleep(pause)
            pause = min(pause * 1.3, 0.25)
        return seen
