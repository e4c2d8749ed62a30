"""Fixtures of the unit tests: moto's AWS, a scripted server, and each function freshly imported."""

import json
import logging
import socket
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import CodeType, ModuleType, SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

import straight_through.aws
from quantemplate.client import Credentials, Quantemplate
from straight_through.attempts import attempt_of
from straight_through.executing.connection import connected
from straight_through.queue.records import record_key
from straight_through.queue.table import Table, update
from straight_through.queue.turns import queue_key
from tests.model.dynamodb import TABLE as TURNS
from tests.model.dynamodb import serve_boto3
from tests.unit.fake_states import FakeStates
from tests.unit.wire import Wire, serving

ROOT = Path(__file__).parents[2]
INBOX, OUTBOX = "straight-through-inbox", "straight-through-outbox"
# For all tests: making a client takes longer than most of them.
made_once, ours_once = cache(boto3.client), cache(straight_through.aws.client)
ROUTE = {"organisation_id": "c-broker", "dataset_id": "d-claims", "pipeline_id": "p-claims"}


class _StdoutOfNow:
    """Standard output, which pytest replaces between a test's fixtures and the test."""

    def write(self, text: str) -> None:
        """Write to it."""
        sys.stdout.write(text)

    def flush(self) -> None:
        """Do as streams do."""


@cache
def compiled(path: Path) -> CodeType:
    """Compile a function's file, once for all tests that import it."""
    return compile(path.read_text("utf-8"), path, "exec")


Event = Callable[[str], dict[str, Any]]
Handler = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def event() -> Event:
    """Read one of the sample events."""
    return lambda name: json.loads((ROOT / "events" / f"{name}.json").read_text("utf-8"))


@pytest.fixture
def wire() -> Iterator[Wire]:
    """A server that answers as it is told."""
    with serving() as served:
        yield served


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address on loopback where connections are refused: bound, and nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture
def client(wire: Wire) -> Quantemplate:
    """A client of that server, as our functions have it."""
    credentials = Credentials("straight-through", "s3cr3t")
    return connected(credentials, api_url=wire.api_url, token_url=wire.token_url)


@pytest.fixture(scope="session")
def session() -> boto3.Session:
    """One boto3 for all tests: making another reads its service models anew."""
    return boto3.Session("test", "test", region_name="eu-west-1")


@pytest.fixture(scope="session", autouse=True)
def _moto_of_boto3() -> Iterator[None]:
    """Let moto answer boto3 alone: that it hears `requests` too costs 1,300 patterns a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("moto.core.models.RESPONSES_METHODS", [])
        yield


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, session: boto3.Session) -> Iterator[None]:
    """An empty account in moto."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", session)
        monkeypatch.setattr(straight_through.aws, "client", ours_once)
        yield


@pytest.fixture
def s3(aws: None) -> Any:  # noqa: ARG001
    """S3 with the stack's two buckets, both versioned."""
    engine = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]  # a quarter of what four calls take
    for bucket in (INBOX, OUTBOX):
        engine.create_bucket(bucket, "eu-west-1")
        engine.put_bucket_versioning(bucket, "Enabled")
    return made_once("s3")


@pytest.fixture
def table(aws: None, monkeypatch: pytest.MonkeyPatch) -> Table:  # noqa: ARG001
    """The stack's table of turns, empty: the model's, since moto's HTTP takes most of the time."""
    serve_boto3(monkeypatch)
    return Table(made_once("dynamodb"), TURNS)


@pytest.fixture
def states(aws: None) -> FakeStates:  # noqa: ARG001
    """Step Functions, as those see it who answer task tokens."""
    return FakeStates(made_once("stepfunctions").exceptions)


@pytest.fixture
def secret_arn(aws: None) -> str:  # noqa: ARG001
    """The stack's secret with a value in it."""
    value = json.dumps({"client_id": "straight-through", "client_secret": "s3cr3t"})
    made = made_once("secretsmanager").create_secret(Name="credentials", SecretString=value)
    return str(made["ARN"])


@pytest.fixture
def load(
    aws: None,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., ModuleType]]:
    """Import a function under a name of its own, with the environment that is given."""
    services = []

    def load(name: str, **environment: str) -> ModuleType:
        monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", name)
        monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "StraightThrough")
        for variable, value in environment.items():
            monkeypatch.setenv(variable, value)
        services.append(name)
        app = ModuleType(f"function_{name}")
        exec(compiled(ROOT / "functions" / name / "app.py"), vars(app))  # noqa: S102 - our own code
        for logs_to in logging.getLogger(name).handlers:
            assert isinstance(logs_to, logging.StreamHandler)
            logs_to.setStream(_StdoutOfNow())
        return app

    yield load
    for service in services:
        logging.Logger.manager.loggerDict.pop(service, None)


@pytest.fixture
def handler(
    load: Callable[..., ModuleType],
    secret_arn: str,
    wire: Wire,
    s3: Any,
    table: Table,
    states: FakeStates,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Handler]:
    """The handler of a function in a stack with a route, a secret and a scripted Quantemplate.

    What is named beside the function takes the place of its settings.
    """
    assert s3
    assert table
    made_once("ssm").put_parameter(
        Name="/straight-through/routes/claims", Type="String", Value=json.dumps(ROUTE)
    )

    topic = made_once("sns").create_topic(Name="messages")["TopicArn"]

    real = straight_through.aws.client
    monkeypatch.setattr(
        straight_through.aws,
        "client",
        lambda service: states if service == "stepfunctions" else real(service),
    )

    def handler(name: str, **settings: str) -> Handler:
        app = load(
            name,
            TURNS_TABLE=TURNS,
            TOPIC_ARN=topic,
            LATE_LIST_SECONDS="120",
            EMPTY_FILE_MINUTES="10",
            SET_WAIT_HOURS="48",
            LARGEST_UNZIPPED_GB="20",
            LARGEST_UNZIPPED_RATIO="500",
            API_PATIENCE_HOURS="12",
            BUSY_DEADLINE_HOURS="24",
            TURN_DEADLINE_HOURS="720",
            QUEUE_ALARM_HOURS="4",
            MOST_UPDATE_RUNS_AN_HOUR="10",
            STATE_MACHINE_ARN="arn:aws:states:eu-west-1:000000000000:stateMachine:straight-through",
            QUANTEMPLATE_API_URL=wire.api_url,
            QUANTEMPLATE_TOKEN_URL=wire.token_url,
            CREDENTIALS_SECRET_ARN=secret_arn,
            OUTBOX_BUCKET=OUTBOX,
            INBOX_BUCKET=INBOX,
            ROUTES_PATH="/straight-through/routes",
            PIPELINE_DEADLINE_HOURS="168",
            **(
                {"INBOX_PREFIX": "", "QUANTEMPLATE_EVENTS": "off"}
                | {"TAGGED_FILES": "", "PIPELINE_PAGE_URL": ""}
                | settings
            ),
        )
        return lambda event: app.handler(event, lambda_context(name))

    return handler


def unhurried() -> float:
    """How many seconds an invocation has left whose clock stands still."""
    return 900.0


def lambda_context(name: str) -> SimpleNamespace:
    """What Lambda passes beside the event."""
    return SimpleNamespace(
        function_name=name,
        memory_limit_in_mb=256,
        invoked_function_arn=f"arn:aws:lambda:eu-west-1:000000000000:function:{name}",
        aws_request_id="8f5d2c1e-0000-4000-8000-000000000000",
        get_remaining_time_in_millis=lambda: 900_000,
    )


def give_turn(table: Table, given: dict[str, Any], source: dict[str, Any]) -> None:
    """Let the execution of a step's event hold the turn that the event names."""
    attempt, turn = attempt_of(given["execution"]), given["record"]["turn"]
    holder = {
        "execution_arn": attempt.execution_arn,
        "run": attempt.run,
        "redrive_count": attempt.redrive_count,
        "turn_id": turn["turn_id"],
        "token": "token",
        "route": "claims",
        "granted_at": attempt.began,
        "entered": False,
        "kills": 0,
    }
    table.together(
        update(queue_key(turn["queue"]), "SET #holder = :holder", holder=holder),
        update(
            record_key(attempt.run),
            "SET #source = :source, #queue = :queue, #ticket = :ticket, #stamp = :stamp",
            source=source,
            queue=turn["queue"],
            ticket=attempt.order,
            stamp="00000",
        ),
    )
