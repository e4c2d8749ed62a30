"""The errors that end or delay a run; their names are the state machine's contract.

    StraightThroughError
    ├── waited for, while the turn is kept
    │   ├── ApiUnavailable        Quantemplate did not answer, or with a 5xx
    │   ├── ApiThrottled          429
    │   ├── SourceUnavailable     S3 broke off while the dropped object was read
    │   └── PipelineBusy          a run that is not this file's is going on
    ├── tried again by the state machine
    │   ├── AwsUnavailable        DynamoDB, Step Functions, Systems Manager or Secrets Manager
    │   ├── OutboxUnavailable     S3 broke off, or answered 5xx, while the outbox was written
    │   └── OutputIncomplete      a reply broke off, or is no output
    ├── gone astray: back to TakeTurn
    │   └── TurnLost
    └── final until a person mends the cause
        ├── InputInvalid          the execution's input
        ├── SourceNotFound        the dropped object, or this version of it, is gone
        ├── EmptyFile
        ├── NoRoute, RouteInvalid
        ├── RouteConflict         another queue uses the route's dataset or pipeline
        ├── WrongFormat           the file's first bytes are not what its name says
        ├── HeaderMismatch        the header row is not the route's
        ├── OutputMissing         the run has not made what the route names
        ├── DestinationClash      two outputs would go to one key
        ├── DestinationFailed     copies could not be written
        ├── ChainCycle            the chain of routes would go round for ever
        ├── ReleaseRefused        there is nothing held to release
        ├── CredentialsMissing    the secret has no value, or one of another shape
        ├── CredentialsRejected   401
        ├── AccessDenied          403
        ├── NotFound              404
        ├── OutboxDenied          403 from S3, while the outbox was written
        ├── RequestRefused        any other 4xx, or a reply that is not the API's
        ├── ExecuteUncertain      Execute's reply was lost, and the list does not tell
        ├── TransferTooSlow       a function's 15 minutes will not be enough for the file
        ├── FunctionKilled        the upload's function died again and again
        ├── TurnOverdue           the turn did not come in time
        └── PipelineFailed, PipelineCancelled, PipelineOverdue

A message says what happened, to which file and route, and what to do.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class StraightThroughError(Exception):
    """Base of all errors that this application names."""


class WaitedFor(StraightThroughError):
    """What passes by itself; `retry_after` is when to look again, in seconds, 0 if nobody says."""

    def __init__(self, message: str, *, retry_after: float = 0) -> None:
        """Keep the wait that was asked for, in seconds."""
        super().__init__(message)
        self.retry_after = retry_after


class ApiUnavailable(WaitedFor):
    """Quantemplate did not answer, or answered 5xx; `sent` says whether it may have acted on it."""

    def __init__(self, message: str, *, sent: bool = True, retry_after: float = 0) -> None:
        """Keep whether the request may have reached the server."""
        super().__init__(message, retry_after=retry_after)
        self.sent = sent


class ApiThrottled(WaitedFor):
    """Quantemplate answered 429."""


class SourceUnavailable(WaitedFor):
    """S3 broke off while the dropped object was read."""


class PipelineBusy(WaitedFor):
    """A run or an upload that is not this attempt's may be going on."""


class AwsUnavailable(StraightThroughError):
    """An AWS service that the functions need does not answer, or throttles."""


class TurnLost(StraightThroughError):
    """The execution's turn was passed on: it asks for another one."""


class OutputIncomplete(StraightThroughError):
    """A reply to Download that is short, encoded or no output; nothing of it was stored."""


class OutboxUnavailable(StraightThroughError):
    """S3 did not take what was written into the outbox, for now."""


class OutboxDenied(StraightThroughError):
    """S3 does not let the function write into the outbox."""


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


class RouteConflict(StraightThroughError):
    """The route's dataset or pipeline belongs to another queue."""


class WrongFormat(StraightThroughError):
    """The file's first bytes are not those of the format that its name says."""


class HeaderMismatch(StraightThroughError):
    """The file's header row is not the one that the route asks for."""


class OutputMissing(StraightThroughError):
    """The run has made no output that the route names."""


class DestinationClash(StraightThroughError):
    """Two outputs would be written to one key; nothing was exported."""


class DestinationFailed(StraightThroughError):
    """Some copies could not be written to their destinations; the others are there."""


class ChainCycle(StraightThroughError):
    """The routes of a chain lead back to one of them; nothing was chained."""


class ReleaseRefused(StraightThroughError):
    """The run that was to be released is not held."""


class CredentialsMissing(StraightThroughError):
    """The secret is to be deleted, has no value, or one that is not the client id and secret."""


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


class TransferTooSlow(StraightThroughError):
    """A file goes by so slowly that the function would be killed before its end."""


class FunctionKilled(StraightThroughError):
    """The function that uploads died several times in a row."""


class TurnOverdue(StraightThroughError):
    """The turn did not come within the deadline."""


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
