"""UploadAndExecute: the dropped file into its route's dataset, and the pipeline set going."""

import os
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from straight_through.attempts import Attempt, attempt_of
from straight_through.aws import client, later
from straight_through.bindings import enter_bound
from straight_through.connection import connection
from straight_through.errors import WaitedFor, concerning
from straight_through.inbox import Source, SourceBody
from straight_through.pace import seconds_left
from straight_through.patience import wait_out
from straight_through.polling import next_wait
from straight_through.progress import NOT_EXECUTED
from straight_through.quantemplate import STARTED
from straight_through.records import Records
from straight_through.routes import find_route, read_route
from straight_through.runs import Runs
from straight_through.table import Table
from straight_through.turns import Turn, Turns

logger = Logger()
metrics = Metrics()
s3 = client("s3")
ssm = client("ssm")
table = Table(client("dynamodb"), os.environ["TURNS_TABLE"])
turns = Turns(table, later("stepfunctions"))
records = Records(table)
quantemplate = connection()
ROUTES_PATH = os.environ["ROUTES_PATH"]
LATE_LIST_SECONDS = float(os.environ["LATE_LIST_SECONDS"])
END = timedelta(seconds=10)  # that a function may take to end after its time-out


@logger.inject_lambda_context(correlation_id_path="execution.Name")
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return the run's record, which travels through the state machine."""
    attempt, record = attempt_of(event["execution"]), event["record"]
    known = records.get(attempt.run)
    source = Source(**known["source"])
    until = datetime.now(UTC) + timedelta(milliseconds=context.get_remaining_time_in_millis()) + END
    body = SourceBody(s3, source, seconds_left(context))
    with concerning(f"file s3://{source.bucket}/{source.key}"):
        try:
            made, durations = known.get("execution"), list[float]()
            if not made:
                made, durations = execution_of(attempt, record["turn"], body, until)
        except WaitedFor as trouble:
            waiting = wait_out(record, trouble, attempt, datetime.now(UTC))
            logger.warning("Waiting", trouble=waiting["waiting"], seconds=waiting["wait_seconds"])
            return waiting | {"status": NOT_EXECUTED}
    logger.info("Executed", size=source.size, **made)
    return {
        "run": attempt.run,
        "execution_arn": attempt.execution_arn,
        "turn": record["turn"],
        "route": made["route"],
        "source": asdict(source),
        "quantemplate": {field: value for field, value in made.items() if field != "route"},
        "status": STARTED,
        "wait_seconds": next_wait(0, durations),
    }


def execution_of(
    attempt: Attempt, granted: dict[str, str] | None, body: SourceBody, until: datetime
) -> tuple[dict[str, Any], list[float]]:
    """Return the file's run, made now or attached to, and the seconds that earlier runs took."""
    route = find_route(ssm, ROUTES_PATH, body.source.key)
    with concerning(f"route {route.name}"):
        runs = Runs(quantemplate.open(), turns, records, LATE_LIST_SECONDS)
        if granted is None:
            return runs.attach(route, attempt.input["execution_id"]), []
        turn = Turn(**granted)
        current = lambda name: read_route(ssm, ROUTES_PATH, name)  # noqa: E731 - one short line
        settle = lambda post: runs.settle(post, attempt)  # noqa: E731 - likewise
        mark = enter_bound(turns, turn, attempt, route, until, current, settle)
        made = None
        try:
            made = runs.upload_and_execute(turn, mark, attempt, route, body)
        finally:
            turns.unmark(turn, mark, attempt.execution_arn, executed=made is not None)
        metrics.add_metric("BytesUploaded", MetricUnit.Bytes, len(body))
        metrics.flush_metrics()
        return made, runs.durations
