"""UploadAndExecute: the dropped file into its route's dataset, and the pipeline set going."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from straight_through import metrics
from straight_through.attempts import attempt_of
from straight_through.aws import client, later
from straight_through.boundary import only_named_errors
from straight_through.executing.connection import connection
from straight_through.executing.upload_and_execute import Settings, UploadAndExecute
from straight_through.queue.table import Table
from straight_through.routes import Routes
from straight_through.run_state import RunState
from straight_through.settings import settings_of
from straight_through.time_left import ended_by, seconds_left

logger = Logger()
settings = settings_of(Settings)
step = UploadAndExecute(
    client("s3"),
    Routes(client("ssm"), settings.routes_path),
    Table(client("dynamodb"), settings.turns_table),
    later("stepfunctions"),
    connection(settings.access, metrics.counting(logger)),
    settings,
    logger,
)


@logger.inject_lambda_context(correlation_id_path="execution.Name")
@only_named_errors
def handler(event: dict[str, Any], context: Any) -> RunState:
    """Return the run's state, which travels through the state machine."""
    attempt, until = attempt_of(event["execution"]), ended_by(context, datetime.now(UTC))
    return step.state_after(attempt, event["record"], until, seconds_left(context))
