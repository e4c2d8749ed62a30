"""CheckStatus: look whether the pipeline's run has ended, and say how long to wait if not."""

import os
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from straight_through import metrics
from straight_through.attempts import Attempt, attempt_of
from straight_through.aws import later
from straight_through.boundary import only_named_errors
from straight_through.connection import connection
from straight_through.errors import PipelineCancelled, PipelineFailed, WaitedFor, concerning
from straight_through.patience import wait_out
from straight_through.polling import seconds_since
from straight_through.progress import look_at, not_ours, outputs_of
from straight_through.quantemplate import Execution
from straight_through.records import Records
from straight_through.routes import read_route
from straight_through.selection import selected
from straight_through.statuses import NOT_EXECUTED, RUN_AGAIN, SKIPPED, SUCCEEDED
from straight_through.table import Table
from straight_through.turns import Turns
from straight_through.twins import remember

logger = Logger()
ssm = later("ssm")  # once a run, at its end
table = Table(later("dynamodb"), os.environ["TURNS_TABLE"])
turns = Turns(table, later("stepfunctions"))
records = Records(table)
quantemplate = connection(metrics.counting(logger))
ROUTES_PATH = os.environ["ROUTES_PATH"]
DEADLINE_HOURS = float(os.environ["PIPELINE_DEADLINE_HOURS"])
LATE_LIST_SECONDS = float(os.environ["LATE_LIST_SECONDS"])


@logger.inject_lambda_context(correlation_id_path="execution.Name")
@only_named_errors
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return the run's record with its status, and the outputs of a run that succeeded."""
    attempt = attempt_of(event["execution"])
    record: dict[str, Any] = event["record"]
    if record["status"] == NOT_EXECUTED:
        return record  # what it waited for may be over: UploadAndExecute finds out
    if record["status"] == SKIPPED:
        pass_turn_on(record, attempt)
        return record
    run, source = record["quantemplate"], record["source"]
    with concerning(f"file s3://{source['bucket']}/{source['key']}, route {record['route']}"):
        try:
            listed = quantemplate.open().list_executions(run["organisation_id"], run["pipeline_id"])
        except WaitedFor as trouble:
            return wait_out(record, trouble, attempt, datetime.now(UTC))
        record.pop("waiting", None)
        if record["turn"]:
            turns.works_again(record["turn"]["queue"], attempt)
        try:
            look = look_at(
                listed, run, datetime.now(UTC), attempt, DEADLINE_HOURS, LATE_LIST_SECONDS
            )
        except (PipelineFailed, PipelineCancelled):
            pass_turn_on(record, attempt)
            told = (attempt.run, run["execution_id"], attempt.redrive_count)
            # An attached run is not ours to repeat.
            if record["turn"] and records.told_before(*told):
                return record | {"status": RUN_AGAIN}
            raise
    if not look.known:
        logger.warning("Unknown status, waiting on", status=look.status)
    record |= {"status": look.status, "wait_seconds": look.wait_seconds}
    if look.execution and look.status == SUCCEEDED:
        pass_turn_on(record, attempt)
        succeeded(record, look.execution, listed)
    return record


def succeeded(record: dict[str, Any], execution: Execution, listed: list[Execution]) -> None:
    """Add to the record what the next steps need of a run that succeeded."""
    run, source, ended = record["quantemplate"], record["source"], execution.finished_at
    run |= {"started_at": execution.started_at, "finished_at": ended}
    with concerning(f"file s3://{source['bucket']}/{source['key']}, route {record['route']}"):
        route = read_route(ssm, ROUTES_PATH, record["route"])
        record["outputs"] = outputs_of(selected(execution.outputs, route))
    record["gated"] = bool(route.hold_if_rows)
    if sha256 := source["sha256"]:
        # Only now: the bytes of a run that failed may be dropped again.
        remember(table, route, sha256, record["run"], source["key"], datetime.now(UTC))
    other = not_ours(listed, run, record["after"]) if record["turn"] else None
    record["not_ours"] = other.id if other else None
    logger.info("Pipeline succeeded", outputs=len(record["outputs"]))
    if delay := seconds_since(ended, datetime.now(UTC)):
        metrics.record({metrics.DETECTION_DELAY: max(delay, 0)})


def pass_turn_on(record: dict[str, Any], attempt: Attempt) -> None:
    """Let the next file of the queue begin: this one's run has ended."""
    if turn := record["turn"]:
        turns.pass_on(turn["queue"], attempt.execution_arn, attempt.redrive_count, turn["turn_id"])
