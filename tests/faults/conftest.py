"""A world for each fault."""

from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType
from typing import Any

import boto3
import pytest
from botocore import xform_name
from botocore.client import BaseClient

from local.quantemplate import Control, running
from tests.faults.world import World
from tests.model.dynamodb import TABLE, DynamoDB
from tests.unit.conftest import OUTBOX, aws, load, s3, secret_arn, session
from tests.unit.machine import MACHINE

boto3_client = cache(boto3.client)  # for all tests: making one takes long
__all__ = ["aws", "load", "s3", "secret_arn", "session"]


@pytest.fixture(scope="session")
def stand_in() -> Iterator[Control]:
    """A stand-in Quantemplate."""
    with running() as control:
        yield control


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of turns: the model's, since its HTTP would take most of the time."""
    of_all: Any = BaseClient
    dynamodb, api_call = DynamoDB(lambda _writes: None), of_all._make_api_call

    def make_api_call(client: Any, operation: str, given: dict[str, Any]) -> Any:
        if client.meta.service_model.service_name == "dynamodb":
            return getattr(dynamodb, xform_name(operation))(**given)
        return api_call(client, operation, given)

    monkeypatch.setattr(BaseClient, "_make_api_call", make_api_call)


@pytest.fixture
def world(
    load: Callable[..., ModuleType],
    secret_arn: str,
    s3: Any,
    table: None,  # noqa: ARG001
    stand_in: Control,
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    """The application with a table, a topic and a stand-in Quantemplate."""
    assert s3
    monkeypatch.setattr(boto3, "client", boto3_client)
    variables = {
        "POWERTOOLS_METRICS_NAMESPACE": "StraightThrough",
        "STATE_MACHINE_ARN": MACHINE,
        "TURNS_TABLE": TABLE,
        "TOPIC_ARN": boto3.client("sns").create_topic(Name="topic")["TopicArn"],
        "ROUTES_PATH": "/straight-through/routes",
        "CREDENTIALS_SECRET_ARN": secret_arn,
        "OUTBOX_BUCKET": OUTBOX,
        "QUANTEMPLATE_API_URL": stand_in.api_url,
        "QUANTEMPLATE_TOKEN_URL": stand_in.token_url,
    }
    world = World(load, stand_in, variables)
    world.watch(monkeypatch)
    return world
