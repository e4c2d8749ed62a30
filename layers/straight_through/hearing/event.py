"""What Quantemplate sends: two envelopes, of which both are documented.

Source: the vendor's developer pages on events.
"""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PIPELINE_COMPLETED, DATASET_UPDATED = "PipelineCompleted", "DatasetUpdated"
LARGEST = 64 * 1024  # bytes of a body
# An id becomes a part of a key in the table, whose parts "#" divides.
_ID = re.compile(r"[!\"$-~]{1,128}")


class NoEvent(Exception):
    """A request holds no event; the message says why, and nothing of what it holds."""

    def __init__(self, why: str, status: int = 400) -> None:
        """Keep the HTTP status of the answer."""
        super().__init__(why)
        self.status = status


@dataclass(frozen=True)
class Event:
    """One event; ids that its kind does not have are empty. Its status is not read: nobody may."""

    id: str
    name: str
    pipeline_id: str = ""
    execution_id: str = ""
    dataset_id: str = ""


def event_of(body: bytes) -> Event:
    """Return the event that a body holds. Raises NoEvent.

    One without an id gets one, since it is noted under it.
    """
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise NoEvent("The body is no JSON.") from None
    if not isinstance(told, dict):
        raise NoEvent("The body is no JSON object.")
    named = _id_of(told, "eventName", "name")
    if not named:
        raise NoEvent("The event has no name.")
    payload = told.get("payload")
    found = payload if isinstance(payload, dict) else {}
    event_id = _id_of(told, "eventId", "id") or uuid.uuid4().hex
    if named == PIPELINE_COMPLETED:
        ids = {
            "pipeline_id": _id_of(found, "pipelineId"),
            "execution_id": _id_of(found, "pipelineExecutionId"),
        }
    elif named == DATASET_UPDATED:
        ids = {"dataset_id": _id_of(found, "datasetId")}
    else:
        ids = {}
    if not all(ids.values()):
        raise NoEvent("The event's payload lacks an id, or has one that is no id.")
    return Event(event_id, named, **ids)


def _id_of(told: Mapping[str, Any], *fields: str) -> str:
    """Return the first of these fields that holds an id, "" where none does."""
    values = (told.get(field) for field in fields)
    return next((v for v in values if isinstance(v, str) and _ID.fullmatch(v)), "")
