"""The whole application in one process, for stories in which its functions die."""

from collections.abc import Callable
from types import ModuleType

import pytest

from local.quantemplate import Control
from tests.kills.world import World
from tests.machine.fixtures import aws, environment, s3, stand_in
from tests.unit.conftest import load, secret_arn, session, table

__all__ = ["aws", "environment", "load", "s3", "secret_arn", "session", "stand_in", "table"]
SETTINGS = {
    "IGNORE_PATTERNS": "*.filepart",
    "LATE_LIST_SECONDS": "120",
    "QUANTEMPLATE_EVENTS": "off",
    "EMPTY_FILE_MINUTES": "10",
    "SET_WAIT_HOURS": "48",
    "LARGEST_UNZIPPED_GB": "20",
    "LARGEST_UNZIPPED_RATIO": "500",
    "PIPELINE_DEADLINE_HOURS": "168",
    "API_PATIENCE_HOURS": "12",
    "BUSY_DEADLINE_HOURS": "24",
    "TURN_DEADLINE_HOURS": "720",
    "QUEUE_ALARM_HOURS": "4",
    "MOST_UPDATE_RUNS_AN_HOUR": "10",
    "PIPELINE_PAGE_URL": "",
    "TAGGED_FILES": "",
}


@pytest.fixture
def world(
    load: Callable[..., ModuleType],
    environment: dict[str, str],
    stand_in: Control,
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    """The application, and calls that can kill a function."""
    world = World(load, stand_in, environment | SETTINGS)
    world.watch(monkeypatch)
    return world
