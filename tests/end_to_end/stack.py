"""The whole application on the local AWS with the stand-in Quantemplate, once for a file of tests.

The tests of a file share it: what one looks at is its own, by the route, the file or the pipeline.
Those of other files do not: a stack whose tests have ended would sweep their routes for as long as
others run, and take more of the machine than deploying it anew.
"""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from local.build import layer_zip
from local.deploy import REGION, clients
from local.process import ROOT
from local.quantemplate import Control, running
from local.stack import LOCAL, Quantemplate, deployed, origins_on
from tests.end_to_end.aws import running_aws
from tests.end_to_end.mailbox import Mailbox
from tests.end_to_end.road import Road, Route

PARTNER = "partner-files"  # a bucket beside the stack's own that its role may write to
NOT_ALLOWED = "foreign-files"  # and one that it may not
TIME_SCALE = "0.02"  # of waits and retry intervals; a pipeline's two seconds take as long as 0.04


@pytest.fixture(scope="module")
def local_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of a local AWS, with nothing deployed."""
    log = tmp_path_factory.mktemp("road") / "aws.log"
    with running_aws(log, "--port", "0", "--time-scale", TIME_SCALE) as (endpoint, _):
        yield endpoint


@pytest.fixture(scope="module")
def stand_in(local_aws: str) -> Iterator[Control]:
    """A stand-in Quantemplate, which the console of the local AWS may control."""
    pages = origins_on(urlsplit(local_aws).port or 80)
    with running(time_scale=float(TIME_SCALE), pages=pages) as control:
        yield control


@pytest.fixture(scope="module")
def road(local_aws: str, stand_in: Control) -> Road:
    """The deployed application."""
    for bucket in (PARTNER, NOT_ALLOWED):
        clients(local_aws)("s3").create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
    parameters = {
        "LateListSeconds": "2",
        "EmptyFileMinutes": "0.05",  # three seconds
        "DestinationBuckets": PARTNER,
    }
    return made(local_aws, stand_in, **parameters)


def made(endpoint: str, stand_in: Control, **parameters: str) -> Road:
    """The application, deployed on a local AWS under its usual name."""
    layer = layer_zip(ROOT / "layers", LOCAL / "build")
    server = Quantemplate(stand_in.api_url, stand_in.token_url)
    return Road(endpoint, dict(deployed(endpoint, server, layer, lambda _: None, **parameters)))


@pytest.fixture(scope="module")
def mailbox(road: Road) -> Mailbox:
    """All messages to people and all events to other systems, from the first test that asks on."""
    return Mailbox(road)


@pytest.fixture
def copy_route(road: Road, stand_in: Control) -> Route:
    """A route of the test's own, whose pipeline gives the file back unchanged as one output."""
    return make_route(road, stand_in, "Copy: Sheet 1")


def make_route(road: Road, stand_in: Control, *outputs: str, **more: Any) -> Route:
    """A route of the test's own, whose pipeline gives the file back as each of the outputs.

    `more` are other fields of the route's document.
    """
    mark = uuid.uuid4().hex[:8]
    dataset, pipeline = f"d-{mark}", f"p-{mark}"
    stand_in.define_dataset(dataset)
    stand_in.define_pipeline(pipeline, kind="copy", datasets=[dataset], outputs=list(outputs))
    return road.route_to(dataset, pipeline, **more)


def sample(name: str) -> bytes:
    """One of the sample files."""
    return Path(ROOT / "local" / "samples" / name).read_bytes()
