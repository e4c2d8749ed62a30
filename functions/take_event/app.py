"""TakeEvent: what Quantemplate posts, at an address that holds a key."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from straight_through import metrics
from straight_through.aws import client, later
from straight_through.hearing.event import NoEvent, event_of
from straight_through.hearing.key import Key
from straight_through.hearing.request import NOT_FOUND, answer, body_of
from straight_through.hearing.taking import UNKNOWN, take
from straight_through.queue.table import Table
from straight_through.settings import settings_of
from straight_through.starting.updates import Starter


@dataclass(frozen=True)
class Settings:
    """What the template tells the function."""

    turns_table: str
    events_key_secret_arn: str
    state_machine_arn: str
    most_update_runs_an_hour: float


logger = Logger()
settings = settings_of(Settings)
table = Table(client("dynamodb"), settings.turns_table)
key = Key(client("secretsmanager"), settings.events_key_secret_arn, table)
states = later("stepfunctions")
MOST = int(settings.most_update_runs_an_hour)
starter = Starter(table, states, settings.state_machine_arn, MOST)


def handler(request: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer one request; of one without the key nothing is logged, and nothing is told."""
    if not key.opens(request["rawPath"]):
        metrics.record({metrics.EVENTS_REFUSED: 1})
        return answer(NOT_FOUND)
    try:
        event = event_of(body_of(request))
    except NoEvent as error:
        metrics.record({metrics.EVENTS_REFUSED: 1})
        return answer(error.status, str(error))
    did = take(table, states, starter, event, datetime.now(UTC))
    metrics.record({metrics.EVENTS_IGNORED if did == UNKNOWN else metrics.EVENTS_TAKEN: 1})
    logger.info("Taken", event_name=event.name, event_id=event.id, did=did)
    return answer(200, "Taken.")
