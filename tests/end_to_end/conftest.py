"""The whole application on the local AWS with the stand-in Quantemplate, once for all tests."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.build import layer_zip
from local.process import ROOT, Part, wait_until_ready
from local.quantemplate import Control, running
from local.stack import LOCAL, Quantemplate, deployed
from tests.end_to_end.road import Road, Route

TIME_SCALE = "0.02"  # of waits and retry intervals; a pipeline's two seconds take as long as 0.04


@pytest.fixture(scope="session")
def stand_in() -> Iterator[Control]:
    """A stand-in Quantemplate."""
    with running(time_scale=float(TIME_SCALE)) as control:
        yield control


@pytest.fixture(scope="session")
def road(stand_in: Control, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """The deployed application."""
    layer = layer_zip(ROOT / "layers", LOCAL / "build")
    log = tmp_path_factory.mktemp("road") / "aws.log"
    aws = Part("local AWS", "local.aws", "--port", "0", "--time-scale", TIME_SCALE, log=log)
    try:
        (endpoint,) = wait_until_ready(aws)
        server = Quantemplate(stand_in.api_url, stand_in.token_url)
        outputs = deployed(endpoint, server, layer, lambda _: None, LateListSeconds="2")
        yield Road(endpoint, dict(outputs))
    finally:
        aws.ask_to_stop()
        aws.stop()


@pytest.fixture
def copy_route(road: Road, stand_in: Control) -> Route:
    """A route of the test's own, whose pipeline gives the file back unchanged as one output."""
    return make_route(road, stand_in, "Copy: Sheet 1")


def make_route(road: Road, stand_in: Control, *outputs: str) -> Route:
    """A route of the test's own, whose pipeline gives the file back as each of the outputs."""
    mark = uuid.uuid4().hex[:8]
    dataset, pipeline = f"d-{mark}", f"p-{mark}"
    stand_in.define_dataset(dataset)
    stand_in.define_pipeline(pipeline, kind="copy", datasets=[dataset], outputs=list(outputs))
    return road.route_to(dataset, pipeline)


def sample(name: str) -> bytes:
    """One of the sample files."""
    return Path(ROOT / "local" / "samples" / name).read_bytes()
