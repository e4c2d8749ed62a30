"""Clients of AWS's services, made by botocore: importing boto3 for them would cost a fifth more.

What each invocation needs is made while the function starts, which is when Lambda gives it most of
a processor. What only some need is made at its first use.
"""

from functools import cache, cached_property
from typing import Any

from botocore.session import Session


def client(service: str) -> Any:
    """Return a client of the region and the role that the environment names."""
    return _session().create_client(service)


def later(service: str) -> Any:
    """Return a client that is made at its first use."""
    return _Later(service)


class _Later:
    """Stands for a client until somebody uses it."""

    def __init__(self, service: str) -> None:
        """Take the service's name."""
        self._service = service

    @cached_property
    def _client(self) -> Any:
        """Return the client."""
        return client(self._service)

    def __getattr__(self, name: str) -> Any:
        """Return what the client has under this name."""
        return getattr(self._client, name)


@cache
def _session() -> Session:
    """Return the one session of the process: the descriptions of services are read once."""
    return Session()
