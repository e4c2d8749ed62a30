"""Clients of AWS's services.

What each invocation needs is made while the function starts, which is when Lambda gives it most of
a processor. What only some need is made at its first use: made early, CheckStatus's three would add
a sixth to its start. What boto3 takes stands in `requirements.in`.

A call ends, all its tries included, before the function's own time-out: a service that hangs is an
error with a name, and no function that is killed. By itself, botocore would wait for a minute to
connect and for another to be answered, five times over.
"""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from straight_through.errors import AwsDenied, AwsUnavailable
from straight_through.text import shown

# The descriptions of services are 70,000 objects that all stay. Looking through them for garbage
# after every 700 new ones, as Python does, takes a seventh of a start: 41 ms of 279.
gc.set_threshold(200_000, 50, 50)

# Parts of the codes by which AWS says "not now", whatever the status; KMS throttles with a 400.
# They are those of botocore's own retries, and what a function's next process has anew.
PASSES = (
    *("Throttl", "TooManyRequests", "LimitExceeded", "ThroughputExceeded", "SlowDown"),
    *("RequestTimeout", "PriorRequestNotComplete", "ExpiredToken"),
)

# Parts of the codes by which AWS denies a call to a role. Who reads or writes S3 names its own.
DENIES = ("AccessDenied", "AuthorizationError", "UnauthorizedOperation", "NotAuthorized")
LONGEST_WORDS = 500  # characters of AWS's own: they name the role, the action and the resource


TRIES = 3  # of one call
CONNECT_TIMEOUT = 2  # seconds
REPLY_TIMEOUT = 6  # seconds without a byte
OF_S3 = 30  # likewise: it answers some calls only when it has copied or put together


@contextmanager
def answering(service: str) -> Iterator[None]:
    """Give what passes by itself, and what a role may not, names by which it is tried again.

    Raises AwsUnavailable, AwsDenied. Any other answer stays what it is: who calls may expect it.
    """
    try:
        yield
    except BotoCoreError as error:
        raise AwsUnavailable(f"{service} does not answer: {error}") from None
    except ClientError as error:
        status, code = answer_of(error)
        if any(part in code for part in DENIES):
            raise denied(service, error) from None
        if not passes(error):
            raise
        raise AwsUnavailable(f"{service} does not answer now: HTTP {status}, {code}.") from None


def denied(service: str, error: ClientError) -> AwsDenied:
    """Return what stands for a service's denial, with what to do."""
    return AwsDenied(
        f"{service} denied {error.operation_name} ({answer_of(error)[1]}: {words_of(error)}). Give "
        "that right to whom AWS names there: a function has it when the template is deployed anew. "
        "The state machine tries again for five minutes, since changes of roles are slow; after "
        "that, redrive the run."
    )


def passes(error: Exception, codes: Sequence[str] = PASSES) -> bool:
    """Whether AWS's failure passes by itself; `codes` has parts of those that do.

    A cancelled transaction goes by the codes of its reasons.
    """
    if not isinstance(error, ClientError):
        return True
    status, code = answer_of(error)
    reasons = [reason.get("Code", "") for reason in error.response.get("CancellationReasons", [])]
    return status >= 500 or any(part in each for part in codes for each in (code, *reasons))


def answer_of(error: ClientError) -> tuple[int, str]:
    """Return the status and the code of AWS's answer."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
    return status, error.response["Error"]["Code"]


def words_of(error: ClientError) -> str:
    """Return AWS's own words, within bounds."""
    return shown(str(error.response["Error"].get("Message", "")), LONGEST_WORDS)


def client(service: str) -> Any:
    """Return a client of the region and the role that the environment names."""
    config = Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=OF_S3 if service == "s3" else REPLY_TIMEOUT,
        retries={"mode": "standard", "total_max_attempts": TRIES},
    )
    return boto3.client(service, config=config)  # type: ignore[call-overload]


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
