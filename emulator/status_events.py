"""What AWS tells others of an execution's status: an EventBridge event and CloudWatch metrics."""

import json
import logging
import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ministack.core.responses import request_scope
from ministack.services import cloudwatch, eventbridge

from emulator.seams import seam

if TYPE_CHECKING:
    from emulator.execution import Execution

log = logging.getLogger(__name__)
LARGEST_DATA = 248 * 1024  # bytes; AWS leaves larger inputs and outputs out of the event
METRICS = {
    "RUNNING": "ExecutionsStarted",
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}


@dataclass(frozen=True)
class StatusChange:
    """An execution's status at one moment."""

    account: str
    region: str
    detail: dict[str, Any]


class StatusEvents:
    """Publishes status changes in order, in a thread of its own: nobody waits for a rule's target.

    AWS documentation: "Automating Step Functions event delivery with EventBridge".
    """

    def __init__(self) -> None:
        self._put_events = seam(eventbridge, "_put_events")
        self._changes: queue.SimpleQueue[StatusChange] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="status events", daemon=True).start()

    def announce(self, execution: "Execution") -> None:
        """Publish the status that the execution has now."""
        self._changes.put(StatusChange(execution.account, execution.region, detail_of(execution)))

    def _run(self) -> None:
        while True:
            change = self._changes.get()
            with request_scope(change.account, change.region):
                try:
                    self._publish(change.detail)
                except Exception:  # AWS, too, only does its best with these events
                    log.exception("status change not published")

    def _publish(self, detail: dict[str, Any]) -> None:
        dimensions = {"StateMachineArn": detail["stateMachineArn"]}
        cloudwatch.record_metric("AWS/States", METRICS[detail["status"]], 1, "Count", dimensions)
        entry = {
            "Source": "aws.states",
            "DetailType": "Step Functions Execution Status Change",
            "Detail": json.dumps(detail),
            "Resources": [detail["executionArn"]],
        }
        self._put_events({"Entries": [entry]}, allow_aws_source=True)


def throttled(execution: "Execution") -> None:
    """Count in CloudWatch that an execution has to wait before it enters a state."""
    dimensions = {"StateMachineArn": execution.machine.arn}
    with request_scope(execution.account, execution.region):
        cloudwatch.record_metric("AWS/States", "ExecutionThrottled", 1, "Count", dimensions)


def detail_of(execution: "Execution") -> dict[str, Any]:
    """The event's `detail`; times in milliseconds since the epoch."""
    succeeded = execution.status == "SUCCEEDED"
    refusal = execution.redrive_refusal()
    return {
        "executionArn": execution.arn,
        "stateMachineArn": execution.machine.arn,
        "name": execution.name,
        "status": execution.status,
        "startDate": milliseconds(execution.start_date),
        "stopDate": milliseconds(execution.stop_date),
        "input": included(execution.input),
        "inputDetails": {"included": included(execution.input) is not None},
        "output": included(execution.output),
        "outputDetails": {"included": included(execution.output) is not None}
        if succeeded
        else None,
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
        "redriveCount": execution.redrive_count,
        "redriveDate": milliseconds(execution.redrive_date),
        "redriveStatus": "NOT_REDRIVABLE" if refusal else "REDRIVABLE",
        "redriveStatusReason": refusal,
        "error": execution.error,
        "cause": execution.cause,
    }


def included(data: str | None) -> str | None:
    """The data, unless it is too large for an event."""
    return data if data is not None and len(json.dumps(data)) <= LARGEST_DATA else None


def milliseconds(seconds: float | None) -> int | None:
    """A time as the event gives it."""
    return None if seconds is None else round(seconds * 1000)
