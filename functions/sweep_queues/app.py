"""SweepQueues: on a schedule, find what status events have missed."""

import os
from datetime import UTC, datetime, timedelta

from aws_lambda_powertools import Logger

from straight_through import metrics
from straight_through.aws import client, later
from straight_through.queue.backlog import measures_of
from straight_through.queue.notices import Notices
from straight_through.queue.queues import Queues, SweepIncomplete
from straight_through.queue.table import Table
from straight_through.telling.messages import tell

logger = Logger()
table = Table(client("dynamodb"), os.environ["TURNS_TABLE"])
sns = later("sns")
TOPIC_ARN = os.environ["TOPIC_ARN"]
tell_people = lambda subject, text: tell(sns, TOPIC_ARN, subject, text)  # noqa: E731 - one line
queues = Queues(table, later("stepfunctions"), tell_people)
notices = Notices(table)
TURN_DEADLINE = timedelta(hours=float(os.environ["TURN_DEADLINE_HOURS"]))
PATIENCE = timedelta(hours=float(os.environ["QUEUE_ALARM_HOURS"]))


def handler(_event: object, _context: object) -> None:
    """Sweep all queues, and measure how they stand: an alarm rings where no measure comes."""
    try:
        standing = queues.sweep(TURN_DEADLINE)
        metrics.record(measures_of(standing, PATIENCE))
    except SweepIncomplete as incomplete:
        metrics.record(measures_of(incomplete.standing, PATIENCE))
        raise  # the alarm on this function's errors rings
    finally:
        notices.tell_due(tell_people, queues.ended, datetime.now(UTC))
