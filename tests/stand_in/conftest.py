"""A stand-in for each test, at a hundredth of its waiting, and a client of its API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.quantemplate import Control, running
from tests.stand_in.client import Client


@pytest.fixture(scope="session")
def server() -> Iterator[Control]:
    with running(time_scale=0.01) as control:
        yield control


@pytest.fixture
def stand_in(server: Control) -> Control:
    server.reset()
    server.settings(time_scale=0.01)
    return server


@pytest.fixture
def stranger(stand_in: Control) -> Iterator[Client]:
    """A client that has no token yet."""
    client = Client(stand_in)
    with client.session:
        yield client


@pytest.fixture
def client(stranger: Client) -> Client:
    """A client that carries a good token."""
    return stranger.sign_in()
