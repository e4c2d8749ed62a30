"""The command `stp` as a shell runs it, on moto's AWS or on the local stack."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
import pytest
from moto import mock_aws

from local.deploy import REGION, STACK_NAME
from stp.app import main
from stp.stack import Stack
from tests.end_to_end.road import Road

MACHINE = f"arn:aws:states:{REGION}:123456789012:stateMachine:{STACK_NAME}"


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed with --json."""
        return json.loads(self.out)


Stp = Callable[..., Done]


@pytest.fixture
def stp(capsys: pytest.CaptureFixture[str]) -> Stp:
    """Run the command with the environment as it is."""

    def run(*arguments: str) -> Done:
        capsys.readouterr()
        code = main(arguments)
        out, err = capsys.readouterr()
        return Done(code, out, err)

    return run


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's credentials."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "STACK_NAME", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)


@pytest.fixture
def local_stp(stp: Stp, road: Road, monkeypatch: pytest.MonkeyPatch) -> Stp:
    """Run the command on the local stack, as after `. .local/stack.env`."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", road.endpoint)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    monkeypatch.setattr("stp.follow.FIRST_LOOK", 0.1)
    monkeypatch.setattr("stp.commands_runs.LOOK_EVERY", 0.2)
    return stp


@pytest.fixture
def environment(road: Road) -> dict[str, str]:
    """What `. .local/stack.env` sets in a shell."""
    return {
        "AWS_ENDPOINT_URL": road.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "NO_PROXY": "127.0.0.1,localhost",
    }


@pytest.fixture(scope="session")
def session() -> boto3.Session:
    """What makes clients, one for all tests: making another takes as long as most of them."""
    return boto3.Session("test", "test", region_name=REGION)


@pytest.fixture(scope="session")
def client(session: boto3.Session) -> Callable[[str], Any]:
    """A client that nothing is changed of, the same for all tests."""
    return cache(session.client)


@pytest.fixture
def stack(session: boto3.Session, client: Callable[[str], Any]) -> Iterator[Stack]:
    """A stack of moto's AWS: empty buckets, a queue and a secret, but no functions."""
    with mock_aws():
        s3 = client("s3")
        for bucket in ("inbox", "outbox"):
            where: Any = {"LocationConstraint": REGION}
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
        secret = client("secretsmanager").create_secret(Name="credentials")["ARN"]
        client("dynamodb").create_table(
            TableName="turns",
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        outputs = {
            "InboxBucket": "inbox",
            "OutboxBucket": "outbox",
            "StateMachineArn": MACHINE,
            "RoutesPath": f"/{STACK_NAME}/routes",
            "TurnsTable": "turns",
            "CredentialsSecretArn": secret,
            "TopicArn": client("sns").create_topic(Name="topic")["TopicArn"],
        }
        parameters = {
            "IgnorePatterns": "notes.*",
            "QuantemplateApiUrl": "http://127.0.0.1:9/external/v1",
            "QuantemplateTokenUrl": "http://127.0.0.1:9/token",
        }
        yield Stack(STACK_NAME, REGION, session, "CREATE_COMPLETE", outputs, parameters)


@pytest.fixture
def deployed(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """The stack of moto's AWS as the one that the command finds."""
    monkeypatch.setattr("stp.here.open_stack", lambda *_: stack)
    return stack
