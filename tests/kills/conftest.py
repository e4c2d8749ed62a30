"""The whole application in one process, for stories in which its functions die."""

from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType
from typing import Any

import boto3
import pytest

from local.quantemplate import Control, running
from straight_through.queue.table import Table
from tests.kills.world import World
from tests.machine.machine import ARN
from tests.model.dynamodb import TABLE
from tests.unit.conftest import OUTBOX, aws, load, s3, secret_arn, session, table

__all__ = ["aws", "load", "s3", "secret_arn", "session", "table"]


@pytest.fixture(scope="module")
def stand_in() -> Iterator[Control]:
    """A stand-in Quantemplate."""
    with running() as control:
        yield control


@pytest.fixture
def world(
    load: Callable[..., ModuleType],
    secret_arn: str,
    s3: Any,
    table: Table,  # noqa: ARG001
    stand_in: Control,
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    """The application with a table, a topic and a stand-in Quantemplate."""
    assert s3
    monkeypatch.setattr(boto3, "client", cache(boto3.client))  # making one takes long
    environment = {
        "STATE_MACHINE_ARN": ARN,
        "IGNORE_PATTERNS": "*.filepart",
        "TURNS_TABLE": TABLE,
        "TOPIC_ARN": boto3.client("sns").create_topic(Name="topic")["TopicArn"],
        "ROUTES_PATH": "/straight-through/routes",
        "CREDENTIALS_SECRET_ARN": secret_arn,
        "OUTBOX_BUCKET": OUTBOX,
        "INBOX_PREFIX": "",
        "QUANTEMPLATE_API_URL": stand_in.api_url,
        "QUANTEMPLATE_TOKEN_URL": stand_in.token_url,
        "LATE_LIST_SECONDS": "120",
        "EMPTY_FILE_MINUTES": "10",
        "LARGEST_UNZIPPED_GB": "20",
        "LARGEST_UNZIPPED_RATIO": "500",
        "PIPELINE_DEADLINE_HOURS": "168",
        "API_PATIENCE_HOURS": "12",
        "BUSY_DEADLINE_HOURS": "24",
        "TURN_DEADLINE_HOURS": "720",
        "QUEUE_ALARM_HOURS": "4",
    }
    world = World(load, stand_in, environment)
    world.watch(monkeypatch)
    return world
