"""CheckStatus: look whether the pipeline's execution has ended, and say how long to wait if not."""

from typing import Any

from aws_lambda_powertools import Logger

from straight_through import metrics
from straight_through.attempts import attempt_of
from straight_through.aws import later
from straight_through.boundary import only_named_errors
from straight_through.executing.check_status import CheckStatus, Settings
from straight_through.executing.connection import connection
from straight_through.queue.table import Table
from straight_through.routes import Routes
from straight_through.run_state import RunState
from straight_through.settings import settings_of

logger = Logger()
settings = settings_of(Settings)
step = CheckStatus(
    Routes(later("ssm"), settings.routes_path),  # once a run, at its end
    Table(later("dynamodb"), settings.turns_table),
    later("stepfunctions"),
    connection(settings.access, metrics.counting(logger)),
    settings,
    logger,
)


@logger.inject_lambda_context(correlation_id_path="execution.Name")
@only_named_errors
def handler(event: dict[str, Any], _context: object) -> RunState:
    """Return the run's state with its status, and the outputs of an execution that succeeded."""
    return step.state_after(attempt_of(event["execution"]), event["record"])
