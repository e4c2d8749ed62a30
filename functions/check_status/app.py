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
from straight_through.errors import (
    NotFound,
    PipelineCancelled,
    PipelineEndUnknown,
    PipelineFailed,
    WaitedFor,
    concerning,
)
from straight_through.executions import Execution
from straight_through.listing import ABOVE_ALL, Listing
from straight_through.notices import Notices
from straight_through.patience import vanished, wait_out
from straight_through.pipelines import Pipelines
from straight_through.polling import seconds_since
from straight_through.progress import (
    look_at,
    not_ours,
    outputs_of,
    unknown_status,
    without_waiting,
)
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
        pass_turn_on(record, attempt)
        return record
    about = f"file s3://{record['source']['bucket']}/{record['source']['key']}"
    about += f", route {record['route']}"
    with records.noting(attempt), concerning(about):
        record = looked(record, attempt)
    return notices.follow(attempt, event["record"], record, about, datetime.now(UTC))


def looked(record: dict[str, Any], attempt: Attempt) -> dict[str, Any]:
    """Return the record as one look at the run leaves it."""
    run = record["quantemplate"]
    ids = run["organisation_id"], run["pipeline_id"]
    after = record["after"] if record["turn"] else ABOVE_ALL  # newer runs, if we have made it
    try:
        listing = quantemplate.open().list_runs(*ids, after=after, ours=[run["execution_id"]])
    except NotFound as error:  # it has been listed before the run was made
        return wait_out(record, vanished(error), attempt, datetime.now(UTC))
    except WaitedFor as trouble:
        return wait_out(record, trouble, attempt, datetime.now(UTC))
    seen(record, listing)
    if record["turn"]:
        turns.works_again(record["turn"]["queue"], attempt)
    now = datetime.now(UTC)
    try:
        look = look_at(listing, record, now, attempt, DEADLINE_HOURS, LATE_LIST_SECONDS)
    except (PipelineFailed, PipelineCancelled):
        pass_turn_on(record, attempt)
        told = (attempt.run, run["execution_id"], attempt.redrive_count)
        # An attached run is not ours to repeat.
        if record["turn"] and records.told_before(*told):
            return without_waiting(record) | {"status": RUN_AGAIN}
        raise
    except PipelineEndUnknown:
        pass_turn_on(record, attempt)
        raise
    if not look.known:
        logger.warning("Unknown status, waiting on", status=look.status)
    if look.known or not look.execution:
        record = without_waiting(record)
    else:
        record = unknown_status(record, look, attempt, DEADLINE_HOURS, now)
    record |= {"status": look.status, "wait_seconds": look.wait_seconds}
    if look.execution and look.status == SUCCEEDED:
        pass_turn_on(record, attempt)
        succeeded(record, look.execution, listing)
    return record


def seen(record: dict[str, Any], listing: Listing) -> None:
    """Keep the highest run number that the list shows, where it is above all that we know of."""
    run = record["quantemplate"]
    if listing.highest > max(record["after"], run["run_number"], record.get("seen", 0)):
        pipelines.seen(run, listing.highest)
        record["seen"] = listing.highest


def succeeded(record: dict[str, Any], execution: Execution, listing: Listing) -> None:
    """Add to the record what the next steps need of a run that succeeded."""
    run, source, ended = record["quantemplate"], record["source"], execution.finished_at
    run |= {"started_at": execution.started_at, "finished_at": ended}
    route = read_route(ssm, ROUTES_PATH, record["route"])
    record["outputs"] = outputs_of(selected(execution.outputs, route))
    if not execution.outputs:
        logger.warning("Pipeline succeeded without an output")
    record["gated"] = bool(route.hold_if_rows)
    if sha256 := source["sha256"]:
        # Only now: the bytes of a run that failed may be dropped again.
        remember(table, route, sha256, record["run"], source["key"], datetime.now(UTC))
    other = not_ours(listing, run, record["after"]) if record["turn"] else None
    record["not_ours"] = other.id if other else None
    logger.info("Pipeline succeeded", outputs=len(record["outputs"]))
    if delay := seconds_since(ended, datetime.now(UTC)):
        metrics.record({metrics.DETECTION_DELAY: max(delay, 0)})


def pass_turn_on(record: dict[str, Any], attempt: Attempt) -> None:
    """Let the next file of the queue begin: this one's run has ended, or it has none."""
    if turn := record["turn"]:
        # Without a run, what became of the file before may still be open.
        ended = turn["turn_id"] if record["quantemplate"] else ""
        turns.pass_on(turn["queue"], attempt.execution_arn, attempt.redrive_count, ended)
