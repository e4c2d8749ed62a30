"""An execution of a pipeline, as the API describes it."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from quantemplate.statuses import ENDED

JsonObject = dict[str, Any]  # what a server sends: nothing is known of it before each look
LONGEST_ID = 256  # characters; ids have about twenty, and travel through the state machine
MOST = 2**63  # what a number has not reached: JSON's may have any length
LONGEST_FIELD = 64  # characters of a status or a time; likewise


class NotWhole(ValueError):
    """An execution lacks what the API documents; the message names the field."""


@dataclass(frozen=True)
class Output:
    """One output of an execution."""

    id: str
    name: str


@dataclass(frozen=True)
class Execution:
    """One execution of a pipeline, as the API tells it.

    Times are ISO 8601 strings where the API keeps to its own rules, and any text where it does not.
    """

    id: str
    number: int
    status: str
    created_at: str | None = None
    created_by: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    outputs: tuple[Output, ...] = ()
    pipeline_version: int | None = None  # the pipeline's revision when it was executed

    @property
    def ended(self) -> bool:
        """Whether the status is one of the known last ones."""
        return self.status in ENDED

    @property
    def goes_on(self) -> bool:
        """Whether nothing says that it has ended: neither its status nor a time of its end."""
        return not self.ended and not self.finished_at


def execution_of(item: Any, *, with_outputs: bool = True) -> Execution:
    """Return the execution that an object of the API describes. Raises NotWhole.

    Only its id, its number and its outputs' ids and names must be there: a missing status is an
    unknown one.
    """
    if not isinstance(item, dict):
        raise NotWhole("an execution that is no object")
    number = number_of(item)
    if number is None:
        raise NotWhole("an execution without a runNumber")
    return Execution(
        id=_id(item.get("id"), "an execution"),
        number=number,
        status=_text(item.get("status")) or "None",
        created_at=_text(item.get("createdAt")),
        created_by=_text(item.get("createdBy"), LONGEST_ID),
        started_at=_text(item.get("startedAt")),
        finished_at=_text(item.get("finishedAt")),
        outputs=_outputs(item.get("outputs")) if with_outputs else (),
        pipeline_version=_whole(item.get("version")),
    )


def number_of(item: JsonObject) -> int | None:
    """Return an execution's number, None where it has none that can be read."""
    return _whole(item.get("runNumber"))


def _whole(number: Any) -> int | None:
    """Return a whole number, None for what cannot be read as one."""
    if isinstance(number, str) and number.isdecimal() and len(number) < 19:
        return int(number)
    if isinstance(number, bool) or not isinstance(number, int | float | Decimal):
        return None
    return int(number) if -MOST < number < MOST and number == int(number) else None


def _outputs(listed: Any) -> tuple[Output, ...]:
    """Return the outputs; `outputs` is missing, null or [] until the execution has ended."""
    if not listed:
        return ()
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise NotWhole("an execution whose outputs are no list of objects")
    return tuple(Output(_id(each.get("id"), "an output"), _name(each)) for each in listed)


def _name(output: JsonObject) -> str:
    """Return an output's name."""
    name = output.get("name")
    if not isinstance(name, str) or not name:
        raise NotWhole("an output without a name")
    return _encodable(name)


def _id(value: Any, whose: str) -> str:
    """Return an id, which is a text; a whole number is taken for one."""
    if isinstance(value, int) and not isinstance(value, bool) and -MOST < value < MOST:
        return str(value)
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ID:
        raise NotWhole(f"{whose} without an id")
    return _encodable(value)


def _text(value: Any, most: int = LONGEST_FIELD) -> str | None:
    """Return a text of at most so many characters, None where there is none."""
    if value is None or value in ("", 0):
        return None
    if isinstance(value, str):
        return _encodable(value[:most])
    if isinstance(value, int | float | Decimal) and -MOST < value < MOST:
        return str(value)
    return "unreadable"


def _encodable(text: str) -> str:
    """Return the text without halves of surrogate pairs, which JSON can hold and UTF-8 cannot."""
    return text.encode(errors="replace").decode()
