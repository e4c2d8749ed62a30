"""CheckFile: pin the version, find the route, and refuse what is wrong before anybody waits."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools import Logger

from straight_through.attempts import attempt_of
from straight_through.aws import client
from straight_through.boundary import only_named_errors
from straight_through.files.intake import Intake
from straight_through.gathering.sets import Sets
from straight_through.queue.table import Table
from straight_through.reading.unzipping import Limits
from straight_through.routes import KEPT, Routes
from straight_through.run_state import FileState
from straight_through.settings import settings_of
from straight_through.statuses import CHECKED, EMPTY, REPLACED
from straight_through.time_left import within


@dataclass(frozen=True)
class Settings:
    """What the template tells the function."""

    turns_table: str
    routes_path: str
    largest_unzipped_gb: float
    largest_unzipped_ratio: float
    empty_file_minutes: float
    set_wait_hours: float


logger = Logger()
settings = settings_of(Settings)
table = Table(client("dynamodb"), settings.turns_table)
intake = Intake(
    client("s3"),
    Routes(client("ssm"), settings.routes_path, KEPT),
    table,
    Limits.of(settings.largest_unzipped_gb, settings.largest_unzipped_ratio),
)
sets = Sets(table, timedelta(hours=settings.set_wait_hours))
PATIENCE = timedelta(minutes=settings.empty_file_minutes)
LOOK = 60  # seconds of reading; what is left of a large file is read within its turn


@logger.inject_lambda_context(correlation_id_path="execution.Name")
@only_named_errors
def handler(event: dict[str, Any], _context: object) -> FileState:
    """Return how the file stands, and how long to wait where a newer version may replace it."""
    attempt, now = attempt_of(event["execution"]), datetime.now(UTC)
    source, route = intake.found(attempt, now)
    found = FileState(run=attempt.run, route=route.name, status=CHECKED, wait_seconds=0)
    if source is None or attempt.input.execution_id:
        return found  # nothing is uploaded: it has no file, or follows a run that exists
    if not source.size:
        wait = intake.wait_for_replacement(source, PATIENCE, now)
        logger.info("Empty", wait_seconds=wait)
        return found | {"status": EMPTY if wait else REPLACED, "wait_seconds": wait}
    checked = intake.judge(attempt, source, route, within(LOOK))
    logger.info("Checked", size=source.size, whole=checked.whole)
    return sets.gathered(found, attempt, source.facts, route, now) if route.set else found
