"""TakeTurn: pin the file's version and wait, with a task token, for the turn of its queue."""

import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from straight_through.attempts import attempt_of, stamp_of
from straight_through.aws import client
from straight_through.boundary import only_named_errors
from straight_through.errors import concerning
from straight_through.inbox import Source, pin_source
from straight_through.records import Records
from straight_through.routes import find_route
from straight_through.table import Table
from straight_through.turns import Turns

logger = Logger()
s3 = client("s3")
ssm = client("ssm")
states = client("stepfunctions")
table = Table(client("dynamodb"), os.environ["TURNS_TABLE"])
turns = Turns(table, states)
records = Records(table)
ROUTES_PATH = os.environ["ROUTES_PATH"]


@logger.inject_lambda_context(correlation_id_path="execution.Name")
@only_named_errors
def handler(event: dict[str, Any], _context: object) -> None:
    """Queue the execution; its task token is answered with the turn, now or later."""
    attempt = attempt_of(event["execution"])
    # The version that the first attempt has pinned, whatever was dropped since.
    pinned = records.get(attempt.run).get("source")
    source = Source(**pinned) if pinned else pin_source(s3, attempt.input)
    with concerning(f"file s3://{source.bucket}/{source.key}"):
        route = find_route(ssm, ROUTES_PATH, source.key)
    if attempt.input.get("execution_id"):
        # It follows a run that exists: nothing is uploaded, so that it needs no turn.
        records.keep_source(attempt.run, asdict(source), route.name, datetime.now(UTC))
        states.send_task_success(taskToken=event["token"], output=json.dumps({"turn": None}))
        return
    stamp = stamp_of(attempt, event["state"])
    logger.info("Waiting", queue=route.queue, order=attempt.order)
    turns.take(route.queue, attempt, asdict(source), event["token"], stamp, route.name)
