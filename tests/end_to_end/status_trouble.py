"""Tell the local AWS to have trouble with its status-change events, and to behave again."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

PATH = "/_local/status-events"  # emulator/README.md


def told(endpoint: str, method: str, settings: dict[str, Any] | None = None) -> requests.Response:
    """The answer of the trouble's control."""
    return requests.request(method, endpoint + PATH, json=settings, timeout=60)


def counts(endpoint: str) -> dict[str, int]:
    """How many events there were since the trouble began: published, lost, doubled, late."""
    found: dict[str, int] = told(endpoint, "GET").json()["counts"]
    return found


@contextmanager
def troubled(endpoint: str, **settings: float) -> Iterator[None]:
    """Trouble for the time being."""
    answer = told(endpoint, "PUT", settings)
    assert answer.status_code == 200, answer.text
    try:
        yield
    finally:
        told(endpoint, "DELETE").raise_for_status()
