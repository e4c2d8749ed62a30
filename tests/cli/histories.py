"""Histories of executions, in the shape of GetExecutionHistory."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

BEGAN = datetime(2026, 5, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """A moment of a history."""
    return BEGAN + timedelta(seconds=seconds)


def event(seconds: float, kind: str, after: int | None = None, **details: Any) -> dict[str, Any]:
    """An event; `after` is the id of the one before, where that is not the one above."""
    return {"timestamp": at(seconds), "type": kind, "after": after, **details}


def entered(seconds: float, name: str, kind: str = "Task", after: int | None = None) -> Any:
    """The entry of a state."""
    details = {"stateEnteredEventDetails": {"name": name}}
    return event(seconds, f"{kind}StateEntered", after, **details)


def exited(seconds: float, name: str, kind: str = "Task", after: int | None = None) -> Any:
    """The exit of a state."""
    details = {"stateExitedEventDetails": {"name": name}}
    return event(seconds, f"{kind}StateExited", after, **details)


def passed(name: str, *seconds: float, kind: str = "Task") -> list[Any]:
    """A state that was entered and left."""
    began, ended = seconds
    return [entered(began, name, kind), exited(ended, name, kind)]


def history(*events: Any) -> list[dict[str, Any]]:
    """The events, or lists of them, with their ids."""
    flat: list[dict[str, Any]] = []
    for each in events:
        flat += each if isinstance(each, list) else [each]
    return list(_numbered(flat))


def _numbered(events: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """The events with their ids."""
    for number, each in enumerate(events, start=1):
        after = each.get("after")
        rest = {name: value for name, value in each.items() if name != "after"}
        yield {**rest, "id": number, "previousEventId": number - 1 if after is None else after}
