"""What an execution can be started with: a file, a route that needs none, or a run to release.

`execution_input.schema.json` says the same for others who start executions.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, TypeGuard

from straight_through.errors import InputInvalid
from straight_through.moments import from_iso
from straight_through.run_state import Cause
from straight_through.text import listed, shown

# Step Functions' console links an execution to the one that started it by a field of this prefix.
# Source: "Start workflow executions from a task state in Step Functions".
OF_STEP_FUNCTIONS = "AWS_STEP_FUNCTIONS_"
TEXTS = ("bucket", "key", "version_id", "execution_id", "dropped_at", "sequencer", "replay")
FIELDS = (*TEXTS, "incomplete")
NEEDED = ("bucket", "key")
LEGAL_REPLAY = re.compile(r"[A-Za-z0-9-]{1,40}")  # it is a part of what sorts, and of metadata
OF_A_ROUTE = ("route", "execution_id", "cause")
BY_HAND: Cause = {"by": "hand"}  # who has started it is not known
EXPECTED = (
    'Start a new run with an input like {"bucket": "…", "key": "claims/may.csv"}; '
    '"version_id" may pin a version, and "execution_id" attach it to an execution in Quantemplate. '
    '{"route": "stock"} is a run without a file, of a route that has no dataset_id. '
    '{"release": "<run>"} publishes a run whose manifest lies under held/ in the outbox.'
)


@dataclass(frozen=True)
class ExecutionInput:
    """A file, at a version or else the one that it has now; or the name of a run to `release`.

    Or a `route` whose runs have no file, and the `cause` of this one.

    `execution_id` is Quantemplate's execution to attach to; `dropped_at`, in ISO 8601, and
    `sequencer` are S3's, of an execution that a drop has started. `incomplete` lets the set of
    which the file is a member run without those that have not come. `replay` is the plan of a
    replay, whose runs have the place of their drop.
    """

    bucket: str = ""
    key: str = ""
    version_id: str | None = None
    execution_id: str | None = None
    dropped_at: str | None = None
    sequencer: str | None = None
    replay: str | None = None
    release: str | None = None
    route: str | None = None
    cause: Cause | None = None  # of a run without a file
    incomplete: bool = False


def input_of(given: Any) -> ExecutionInput:
    """Return what an execution was started with. Raises InputInvalid."""
    if isinstance(given, dict) and "release" in given:
        fields = _fields(given, ("release",), "releases a run and nothing else")
        run = fields["release"]
        if not isinstance(run, str) or not run:
            raise InputInvalid(f"The input's 'release' is no run's name. {EXPECTED}")
        _require_text("release", run)
        return ExecutionInput(release=run)
    if isinstance(given, dict) and "route" in given:
        return _of_route(_fields(given, OF_A_ROUTE, "is of a route and names no file"))
    fields = _fields(given, FIELDS, "names no file")
    for field in TEXTS:
        value = fields.get(field)
        if value is None and field not in NEEDED:
            continue
        if not isinstance(value, str) or not value:
            raise InputInvalid(f"The input's {field!r} is missing or no text. {EXPECTED}")
        _require_text(field, value)
    if fields.get("incomplete") not in (None, True, False):
        raise InputInvalid(
            f"The input's 'incomplete' is '{shown(str(fields['incomplete']))}'; expected is true, "
            f"which lets a set run without its missing members. {EXPECTED}"
        )
    if fields.get("dropped_at"):
        try:
            from_iso(fields["dropped_at"]).astimezone(UTC)
        except (ValueError, OverflowError):
            raise InputInvalid(f"The input's 'dropped_at' is no moment. {EXPECTED}") from None
    _require_place(fields)
    return ExecutionInput(**{field: fields[field] for field in FIELDS if fields.get(field)})


def _require_place(fields: Mapping[str, Any]) -> None:
    """Raise InputInvalid for a replay that does not say which version it is of, or of when."""
    replay = fields.get("replay")
    if replay is None:
        return
    if not LEGAL_REPLAY.fullmatch(replay):
        raise InputInvalid(
            f"The input's 'replay' is '{shown(replay)}'; expected is the id of a plan of "
            f"stp replay: letters, digits and hyphens, 40 at most. {EXPECTED}"
        )
    if not (fields.get("version_id") and fields.get("dropped_at")):
        # It would be whatever lies there now, at a place that is not its own.
        raise InputInvalid(
            "The input has a 'replay' and lacks 'version_id' or 'dropped_at': what is replayed is "
            f"one version, at the place of its drop. {EXPECTED}"
        )


def _of_route(fields: dict[str, Any]) -> ExecutionInput:
    """Return the input of a run without a file. Raises InputInvalid."""
    for field in ("route", "execution_id"):
        value = fields.get(field)
        if value is None and field != "route":
            continue
        if not isinstance(value, str) or not value:
            raise InputInvalid(f"The input's {field!r} is missing or no text. {EXPECTED}")
        _require_text(field, value)
    cause = BY_HAND if fields.get("cause") is None else fields["cause"]
    if not _is_cause(cause):
        raise InputInvalid(
            f"The input's 'cause' is '{shown(str(cause))}'; expected is none, or what a schedule "
            f"or an update has started the run with. {EXPECTED}"
        )
    return ExecutionInput(
        route=fields["route"], execution_id=fields.get("execution_id"), cause=cause
    )


def _is_cause(cause: Any) -> TypeGuard[Cause]:
    """Whether a value tells what has caused a run without a file."""
    texts: list[Any] = []
    match cause:
        case {"by": "hand"} if len(cause) == 1:
            return True
        case {"at": str(moment)} if len(cause) == 1:
            texts = [moment]
        case {"updated": [_, *_] as ids} if cause.keys() <= {"updated", "events"}:
            events = cause.get("events", [])
            texts = [*ids, *events] if isinstance(events, list) else []
    return bool(texts) and all(
        isinstance(text, str) and bool(text) and _is_text(text) for text in texts
    )


def _is_text(value: str) -> bool:
    """Whether a text has no half of a character."""
    return value == value.encode(errors="replace").decode()


def typed(given: Any) -> dict[str, Any]:
    """Return the fields of what a person may have typed, to tell of it; none where it has none.

    `given` is the input, or its JSON.
    """
    try:
        value = json.loads(given) if isinstance(given, str) else given
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _require_text(field: str, value: str) -> None:
    """Raise InputInvalid for half a character, which is no text and no name can have."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InputInvalid(
            f"The input's {field!r} has half a character: '{shown(value)}'. {EXPECTED}"
        ) from None


def _fields(given: Any, known: tuple[str, ...], what: str) -> dict[str, Any]:
    """Return the fields of an input. Raises InputInvalid for one that nobody reads."""
    if not isinstance(given, dict):
        raise InputInvalid(f"The execution's input {what}: it is no JSON object. {EXPECTED}")
    more = [name for name in given if name not in known and not name.startswith(OF_STEP_FUNCTIONS)]
    if more:
        # A field that is ignored would be a version that is not pinned, or a run made twice.
        raise InputInvalid(f"The execution's input has unknown fields: {listed(more)}. {EXPECTED}")
    return given
