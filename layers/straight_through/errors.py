"""The errors that end or delay a run; their names are the state machine's contract.

    StraightThroughError
    ├── waited for, while the turn is kept
    │   ├── ApiUnavailable        Quantemplate did not answer, with a 5xx, or as it never does
    │   ├── ApiThrottled          429
    │   ├── SourceUnavailable     S3 broke off while the dropped object was read
    │   └── PipelineBusy          an execution that is not this file's goes on
    ├── tried again by the state machine
    │   ├── AwsUnavailable        DynamoDB, Step Functions, Systems Manager or Secrets Manager
    │   ├── AwsDenied             one of these denies it to the function's role, be it for minutes
    │   ├── SourceDenied          S3 does not let this object be read: its key, its class, a policy
    │   ├── OutboxDenied          403 from S3, at the outbox, be it for minutes
    │   ├── DestinationFailed     copies could not be written, be it for minutes
    │   ├── OutboxUnavailable     S3 broke off, or answered 5xx, while the outbox was written
    │   └── OutputIncomplete      a download broke off, or came encoded
    ├── gone astray: back to TakeTurn
    │   └── TurnLost
    └── final until a person mends the cause
        ├── InputInvalid          the execution's input
        ├── SourceNotFound        the dropped object, or this version of it, is gone
        ├── EmptyFile
        ├── NoRoute, RouteInvalid
        ├── RouteTakesNoFile      a file was dropped, and its route has no dataset
        ├── RouteNeedsFile        a run without a file was asked of a route that uploads files
        ├── NotInSet              the file is no member of its route's set, or its set has changed
        ├── RouteConflict         another queue uses the route's dataset or pipeline
        ├── WrongFormat           the file's first bytes are not what its name says
        ├── FileTooLarge          unzipped, the file is larger than the stack allows
        ├── HeaderMismatch        the header row is not the route's
        ├── TableUnclear          the route's table cannot be told in the file beyond doubt
        ├── UploadRefused         Quantemplate, or a firewall before it, refused this file's bytes
        ├── OutputMissing         the execution has not made what the route names
        ├── OutputsTooMany        the execution has made more than one run can fetch
        ├── DestinationClash      two outputs would go to one key
        ├── ChainCycle            the chain of routes would go round for ever
        ├── ReleaseRefused        there is nothing held to release
        ├── CredentialsMissing    the secret has no value, or one of another shape
        ├── CredentialsRejected   401
        ├── AccessDenied          403
        ├── NotFound              404
        ├── AwsRefused            an AWS service refused a call, and would again
        ├── RequestRefused        any other 4xx; an address without TLS
        ├── ExecuteUncertain      Execute's reply was lost, and the list does not tell
        ├── TransferTooSlow       a function's 15 minutes will not be enough for the file
        ├── FunctionKilled        the upload's function died again and again
        ├── TurnOverdue           the turn did not come in time
        ├── PipelineFailed, PipelineCancelled, PipelineOverdue
        ├── PipelineEndUnknown    the execution has ended with a status that nobody knows
        └── Unforeseen            a fault of the application itself, or what nobody thought of

A message says what happened, to which file and route, and what to do. A class's docstring says what
has happened where it ends a run; `remedies.py` says at which states, and what a person does.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from straight_through.text import shown

LONGEST_SUBJECT = 1500  # characters: a key has up to 1,024, and stands beside its route


class StraightThroughError(Exception):
    """Base of all errors that this application names."""

    call = ""  # the call of Quantemplate's API that met it, one of `quantemplate.CALLS`, if one did


class WaitedFor(StraightThroughError):
    """What passes by itself; `retry_after` is when to look again, in seconds, 0 if nobody says."""

    def __init__(self, message: str, *, retry_after: float = 0) -> None:
        """Keep the wait that was asked for, in seconds."""
        super().__init__(message)
        self.retry_after = retry_after


class ApiUnavailable(WaitedFor):
    """Quantemplate did not answer, or with 5xx, or with what is no answer to that call.

    Such are a web page, a redirect, 202, a body that is empty or speaks of an error.

    A turn's holder tries on for ApiPatienceHours, a download for about twelve hours.
    """

    def __init__(self, message: str, *, sent: bool = True, retry_after: float = 0) -> None:
        """Keep whether Quantemplate may have got the request, and acted on it."""
        super().__init__(message, retry_after=retry_after)
        self.sent = sent


class ApiThrottled(WaitedFor):
    """Quantemplate answered 429; waited for as ApiUnavailable is."""


class SourceUnavailable(WaitedFor):
    """S3 broke off while the dropped object was read; waited for as ApiUnavailable is."""


class PipelineBusy(WaitedFor):
    """Another execution or upload of the pipeline went on, for longer than BusyDeadlineHours."""


class AwsUnavailable(StraightThroughError):
    """Another AWS service that the functions need did not answer, or throttled; 20 more tries."""


class AwsDenied(StraightThroughError):
    """An AWS service denied to a function's role what it needs; ten more tries in five minutes.

    The message has AWS's own words: the role, the action and the resource. S3's denials of a
    dropped file and of the outbox have names of their own.
    """


class TurnLost(StraightThroughError):
    """Never the end of a run: its turn was passed on, and it asks for another."""


class OutputIncomplete(StraightThroughError):
    """A reply to Download was short or encoded, and nothing of it was stored.

    Three more tries.
    """


class OutboxUnavailable(StraightThroughError):
    """S3 broke off or answered 5xx while the outbox was written; tried again with growing waits."""


class OutboxDenied(StraightThroughError):
    """S3 answered 403 at the outbox: the role, a policy or a key denies it.

    Ten more tries in five minutes. The message says whether that was a read, a write or a
    deletion, and of what.
    """


class AwsRefused(StraightThroughError):
    """An AWS service refused a call, and would refuse it again.

    What it needs is gone or disabled (a table, a key), or it is a fault of the application; the
    message has AWS's own words.
    """


class InputInvalid(StraightThroughError):
    """The execution's input is not one that the application takes."""


class SourceNotFound(StraightThroughError):
    """The dropped object, or the version that the run is pinned to, is gone."""


class SourceDenied(StraightThroughError):
    """S3 does not let this file be read: its key, its storage class or a policy denies it.

    Ten more tries in five minutes. The message has S3's code, and what to do for it.
    """


class EmptyFile(StraightThroughError):
    """The dropped object has no bytes."""


class NoRoute(StraightThroughError):
    """No folder of the key has a route, or it is gone, or one that it chains on to is missing."""


class RouteInvalid(StraightThroughError):
    """A route's document is not what a route must be; the message names the field."""


class RouteTakesNoFile(StraightThroughError):
    """A file was dropped into the folder of a route that has no dataset: its runs have no file."""


class RouteNeedsFile(StraightThroughError):
    """A run without a file was started for a route that has a dataset, which a file overwrites."""


class NotInSet(StraightThroughError):
    """The file's name fits no member of its route's set, or two; or the set has changed since."""


class RouteConflict(StraightThroughError):
    """The route's dataset or pipeline belongs to another route's queue."""


class WrongFormat(StraightThroughError):
    """The bytes are not what the file's name says, or nothing that Quantemplate takes."""


class FileTooLarge(StraightThroughError):
    """Unzipped, the file is larger, or grows more, than the stack's settings allow."""


class HeaderMismatch(StraightThroughError):
    """The header row is not the route's; the message shows the difference."""


class TableUnclear(StraightThroughError):
    """The route's table cannot be told in the file beyond doubt; the message shows the rows."""


class UploadRefused(StraightThroughError):
    """Upload was answered 403, or another 4xx, for this file: the queue goes on without it."""


class OutputMissing(StraightThroughError):
    """An output that the route names was not made, or not fetched, or is gone since.

    The message lists what it has made.
    """


class OutputsTooMany(StraightThroughError):
    """The route takes more outputs than one run can fetch and tell of; nothing was fetched."""


class DestinationClash(StraightThroughError):
    """Two outputs would be written to one key; nothing was exported."""


class DestinationFailed(StraightThroughError):
    """Some copies could not be written; the message names each and why, the others are there.

    Ten more tries in five minutes, of those copies only.
    """


class ChainCycle(StraightThroughError):
    """The routes of a chain lead back to one of them; nothing was exported or chained."""


class ReleaseRefused(StraightThroughError):
    """No run of this name is held, what was held is gone, or it was released already."""


class CredentialsMissing(StraightThroughError):
    """The secret has no value, or one of another shape, or is marked for deletion."""


class CredentialsRejected(StraightThroughError):
    """Quantemplate does not accept the client id and secret, or the token that it gave (401)."""


class AccessDenied(StraightThroughError):
    """403: a wrong organisation, what is not shared in "Can edit" mode, or a firewall's no."""


class NotFound(StraightThroughError):
    """404: an id or address that is not known, or an execution that is not in the list any more."""


class RequestRefused(StraightThroughError):
    """Quantemplate answered another 4xx; or the address is not one to send a secret to."""


class ExecuteUncertain(StraightThroughError):
    """Execute's reply was lost, or told an old one, and the list does not tell what it made."""


class TransferTooSlow(StraightThroughError):
    """At the rate so far a file would need longer than a function's 15 minutes.

    The message has size, rate and limit.
    """


class FunctionKilled(StraightThroughError):
    """The function that uploads died five times in a row: too little memory or time."""


class TurnOverdue(StraightThroughError):
    """The turn did not come within TurnDeadlineHours."""


class PipelineFailed(StraightThroughError):
    """The execution failed in Quantemplate."""


class PipelineCancelled(StraightThroughError):
    """The execution was cancelled in Quantemplate."""


class PipelineOverdue(StraightThroughError):
    """The execution has not ended within PipelineDeadlineHours."""


class PipelineEndUnknown(StraightThroughError):
    """The execution has ended with a status that nobody knows; nothing was fetched."""


class Unforeseen(StraightThroughError):
    """What nobody thought of; the message has the kind of error and its place in the code."""


@contextmanager
def concerning(subject: str) -> Iterator[None]:
    """Add to each of our errors which file and route it is about."""
    try:
        yield
    except StraightThroughError as error:
        error.args = (f"{error} [{shown(subject, LONGEST_SUBJECT)}]",)
        raise
