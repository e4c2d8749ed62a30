"""The errors that end or delay a run; their names are the state machine's contract.

    StraightThroughError
    ├── tried again by the state machine
    │   ├── ApiUnavailable        Quantemplate did not answer, or with a 5xx
    │   ├── ApiThrottled          429
    │   ├── SourceUnavailable     S3 broke off while the dropped object was read
    │   └── OutputIncomplete      a reply broke off, or is no output
    └── final until a person mends the cause
        ├── InputInvalid          the execution's input
        ├── SourceNotFound        the dropped object, or this version of it, is gone
        ├── EmptyFile
        ├── NoRoute, RouteInvalid
        ├── CredentialsMissing    the secret has no value, or one of another shape
        ├── CredentialsRejected   401
        ├── AccessDenied          403
        ├── NotFound              404
        ├── RequestRefused        any other 4xx, or a reply that is not the API's
        ├── ExecuteUncertain      Execute's reply was lost, and the list does not tell
        └── PipelineFailed, PipelineCancelled, PipelineOverdue

A message says what happened, to which file and route, and what to do.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class StraightThroughError(Exception):
    """Base of all errors that this application names."""


class ApiUnavailable(StraightThroughError):
    """Quantemplate did not answer, or answered 5xx; `sent` says whether it may have acted on it."""

    def __init__(self, message: str, *, sent: bool = True) -> None:
        """Keep whether the request may have reached the server."""
        super().__init__(message)
        self.sent = sent


class ApiThrottled(StraightThroughError):
    """Quantemplate answered 429; `retry_after` is its own wish in seconds, 0 where it has none."""

    def __init__(self, message: str, *, retry_after: float = 0) -> None:
        """Keep the wait that the server asked for, in seconds."""
        super().__init__(message)
        self.retry_after = retry_after


class SourceUnavailable(StraightThroughError):
    """S3 broke off while the dropped object was read."""


class OutputIncomplete(StraightThroughError):
    """A reply to Download that is short, encoded or no output; nothing of it was stored."""


class InputInvalid(StraightThroughError):
    """The execution's input does not name a file."""


class SourceNotFound(StraightThroughError):
    """The dropped object, or the version that the run is pinned to, does not exist (any more)."""


class EmptyFile(StraightThroughError):
    """The dropped object has no bytes."""


class NoRoute(StraightThroughError):
    """No folder of the key has a route."""


class RouteInvalid(StraightThroughError):
    """A route's document is not what a route must be."""


class CredentialsMissing(StraightThroughError):
    """The secret has no value, or one that is not the client id and secret."""


class CredentialsRejected(StraightThroughError):
    """Quantemplate does not accept the client id and secret, or the token that it gave for them."""


class AccessDenied(StraightThroughError):
    """Quantemplate answered 403, or S3 did."""


class NotFound(StraightThroughError):
    """Quantemplate does not know the organisation, dataset, pipeline, execution or output."""


class RequestRefused(StraightThroughError):
    """Quantemplate refused the request for good, or something that is not Quantemplate answered."""


class ExecuteUncertain(StraightThroughError):
    """Whether the pipeline was executed cannot be told: a person must look."""


class PipelineFailed(StraightThroughError):
    """The pipeline's run failed in Quantemplate."""


class PipelineCancelled(StraightThroughError):
    """The pipeline's run was cancelled in Quantemplate."""


class PipelineOverdue(StraightThroughError):
    """The pipeline's run has not ended within the deadline."""


@contextmanager
def concerning(subject: str) -> Iterator[None]:
    """Add to each of our errors which file and route it is about."""
    try:
        yield
    except StraightThroughError as error:
        error.args = (f"{error} [{subject}]",)
        raise
