"""PublishRun: the gate, the destinations, the chain, and last the manifest."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from aws_lambda_powertools import Logger

from straight_through.attempts import attempt_of
from straight_through.aws import client, later
from straight_through.boundary import only_named_errors
from straight_through.errors import concerning
from straight_through.publishing.held import take_held
from straight_through.publishing.publish import publish
from straight_through.queue.records import Records
from straight_through.queue.table import Table
from straight_through.routes import Routes
from straight_through.run_state import Result, named_by
from straight_through.settings import settings_of
from straight_through.statuses import HELD


@dataclass(frozen=True)
class Settings:
    """What the template tells the function."""

    turns_table: str
    routes_path: str
    outbox_bucket: str
    inbox_bucket: str
    inbox_prefix: str


logger = Logger()
settings = settings_of(Settings)
s3 = client("s3")
published = partial(publish, s3, settings.outbox_bucket, inbox_prefix=settings.inbox_prefix)
routes = Routes(client("ssm"), settings.routes_path)
records = Records(Table(later("dynamodb"), settings.turns_table))


@logger.inject_lambda_context(correlation_id_path="execution.Name")
@only_named_errors
def handler(event: dict[str, Any], _context: object) -> Result:
    """Return what became of the run, and where its manifest lies."""
    attempt = attempt_of(event["execution"])
    releases = attempt.input.release
    now = datetime.now(UTC)
    if releases:
        state = take_held(s3, settings.outbox_bucket, records, releases, attempt.execution_arn, now)
    else:
        state = event["record"]
    state = state | {"inbox": settings.inbox_bucket}
    with concerning(named_by(state)):
        route = routes.named(state["route"])
        result = published(state, route, routes, released=bool(releases))
    if result["status"] == HELD:
        records.hold(attempt.run, result["manifest"], state["order"])
    if releases:
        records.released(releases, now)
    logger.info("Published", **result)
    return result
