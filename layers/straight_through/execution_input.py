"""What an execution can be started with: a file, or a held run to release.

`execution_input.schema.json` says the same for others who start executions.
"""

import json
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from straight_through.errors import InputInvalid
from straight_through.moments import from_iso
from straight_through.text import listed, shown

# Step Functions' console links an execution to the one that started it by a field of this prefix.
# Source: "Start workflow executions from a task state in Step Functions".
OF_STEP_FUNCTIONS = "AWS_STEP_FUNCTIONS_"
FIELDS = ("bucket", "key", "version_id", "execution_id", "dropped_at", "sequencer")
NEEDED = ("bucket", "key")
EXPECTED = (
    'Start a new run with an input like {"bucket": "…", "key": "claims/may.csv"}; '
    '"version_id" may pin a version, and "execution_id" attach it to a run of Quantemplate. '
    '{"release": "<run>"} publishes a run whose manifest lies under held/ in the outbox.'
)


@dataclass(frozen=True)
class ExecutionInput:
    """A file, at a version or else the one that it has now; or the name of a run to `release`.

    `execution_id` is Quantemplate's execution to attach to; `dropped_at`, in ISO 8601, and
    `sequencer` are S3's, of an execution that a drop has started.
    """

    bucket: str = ""
    key: str = ""
    version_id: str | None = None
    execution_id: str | None = None
    dropped_at: str | None = None
    sequencer: str | None = None
    release: str | None = None


def input_of(given: Any) -> ExecutionInput:
    """Return what an execution was started with. Raises InputInvalid."""
    if isinstance(given, dict) and "release" in given:
        fields = _fields(given, ("release",), "releases a run and nothing else")
        run = fields["release"]
        if not isinstance(run, str) or not run:
            raise InputInvalid(f"The input's 'release' is no run's name. {EXPECTED}")
        _require_text("release", run)
        return ExecutionInput(release=run)
    fields = _fields(given, FIELDS, "names no file")
    for field in FIELDS:
        value = fields.get(field)
        if value is None and field not in NEEDED:
            continue
        if not isinstance(value, str) or not value:
            raise InputInvalid(f"The input's {field!r} is missing or no text. {EXPECTED}")
        _require_text(field, value)
    if fields.get("dropped_at"):
        try:
            from_iso(fields["dropped_at"]).astimezone(UTC)
        except (ValueError, OverflowError):
            raise InputInvalid(f"The input's 'dropped_at' is no moment. {EXPECTED}") from None
    return ExecutionInput(**{field: fields[field] for field in FIELDS if fields.get(field)})


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
