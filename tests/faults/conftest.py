"""A world for each fault."""

from collections.abc import Callable
from types import ModuleType

import pytest

from local.quantemplate import Control
from tests.faults.world import World
from tests.machine.fixtures import aws, environment, s3, stand_in
from tests.unit.conftest import load, secret_arn, session, table

__all__ = ["aws", "environment", "load", "s3", "secret_arn", "session", "stand_in", "table"]


@pytest.fixture
def world(
    load: Callable[..., ModuleType],
    environment: dict[str, str],
    stand_in: Control,
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    """The application, and calls that can meet a fault."""
    variables = environment | {"POWERTOOLS_METRICS_NAMESPACE": "StraightThrough"}
    variables["TAGGED_FILES"] = ""  # as the template's condition has it where no file gets tags
    world = World(load, stand_in, variables)
    world.watch(monkeypatch)
    return world
