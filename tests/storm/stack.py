"""The deployed application as the storm finds it, with short time-outs so that kills heal soon."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import requests

from local.build import layer_zip
from local.deploy import clients, deploy, put_credentials
from local.process import ROOT, Part
from local.quantemplate import Control
from local.stack import LOCAL, Quantemplate
from tests.end_to_end.aws import running_aws
from tests.end_to_end.road import Road

QUOTAS = "/_local/quotas"
TIME_SCALE = "0.02"  # of waits, retry intervals, schedules and a pipeline's seconds
WORKERS = "5"  # processes that a function may have
LATE_LIST_SECONDS = "2"  # how long a run may be missing from the list
UPLOAD_TIMEOUT = 5  # seconds; a killed upload's mark lapses ten later
VISIBILITY_TIMEOUT = 5  # seconds until a killed StartRun's events come again


class Stack(Road):
    """The deployed stack, with what the storm needs to know of its inside."""

    def __init__(self, endpoint: str, outputs: dict[str, str], server: Part) -> None:
        """Remember where everything is."""
        super().__init__(endpoint, outputs)
        self.server = server
        self.table = outputs["TurnsTable"]
        # Of a stack that takes events.
        self._events_url = outputs.get("EventsUrl", "")
        self._events_key = outputs.get("EventsKeyArn", "")

    @cached_property
    def hears_at(self) -> str:
        """The whole address for Quantemplate's events, with its key."""
        secret = self.client("secretsmanager").get_secret_value(SecretId=self._events_key)
        return f"{self._events_url.rstrip('/')}/{json.loads(secret['SecretString'])['key']}"

    def limit(self, **quotas: Any) -> None:
        """Let the account have these quotas; emulator/README.md knows them."""
        requests.put(self.endpoint + QUOTAS, json=quotas, timeout=60).raise_for_status()

    def requests_counted(self) -> dict[str, dict[str, int]]:
        """How many requests of each kind were taken and refused since the quotas were set."""
        answer = requests.get(self.endpoint + QUOTAS, timeout=60)
        answer.raise_for_status()
        counts: dict[str, dict[str, int]] = answer.json()["counts"]
        return counts

    def resource(self, logical_id: str) -> str:
        """The physical id of one of the template's resources."""
        found = self.client("cloudformation").describe_stack_resource(
            StackName="straight-through", LogicalResourceId=logical_id
        )
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def executions(self, status: str = "") -> list[dict[str, Any]]:
        """All executions, or those of one status."""
        only = {"statusFilter": status} if status else {}
        pages = (
            self.client("stepfunctions")
            .get_paginator("list_executions")
            .paginate(
                stateMachineArn=self.state_machine, PaginationConfig={"PageSize": 1000}, **only
            )
        )
        return [each for page in pages for each in page["executions"]]

    def items(self) -> list[dict[str, Any]]:
        """All items of the table of turns."""
        pages = self.client("dynamodb").get_paginator("scan").paginate(TableName=self.table)
        return [item for page in pages for item in page["Items"]]


@contextmanager
def deployed(
    stand_in: Control,
    log: Path,
    time_scale: str = TIME_SCALE,
    *,
    killed: bool = True,
    **more: str,
) -> Iterator[Stack]:
    """The application on a local AWS of its own; functions that are to be `killed` heal soon.

    `more` are other parameters of the stack.
    """
    layer = layer_zip(ROOT / "layers", LOCAL / "build")
    options = ("--port", "0", "--time-scale", time_scale, "--workers", WORKERS)
    with running_aws(log, *options) as (endpoint, aws):
        parameters = {
            "QuantemplateApiUrl": stand_in.api_url,
            "QuantemplateTokenUrl": stand_in.token_url,
            "LateListSeconds": LATE_LIST_SECONDS,
            "QuantemplateEvents": "on",
            **more,
        }
        client = clients(endpoint)
        outputs = deploy(client, ROOT, layer, parameters, lambda _: None)
        server = Quantemplate(stand_in.api_url, stand_in.token_url)
        put_credentials(
            client("secretsmanager"),
            outputs["CredentialsSecretArn"],
            server.client_id,
            server.client_secret,
        )
        stack = Stack(endpoint, outputs, aws)
        if killed:
            heal_soon(stack)
        yield stack


def heal_soon(stack: Stack) -> None:
    """Shorten the times after which a killed function's work is taken up again."""
    stack.client("lambda").update_function_configuration(
        FunctionName=stack.resource("UploadAndExecute"), Timeout=UPLOAD_TIMEOUT
    )
    stack.client("sqs").set_queue_attributes(
        QueueUrl=stack.resource("Drops"),
        Attributes={"VisibilityTimeout": str(VISIBILITY_TIMEOUT)},
    )
