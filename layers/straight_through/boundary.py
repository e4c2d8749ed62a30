"""Where a function ends: whatever leaves it has one of our names, is short, and holds no secret."""

from collections.abc import Callable
from functools import wraps
from traceback import walk_tb
from typing import Any, TypeVar

from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

from straight_through.aws import answer_of, answering, words_of
from straight_through.errors import AwsRefused, StraightThroughError, Unforeseen
from straight_through.execution_input import typed
from straight_through.text import shown, told

Result = TypeVar("Result")
Handler = Callable[[Any, Any], Result]
# How the names of our modules begin.
OURS = ("quantemplate.", "straight_through.", "app", "functions.")
AT_AWS = (ClientError, NoConnection, HTTPClientError)

logger = Logger()


def only_named_errors(handler: Handler[Result]) -> Handler[Result]:
    """Let a handler end well, or with an error of ours whose message is bounded.

    What nobody foresaw is Unforeseen, what AWS refused AwsRefused. The state machine tries neither
    again: the same would come again, and a person's redrive does what a retry could. What passes
    by itself at AWS, and was given no name where it was met, is AwsUnavailable: that is retried.
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
            raise _at_aws(error, event) from None
        # The cause's text may hold a file's content or a secret: it goes no further than here.
        raise _unforeseen(error, event) from None


def _at_aws(error: Exception, event: Any) -> StraightThroughError:
    """Return our error for one of AWS's that nobody named where it was met."""
    try:
        with answering("AWS"):
            raise error
    except StraightThroughError as named:
        return named
    except ClientError as refused:
        (status, code), operation = answer_of(refused), refused.operation_name
        _log("Refused", f"{operation} {status} {code}", error)
        return AwsRefused(
            f"AWS refused {operation} ({status} {code}: {words_of(refused)}), and would again. "
            f"What it needs is gone or disabled, or the application is at fault{_kept(event)}. "
            "Mend that, or tell who looks after the stack, then redrive the run. "
            f"[{_subject(event)}]"
        )


def _unforeseen(error: Exception, event: Any) -> Unforeseen:
    """Log where an error was met, and return the one to end with."""
    kind = type(error).__name__
    place = _log("Unforeseen", kind, error)
    return Unforeseen(
        f"Nobody foresaw this: {kind} at {place}. It is a fault of the application, not of "
        f"Quantemplate{_kept(event)}. Tell who looks after the stack, then redrive the run. "
        f"[{_subject(event)}]"
    )


def _log(message: str, kind: str, error: Exception) -> str:
    """Log where an error was met, and return the deepest place of ours."""
    frames = [
        f"{frame.f_globals.get('__name__', '?')}:{line}"
        for frame, line in walk_tb(error.__traceback__)
        if frame.f_globals.get("__name__") != __name__
    ]
    ours = [place for place in frames if place.startswith(OURS)]
    place = (ours or frames or ["?"])[-1]
    logger.error(message, kind=kind, place=place, frames=frames[-30:])
    return place


def _subject(event: Any) -> str:
    """Return which file and route an event is about, as far as it tells."""
    source = _source(event)
    bucket, key = source.get("bucket"), source.get("key")
    route = _part(event, "record").get("route") or event.get("route") or "not known"
    file = f"file {shown(f's3://{bucket}/{key}', 1100)}" if key else "no file"
    return f"{file}, route {shown(str(route))}"


def _kept(event: Any) -> str:
    """Say that nothing is lost, of an event that is about a file."""
    return "; the file is in the inbox still" if _source(event).get("key") else ""


def _source(event: Any) -> dict[str, Any]:
    """Return the file that an event is about, as far as it tells."""
    source = _part(_part(event, "record"), "source") or _part(event, "source")
    return source or typed(_part(event, "execution").get("Input"))


def _part(whole: Any, name: str) -> dict[str, Any]:
    """Return a part that is an object, an empty one where it is not."""
    part = whole.get(name) if isinstance(whole, dict) else None
    return part if isinstance(part, dict) else {}
