"""UploadAndExecute: the dropped file into its route's dataset, and the pipeline set going."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools import Logger

from straight_through import metrics
from straight_through.attempts import Attempt, attempt_of
from straight_through.aws import client, later
from straight_through.bodies import Body
from straight_through.boundary import only_named_errors
from straight_through.checks import as_it_goes_up, check_file, known_check
from straight_through.connection import connection
from straight_through.errors import WaitedFor, concerning
from straight_through.formats import MeasuredBody, is_text
from straight_through.inbox import Source, SourceBody
from straight_through.notices import Notices
from straight_through.pace import seconds_left
from straight_through.patience import wait_out
from straight_through.progress import executed_record, skipped_record
from straight_through.records import Records
from straight_through.routes import Route, find_route, read_route
from straight_through.runs import Runs
from straight_through.statuses import NOT_EXECUTED
from straight_through.table import Table
from straight_through.turns import Turn, Turns
from straight_through.twins import skipped_twin, twin_of
from straight_through.unzipping import Limits

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
END = timedelta(seconds=10)  # that a function may take to end after its time-out


@logger.inject_lambda_context(correlation_id_path="execution.Name")
@only_named_errors
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return the run's record, which travels through the state machine."""
    attempt, record = attempt_of(event["execution"]), event["record"]
    known = records.get(attempt.run)
    source = Source(**known["source"])
    until = datetime.now(UTC) + timedelta(milliseconds=context.get_remaining_time_in_millis()) + END
    file = SourceBody(s3, source, seconds_left(context))
    about = f"file s3://{source.bucket}/{source.key}"
    with records.noting(attempt), concerning(about):
        route = find_route(ssm, ROUTES_PATH, source.key)
        about += f", route {route.name}"
        try:
            made, durations = known.get("execution"), NO_DURATIONS
            with concerning(f"route {route.name}"):
                # What was sent may have been executed: it is never skipped.
                sent = known.keys() & {"execution", "posted"}
                now = datetime.now(UTC)
                body = to_upload(attempt, known, route, file)
                same = None if sent else skipped_twin(table, attempt, route, body, now)
                if same:
                    logger.info("Skipped: the same bytes were processed before", twin=same)
                    return skipped_record(attempt, record["turn"], route.name, asdict(source), same)
                if not made:
                    made, durations = execution_of(
                        attempt, record["turn"], route, file, body, until
                    )
        except WaitedFor as trouble:
            waiting = wait_out(record, trouble, attempt, datetime.now(UTC))
            logger.warning("Waiting", trouble=waiting["waiting"])
            waiting = notices.follow(attempt, record, waiting, about, datetime.now(UTC))
            return waiting | {"status": NOT_EXECUTED}
    sha256 = made["measures"]["sha256"]
    twin = twin_of(table, route, sha256, attempt.run, datetime.now(UTC)) if sha256 else None
    logger.info("Executed", size=source.size, identical_to=twin, **made)
    executed = executed_record(attempt, record["turn"], asdict(source), made, twin, durations)
    return notices.follow(attempt, record, executed, about, datetime.now(UTC))


def to_upload(attempt: Attempt, known: dict[str, Any], route: Route, file: SourceBody) -> Body:
    """Return the file as it is to go up; what was not judged by these settings is judged now."""
    if "execution" in known or attempt.input.get("execution_id"):
        return file  # nothing goes up
    checked = known_check(known, route)
    if checked is None:
        checked = check_file(route, file, LIMITS)
        records.checked(attempt.run, asdict(checked))
    return as_it_goes_up(file, checked)


def execution_of(
    attempt: Attempt,
    granted: dict[str, str] | None,
    route: Route,
    file: SourceBody,
    body: Body,
    until: datetime,
) -> tuple[dict[str, Any], Sequence[float]]:
    """Return the file's run, made now or attached to, and the seconds that earlier runs took."""
    runs = Runs(quantemplate.open(), turns, records, LATE_LIST_SECONDS)
    if granted is None:
        return runs.attach(route, attempt.input["execution_id"]), ()
    measured: Body = MeasuredBody(body, is_text=is_text(file.name))
    if route.table:
        measured = stored_table(attempt, route, file)
    current = lambda name: read_route(ssm, ROUTES_PATH, name)  # noqa: E731 - one short line
    made = runs.make(Turn(**granted), attempt, route, measured, until, current)
    metrics.record({metrics.BYTES_UPLOADED: len(measured)})
    return made, runs.durations


def stored_table(attempt: Attempt, route: Route, file: SourceBody) -> Body:
    """Return the table that is made of the file, which everybody sees in the outbox."""
    from straight_through.prepared import PreparedBody  # noqa: PLC0415 - by such routes only

    table_body = PreparedBody(route, attempt.run, file, LIMITS, file.left)
    table_body.store(s3, OUTBOX_BUCKET)
    logger.info("Prepared", **table_body.facts)
    return table_body
