"""What an execution can be started with: a file, or a held run to release.

`execution_input.schema.json` says the same for others who start executions.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from straight_through.errors import InputInvalid
from straight_through.text import listed, shown

# Step Functions' console links an execution to the one that started it by a field of this prefix.
# Source: "Start workflow executions from a task state in Step Functions".
OF_STEP_FUNCTIONS = "AWS_STEP_FUNCTIONS_"
FIELDS = ("bucket", "key", "version_id", "execution_id", "dropped_at", "sequencer")
NEEDED = ("bucket", "key")
EXPECTED = (
    'Start a new execution with an input like {"bucket": "…", "key": "claims/may.csv"}; '
    '"version_id" may pin a version, and "execution_id" attach it to a run of Quantemplate. '
    '{"release": "<run>"} publishes a run whose manifest lies under held/ in the outbox.'
)


@dataclass(frozen=True)
class NamedFile:
    """The file that an input names; without a version, the one that it has now is meant."""

    bucket: str
    key: str
    version_id: str | None = None


def named_file(given: Any) -> NamedFile:
    """Return the file that an execution's input names. Raises InputInvalid."""
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
            datetime.fromisoformat(fields["dropped_at"]).astimezone(UTC)
        except (ValueError, OverflowError):
            raise InputInvalid(f"The input's 'dropped_at' is no moment. {EXPECTED}") from None
    return NamedFile(*(fields.get(field) for field in FIELDS[:3]))  # type: ignore[arg-type]


def released_run(given: Any) -> str | None:
    """Return the held run that an execution's input asks to release, None if it asks for none.

    Raises InputInvalid.
    """
    if not isinstance(given, dict) or "release" not in given:
        return None
    run = _fields(given, ("release",), "releases a run and nothing else")["release"]
    if not isinstance(run, str) or not run:
        raise InputInvalid(f"The input's 'release' is no run's name. {EXPECTED}")
    _require_text("release", run)
    return run


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
