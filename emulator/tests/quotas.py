"""Tell a local AWS its quotas, and to go back to those that it was started with."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

PATH = "/_local/quotas"


def told(endpoint: str, method: str, quotas: Any = None) -> requests.Response:
    """The answer of the quotas' control."""
    return requests.request(method, endpoint + PATH, json=quotas, timeout=60)


@contextmanager
def limited(endpoint: str, **quotas: Any) -> Iterator[None]:
    """These quotas for the time being."""
    answer = told(endpoint, "PUT", quotas)
    assert answer.status_code == 200, answer.text
    try:
        yield
    finally:
        told(endpoint, "DELETE").raise_for_status()
