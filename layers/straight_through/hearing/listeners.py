"""Runs that wait to be told of their execution's end: one item for each execution.

The state machine writes its task token there, on the condition that no event was noted since the
last look; whoever takes an event notes it there, and answers the token that it finds. So no event
is lost between a look and the wait that follows it.
"""

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

from straight_through.aws import answering
from straight_through.hearing.event import Event
from straight_through.moments import from_iso, iso
from straight_through.queue.items import Listener
from straight_through.queue.table import Key, Table

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

LIFETIME = timedelta(days=30)


def listener_key(pipeline_id: str, execution_id: str) -> Key:
    """Return the key of what is known of one execution's events; the state machine makes it too."""
    return f"listener#{pipeline_id}", execution_id


class Listeners:
    """All runs that wait, and the events that came for them or for nobody yet."""

    def __init__(self, table: Table) -> None:
        """Take the table."""
        self._table = table

    def heard(self, pipeline_id: str, execution_id: str, run: str, now: datetime) -> str:
        """Return the last event that was noted for an execution, "" for none; note who listens."""
        item = self._table.update(
            listener_key(pipeline_id, execution_id),
            "SET #run = :run, #expires_at = :expires_at",
            run=run,
            expires_at=int((now + LIFETIME).timestamp()),
        )
        return str(item.get("heard", ""))

    def heard_at(self, pipeline_id: str, execution_id: str) -> datetime | None:
        """Return when the last event of an execution came, None where none has."""
        item = self._table.get(listener_key(pipeline_id, execution_id)) or {}
        return from_iso(item["heard"].partition(" ")[0]) if "heard" in item else None

    def tell(self, event: Event, states: "SFNClient", now: datetime) -> str:
        """Note an event and wake the run that waits for it; return that run, "" where none waits.

        Each note differs from all before, so that an event which comes twice wakes twice: it
        costs a look. Raises AwsUnavailable, AwsDenied.
        """
        item = self._table.update(
            listener_key(event.pipeline_id, event.execution_id),
            "SET #heard = :heard, #expires_at = :expires_at",
            heard=f"{iso(now)} {event.id}",
            expires_at=int((now + LIFETIME).timestamp()),
        )
        listener = cast("Listener", item)
        if "token" not in listener or "run" not in listener:
            return ""
        errors = states.exceptions
        try:
            with answering("Step Functions"):
                states.send_task_success(taskToken=listener["token"], output=json.dumps({}))
        except (errors.TaskTimedOut, errors.TaskDoesNotExist, errors.InvalidToken):
            return ""  # its wait is over: it looks by itself
        return listener["run"]
