"""CheckStatus: look whether the pipeline's run has ended, and say how long to wait if not."""

import os
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from quantemplate.executions import Execution
from quantemplate.listing import Listing
from quantemplate.times import seconds_since
from straight_through import metrics
from straight_through.attempts import Attempt, attempt_of
from straight_through.aws import later
from straight_through.boundary import only_named_errors
from straight_through.errors import (
    PipelineCancelled,
    PipelineEndUnknown,
    PipelineFailed,
    WaitedFor,
    concerning,
)
from straight_through.executing.connection import connection
from straight_through.executing.patience import wait_out
from straight_through.executing.progress import (
    listed,
    look_at,
    looked_at_record,
    shows_newer,
    succeeded_record,
    without_waiting,
)
from straight_through.files.duplicates import remember
from straight_through.queue.notices import Notices
from straight_through.queue.pipelines import Pipelines
from straight_through.queue.records import Records
from straight_through.queue.table import Table
from straight_through.queue.turns import Turns
from straight_through.routes import read_route
from straight_through.statuses import NOT_EXECUTED, RUN_AGAIN, SKIPPED, SUCCEEDED

logger = Logger()
ssm = later("ssm")  # once a run, at its end
table = Table(later("dynamodb"), os.environ["TURNS_TABLE"])
turns = Turns(table, later("stepfunctions"))
records = Records(table)
pipelines = Pipelines(table)
notices = Notices(table)
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
        turns.run_ended(record, attempt)
        return record
    about = f"file s3://{record['source']['bucket']}/{record['source']['key']}"
    about += f", route {record['route']}"
    with records.noting(attempt), concerning(about):
        record = looked(record, attempt)
    return notices.follow(attempt, event["record"], record, about, datetime.now(UTC))


def looked(record: dict[str, Any], attempt: Attempt) -> dict[str, Any]:
    """Return the record as one look at the run leaves it."""
    try:
        listing = listed(quantemplate.open(), record)
    except WaitedFor as trouble:
        return wait_out(record, trouble, attempt, datetime.now(UTC))
    run = record["quantemplate"]
    if shows_newer(listing, record):
        pipelines.seen(run, listing.highest)
        record |= {"seen": listing.highest}
    if record["turn"]:
        turns.works_again(record["turn"]["queue"], attempt)
    now = datetime.now(UTC)
    try:
        look = look_at(listing, record, now, attempt, DEADLINE_HOURS, LATE_LIST_SECONDS)
    except (PipelineFailed, PipelineCancelled):
        turns.run_ended(record, attempt)
        told = (attempt.run, run["execution_id"], attempt.redrive_count)
        # An attached run is not ours to repeat.
        if record["turn"] and records.told_before(*told):
            return without_waiting(record) | {"status": RUN_AGAIN}
        raise
    except PipelineEndUnknown:
        turns.run_ended(record, attempt)
        raise
    if not look.known:
        logger.warning("Unknown status, waiting on", status=look.status)
    record = looked_at_record(record, look, attempt, DEADLINE_HOURS, now)
    if look.execution and look.status == SUCCEEDED:
        turns.run_ended(record, attempt)
        return succeeded(record, look.execution, listing)
    return record


def succeeded(record: dict[str, Any], execution: Execution, listing: Listing) -> dict[str, Any]:
    """Return the record of a run that succeeded; remember its bytes, and measure how late."""
    now, source = datetime.now(UTC), record["source"]
    route = read_route(ssm, ROUTES_PATH, record["route"])
    record = succeeded_record(record, execution, listing, route)
    if source["sha256"]:
        # Only now: the bytes of a run that failed may be dropped again.
        remember(table, route, source["sha256"], record["run"], source["key"], now)
    logger.info("Pipeline succeeded", outputs=len(record["outputs"]))
    if not execution.outputs:
        logger.warning("Pipeline succeeded without an output")
    if delay := seconds_since(execution.finished_at, now):
        metrics.record({metrics.DETECTION_DELAY: max(delay, 0)})
    return record
