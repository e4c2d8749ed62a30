"""SweepQueues: on a schedule, find what status events have missed."""

from contextlib import ExitStack
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
from straight_through.starting.index import Index
from straight_through.starting.updates import Starter
from straight_through.telling.ends import Ends, Where
from straight_through.telling.messages import tell
from straight_through.time_left import seconds_left


@dataclass(frozen=True)
class Settings:
    """What the template tells the function."""

    turns_table: str
    topic_arn: str
    where: Where
    turn_deadline_hours: float
    queue_alarm_hours: float
    routes_path: str
    state_machine_arn: str
    most_update_runs_an_hour: float


logger = Logger()
settings = settings_of(Settings)
table = Table(client("dynamodb"), settings.turns_table)
tell_people = partial(tell, later("sns"), settings.topic_arn)
reconciler, notices = Reconciler(table, later("stepfunctions"), tell_people), Notices(table)
ends = Ends(table, later("events"), tell_people, logger, later("s3"), settings.where)
MOST = int(settings.most_update_runs_an_hour)
starter = Starter(table, later("stepfunctions"), settings.state_machine_arn, MOST)
index = Index(table, later("ssm"), settings.routes_path, starter, ends.tell_once)
TURN_DEADLINE = timedelta(hours=settings.turn_deadline_hours)
PATIENCE = timedelta(hours=settings.queue_alarm_hours)


def handler(_event: object, context: Any) -> None:
    """Sweep all queues, and measure how they stand: an alarm rings where no measure comes."""
    left, ended, may_look = seconds_left(context), reconciler.ended, reconciler.may_look
    with ExitStack() as then:  # each is done, the last named first, whatever another meets
        then.callback(lambda: ends.tell_late(datetime.now(UTC), left))
        then.callback(lambda: index.sweep(ended, may_look, datetime.now(UTC), left))
        then.callback(
            lambda: notices.tell_due(tell_people, ended, may_look, datetime.now(UTC), left)
        )
        try:
            metrics.record(measures_of(reconciler.sweep(TURN_DEADLINE), PATIENCE))
        except SweepIncomplete as incomplete:
            metrics.record(measures_of(incomplete.standing, PATIENCE))
            raise  # the alarm on this function's errors rings
