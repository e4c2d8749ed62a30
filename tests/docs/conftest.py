"""The local stack of the end-to-end tests, and a reader with a folder of their own."""

import subprocess
from pathlib import Path

import pytest

from local.process import ROOT
from local.quantemplate import Control
from tests.docs.reader import Reader
from tests.end_to_end.road import Road
from tests.end_to_end.stack import sample


@pytest.fixture(scope="session")
def aws() -> None:
    """An aws client, installed where the machine has none that runs."""
    subprocess.run(["make", "aws-client"], cwd=ROOT, check=True)  # noqa: S607


@pytest.fixture
def reader(road: Road, stand_in: Control, aws: None, tmp_path: Path) -> Reader:  # noqa: ARG001
    """Somebody with a file in a new folder."""
    (tmp_path / "may.csv").write_bytes(sample("claims_may.csv"))
    return Reader(road, stand_in, tmp_path)
