"""PublishRun: the gate, the destinations, the chain, and last the manifest."""

import os
from typing import Any

from aws_lambda_powertools import Logger

from straight_through.attempts import Attempt, attempt_of
from straight_through.aws import client, later
from straight_through.boundary import only_named_errors
from straight_through.buckets.outbox import read_manifest
from straight_through.errors import concerning
from straight_through.execution_input import released_run
from straight_through.publishing.publish import publish
from straight_through.queue.records import Records
from straight_through.queue.table import Table
from straight_through.routes import read_route
from straight_through.statuses import HELD

logger = Logger()
s3 = client("s3")
ssm = client("ssm")
records = Records(Table(later("dynamodb"), os.environ["TURNS_TABLE"]))
OUTBOX_BUCKET = os.environ["OUTBOX_BUCKET"]
ROUTES_PATH = os.environ["ROUTES_PATH"]


@logger.inject_lambda_context(correlation_id_path="execution.Name")
@only_named_errors
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return what became of the run, and where its manifest lies."""
    attempt = attempt_of(event["execution"])
    releases = released_run(attempt.input)
    record = event["record"] if releases is None else released(attempt, releases)
    about = f"file s3://{record['source']['bucket']}/{record['source']['key']}"
    with concerning(f"{about}, route {record['route']}"):
        route = read_route(ssm, ROUTES_PATH, record["route"])
        result = publish(
            s3,
            OUTBOX_BUCKET,
            record,
            route,
            lambda name: read_route(ssm, ROUTES_PATH, name),
            released=releases is not None,
        )
    if result["status"] == HELD:
        records.hold(attempt.run, result["manifest"], record["order"])
    logger.info("Published", **result)
    return result


def released(attempt: Attempt, run: str) -> dict[str, Any]:
    """Return the record of a held run, which this execution alone may release."""
    held = records.release(run, attempt.execution_arn)
    record = read_manifest(s3, OUTBOX_BUCKET, held["held"])
    return record | {"order": held["order"]}
