"""TakeTurn: wait, with a task token, for the turn of the file's queue."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from straight_through.attempts import attempt_of, stamp_of
from straight_through.aws import client
from straight_through.boundary import only_named_errors
from straight_through.files.intake import Intake
from straight_through.gathering.sets import claimed, in_its_place
from straight_through.queue.table import Table
from straight_through.queue.turns import Turns
from straight_through.reading.unzipping import Limits
from straight_through.routes import KEPT, Routes
from straight_through.settings import settings_of
from straight_through.time_left import within


@dataclass(frozen=True)
class Settings:
    """What the template tells the function."""

    turns_table: str
    routes_path: str
    largest_unzipped_gb: float
    largest_unzipped_ratio: float


logger = Logger()
settings = settings_of(Settings)
table = Table(client("dynamodb"), settings.turns_table)
turns = Turns(table, client("stepfunctions"))
intake = Intake(
    client("s3"),
    Routes(client("ssm"), settings.routes_path, KEPT),
    table,
    Limits.of(settings.largest_unzipped_gb, settings.largest_unzipped_ratio),
)
LOOK = 60  # seconds of reading, as in CheckFile


@logger.inject_lambda_context(correlation_id_path="execution.Name")
@only_named_errors
def handler(event: dict[str, Any], _context: object) -> None:
    """Queue the execution; its task token is answered with the turn, now or later."""
    attempt = attempt_of(event["execution"])
    source, route = intake.found(attempt, datetime.now(UTC))
    if attempt.input.execution_id:
        # It follows a run that exists: nothing is uploaded, so that it needs no turn.
        turns.need_none(event["token"])
        return
    if source and not event.get("checked"):  # by a definition without CheckFile, release 1.0.0's
        intake.judge_before_turn(attempt, source, route, within(LOOK))
    if route.set:
        attempt = in_its_place(attempt, claimed(intake.records.get(attempt.run), route))
    stamp = stamp_of(attempt, event["state"])
    logger.info("Waiting", queue=route.queue, order=attempt.order)
    facts = source.facts if source else None
    turns.take(route.queue, attempt, facts, event["token"], stamp, route.name)
