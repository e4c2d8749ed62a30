"""UploadAndExecute: the dropped file into its route's dataset, and the pipeline set going."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from straight_through import metrics
from straight_through.attempts import Attempt, attempt_of
from straight_through.aws import client, later
from straight_through.boundary import only_named_errors
from straight_through.buckets.inbox import Source, SourceBody
from straight_through.errors import WaitedFor, concerning
from straight_through.executing.connection import connection
from straight_through.executing.execute_once import Runs
from straight_through.executing.patience import wait_out
from straight_through.executing.progress import executed_record, skipped_record
from straight_through.files.duplicates import skipped_twin, twin_of
from straight_through.files.intake import Intake
from straight_through.queue.notices import Notices
from straight_through.queue.records import Records
from straight_through.queue.table import Table
from straight_through.queue.turns import Turn, Turns
from straight_through.reading.unzipping import Limits
from straight_through.routes import Route, find_route, read_route
from straight_through.statuses import NOT_EXECUTED
from straight_through.time_left import ended_by, seconds_left

logger = Logger()
s3 = client("s3")
ssm = client("ssm")
table = Table(client("dynamodb"), os.environ["TURNS_TABLE"])
turns = Turns(table, later("stepfunctions"))
records = Records(table)
notices = Notices(table)
quantemplate = connection(metrics.counting(logger))
ROUTES_PATH = os.environ["ROUTES_PATH"]
LATE_LIST_SECONDS = float(os.environ["LATE_LIST_SECONDS"])
OUTBOX_BUCKET = os.environ["OUTBOX_BUCKET"]
LIMITS = Limits.of(os.environ["LARGEST_UNZIPPED_GB"], os.environ["LARGEST_UNZIPPED_RATIO"])
NO_DURATIONS: Sequence[float] = ()
intake = Intake(s3, ssm, records, ROUTES_PATH, LIMITS)


@logger.inject_lambda_context(correlation_id_path="execution.Name")
@only_named_errors
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return the run's record, which travels through the state machine."""
    attempt, record = attempt_of(event["execution"]), event["record"]
    known = records.get(attempt.run)
    until = ended_by(context, datetime.now(UTC))
    file = SourceBody(s3, Source(**known["source"]), seconds_left(context))
    about = f"file s3://{file.source.bucket}/{file.source.key}"
    with records.noting(attempt), concerning(about):
        route = find_route(ssm, ROUTES_PATH, file.source.key)
        about += f", route {route.name}"
        try:
            with concerning(f"route {route.name}"):
                after = executed(attempt, record["turn"], known, route, file, until)
        except WaitedFor as trouble:
            waiting = wait_out(record, trouble, attempt, datetime.now(UTC))
            logger.warning("Waiting", trouble=waiting["waiting"])
            after = waiting | {"status": NOT_EXECUTED}
    return notices.follow(attempt, record, after, about, datetime.now(UTC))


def executed(
    attempt: Attempt,
    turn: dict[str, str] | None,
    known: dict[str, Any],
    route: Route,
    file: SourceBody,
    until: datetime,
) -> dict[str, Any]:
    """Return the record of the file's run, or of a file that is skipped."""
    judged, source = intake.judged(known, attempt, route, file), asdict(file.source)
    # What was sent may have been executed: it is never skipped.
    sent = known.keys() & {"execution", "posted"}
    same = None if sent else skipped_twin(table, attempt, route, judged, datetime.now(UTC))
    if same:
        logger.info("Skipped: the same bytes were processed before", twin=same)
        return skipped_record(attempt, turn, route.name, source, same)
    made, durations = known.get("execution"), NO_DURATIONS
    if not made:
        runs = Runs(quantemplate.open(), turns, records, LATE_LIST_SECONDS)
        if turn is None:
            made = runs.attach(route, attempt.input["execution_id"])
        else:
            body = intake.to_send(attempt, route, file, judged, OUTBOX_BUCKET)
            current = lambda name: read_route(ssm, ROUTES_PATH, name)  # noqa: E731
            made = runs.make(Turn(**turn), attempt, route, body, until, current)
            durations = runs.durations
            if runs.uploaded:
                metrics.record({metrics.BYTES_UPLOADED: runs.uploaded})
    sha256 = made["measures"]["sha256"]
    twin = twin_of(table, route, sha256, attempt.run, datetime.now(UTC)) if sha256 else None
    logger.info("Executed", size=len(file), identical_to=twin, **made)
    return executed_record(attempt, turn, source, made, twin, durations)
