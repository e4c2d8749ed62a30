"""SweepQueues: on a schedule, find what status events have missed."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from aws_lambda_powertools import Logger

from straight_through import metrics
from straight_through.aws import client, later
from straight_through.queue.backlog import measures_of
from straight_through.queue.notices import Notices
from straight_through.queue.reconcile import Reconciler, SweepIncomplete
from straight_through.queue.table import Table
from straight_through.settings import settings_of
from straight_through.telling.ends import Ends
from straight_through.telling.messages import tell
from straight_through.time_left import seconds_left


@dataclass(frozen=True)
class Settings:
    """What the template tells the function."""

    turns_table: str
    topic_arn: str
    turn_deadline_hours: float
    queue_alarm_hours: float


logger = Logger()
settings = settings_of(Settings)
table = Table(client("dynamodb"), settings.turns_table)
tell_people = partial(tell, later("sns"), settings.topic_arn)
reconciler = Reconciler(table, later("stepfunctions"), tell_people)
notices = Notices(table)
ends = Ends(table, later("events"), tell_people, logger)
TURN_DEADLINE = timedelta(hours=settings.turn_deadline_hours)
PATIENCE = timedelta(hours=settings.queue_alarm_hours)


def handler(_event: object, context: Any) -> None:
    """Sweep all queues, and measure how they stand: an alarm rings where no measure comes."""
    try:
        standing = reconciler.sweep(TURN_DEADLINE)
        metrics.record(measures_of(standing, PATIENCE))
    except SweepIncomplete as incomplete:
        metrics.record(measures_of(incomplete.standing, PATIENCE))
        raise  # the alarm on this function's errors rings
    finally:
        try:
            notices.tell_due(tell_people, reconciler.ended, datetime.now(UTC))
        finally:
            ends.tell_late(datetime.now(UTC), seconds_left(context))
