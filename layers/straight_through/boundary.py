"""Where a function ends: whatever leaves it has one of our names, is short, and holds no secret."""

from collections.abc import Callable
from functools import wraps
from traceback import walk_tb
from typing import Any, TypeVar

from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

from straight_through.aws import answering
from straight_through.errors import StraightThroughError, Unforeseen
from straight_through.execution_input import typed
from straight_through.text import shown, told

Result = TypeVar("Result")
Handler = Callable[[Any, Any], Result]
# How the names of our modules begin.
OURS = ("quantemplate.", "straight_through.", "app", "functions.")
AT_AWS = (ClientError, NoConnection, HTTPClientError)
LONGEST_REASON = 300  # characters of AWS's own words

logger = Logger()


def only_named_errors(handler: Handler[Result]) -> Handler[Result]:
    """Let a handler end well, or with an error of ours whose message is bounded.

    What nobody foresaw is Unforeseen. The state machine does not try it again: the same fault would
    come again, and a person's redrive does what a retry could. What passes by itself at AWS, and
    was given no name where it was met, is AwsUnavailable, which it does try again.
    """

    @wraps(handler)
    def bounded(event: Any, context: Any) -> Result:
        try:
            return _named(handler, event, context)
        except StraightThroughError as error:
            error.args = (told(str(error)),)
            raise

    return bounded


def _named(handler: Handler[Result], event: Any, context: Any) -> Result:
    """Call a handler. Raises nothing but errors of ours."""
    try:
        return handler(event, context)
    except StraightThroughError:
        raise
    except Exception as error:  # noqa: BLE001 - it is raised by another name
        if isinstance(error, AT_AWS):
            _raise_passing(error)
        # The cause's text may hold a file's content or a secret: it goes no further than here.
        raise _unforeseen(error, event) from None


def _raise_passing(error: Exception) -> None:
    """Raise AwsUnavailable for what passes by itself at AWS."""
    try:
        with answering("AWS"):
            raise error
    except ClientError:
        return


def _unforeseen(error: Exception, event: Any) -> Unforeseen:
    """Log where an error was met, and return the one to end with."""
    frames = [
        f"{frame.f_globals.get('__name__', '?')}:{line}"
        for frame, line in walk_tb(error.__traceback__)
        if frame.f_globals.get("__name__") != __name__
    ]
    ours = [place for place in frames if place.startswith(OURS)]
    kind = _kind(error)
    place = (ours or frames or ["?"])[-1]
    logger.error("Unforeseen", kind=kind, place=place, frames=frames[-30:])
    return Unforeseen(
        f"Nobody foresaw this: {kind} at {place}. It is a fault of the application or of its "
        "permissions, not of Quantemplate; the file is in the inbox still. Tell who looks after "
        f"the stack, then redrive the run. [{_subject(event)}]"
    )


def _kind(error: Exception) -> str:
    """Return what kind of error it is; of AWS's errors what AWS said, of no other its words."""
    name = type(error).__name__
    if not isinstance(error, ClientError):
        return name
    answer = error.response
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", "?")
    code, message = (answer.get("Error", {}).get(part, "") for part in ("Code", "Message"))
    said = f"{name}: {error.operation_name} was answered {status} {code}"
    return f"{said} ({shown(str(message), LONGEST_REASON)})" if message else said


def _subject(event: Any) -> str:
    """Return which file and route an event is about, as far as it tells."""
    record = _part(event, "record")
    source = _part(record, "source") or _part(event, "source")
    source = source or typed(_part(event, "execution").get("Input"))
    bucket, key = source.get("bucket"), source.get("key")
    route = record.get("route") or event.get("route") or "not known"
    file = f"file {shown(f's3://{bucket}/{key}', 1100)}" if key else "no file"
    return f"{file}, route {shown(str(route))}"


def _part(whole: Any, name: str) -> dict[str, Any]:
    """Return a part that is an object, an empty one where it is not."""
    part = whole.get(name) if isinstance(whole, dict) else None
    return part if isinstance(part, dict) else {}
