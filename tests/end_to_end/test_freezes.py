"""Between two invocations a function's connections die, as they may on AWS: nothing comes of it."""

import uuid
from collections.abc import Iterator

import pytest
import requests

from local.quantemplate import Control
from tests.end_to_end.road import Road, Route

CONTENT = b"reference,amount\nA-1,100\n"
PATH = "/_local/freezes"  # emulator/README.md


@pytest.fixture
def _freezing(road: Road) -> Iterator[None]:
    """No connection outlives the time between two invocations, however short that is."""
    url = road.endpoint + PATH
    requests.put(url, json={"connection_seconds": 0}, timeout=60).raise_for_status()
    yield
    requests.delete(url, timeout=60).raise_for_status()


@pytest.mark.usefixtures("_freezing")
def test_dead_connections_change_nothing(road: Road, stand_in: Control, copy_route: Route) -> None:
    # Given functions that have been invoked before, and the connections that they have kept
    first = road.processed(f"{copy_route.name}/{uuid.uuid4().hex}.csv", CONTENT)
    # When another file goes the same road
    second = road.processed(f"{copy_route.name}/{uuid.uuid4().hex}.csv", CONTENT)
    # Then both arrive, with one execution each
    assert (first.status, second.status) == ("SUCCEEDED", "SUCCEEDED"), second.cause
    assert len(stand_in.pipelines()[copy_route.pipeline_id]["runs"]) == 2
    # And nothing that met a dead connection was waited for
    told = [line for run in (first, second) for line in road.logs(run.name)]
    assert told
    assert not [line for line in told if "ApiUnavailable" in line]
