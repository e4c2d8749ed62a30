"""What each world of the whole application in one process needs; a folder's conftest takes them."""

import io
import json
import threading
from collections.abc import Iterator
from email.message import Message
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import boto3
import pytest

from local.quantemplate import Control
from local.quantemplate.messages import Call
from local.quantemplate.server import Server
from straight_through.queue.table import Table
from tests.machine.aws import serve_boto3
from tests.machine.machine import ARN
from tests.model.dynamodb import TABLE
from tests.unit.conftest import INBOX, OUTBOX

_made = cache(boto3.client)  # for all tests: making one takes long


def client(service: str, **_options: Any) -> Any:
    """A client, one of each service: a function's own options are new ones in each process."""
    return _made(service)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, session: boto3.Session) -> None:
    """An empty account of our own, in the place of moto's: a world makes thousands of calls."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", session)
    serve_boto3(monkeypatch)


@pytest.fixture
def s3(aws: None) -> Any:  # noqa: ARG001
    """S3 with the stack's two buckets, both versioned."""
    s3 = client("s3")
    for bucket in (INBOX, OUTBOX):
        s3.create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return s3


class Near(Control):
    """The handle on a stand-in of this process, which it tells what to do without HTTP."""

    def __init__(self, server: Server) -> None:
        """Take the server."""
        super().__init__(server.url)
        self._server = server

    def _order(self, method: str, path: str, content: dict[str, Any] | None = None) -> Any:
        target, _, query = path.partition("?")
        body, headers = json.dumps(content or {}).encode(), Message()
        headers["Content-Length"] = str(len(body))
        source, pause = io.BytesIO(body), self._server.stopping.wait
        asked = dict(parse_qsl(query))
        call = Call(method, f"/control/{target}", asked, headers, source, pause)
        reply = self._server.answer(call)
        assert isinstance(reply.body, bytes)
        result = json.loads(reply.body)
        if reply.status >= HTTPStatus.BAD_REQUEST:
            raise ValueError(result["error"])
        return result


@pytest.fixture(scope="session")
def stand_in() -> Iterator[Control]:
    """A stand-in Quantemplate."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Near(server)
    finally:
        server.stop()
        thread.join()


@pytest.fixture
def environment(
    secret_arn: str,
    s3: Any,
    table: Table,  # noqa: ARG001
    stand_in: Control,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, str]:
    """What all functions are told of a stack with buckets, a table, a topic and a secret."""
    assert s3
    monkeypatch.setattr(boto3, "client", client)
    return {
        "STATE_MACHINE_ARN": ARN,
        "TURNS_TABLE": TABLE,
        "TOPIC_ARN": boto3.client("sns").create_topic(Name="topic")["TopicArn"],
        "ROUTES_PATH": "/straight-through/routes",
        "CREDENTIALS_SECRET_ARN": secret_arn,
        "OUTBOX_BUCKET": OUTBOX,
        "INBOX_BUCKET": INBOX,
        "INBOX_PREFIX": "",
        "QUANTEMPLATE_API_URL": stand_in.api_url,
        "QUANTEMPLATE_TOKEN_URL": stand_in.token_url,
    }
