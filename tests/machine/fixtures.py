"""What each world of the whole application in one process needs; a folder's conftest takes them."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import boto3
import pytest

from local.quantemplate import Control, running
from straight_through.queue.table import Table
from tests.machine.machine import ARN
from tests.model.dynamodb import TABLE
from tests.unit.conftest import INBOX, OUTBOX

_made = cache(boto3.client)  # for all tests: making one takes long


def client(service: str, **_options: Any) -> Any:
    """A client, one of each service: a function's own options are new ones in each process."""
    return _made(service)


@pytest.fixture(scope="session")
def stand_in() -> Iterator[Control]:
    """A stand-in Quantemplate."""
    with running() as control:
        yield control


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
