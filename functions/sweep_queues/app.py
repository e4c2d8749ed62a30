"""SweepQueues: on a schedule, find what status events have missed."""

import os
from datetime import timedelta

import boto3
from aws_lambda_powertools import Logger

from straight_through.queues import Queues, topic_of
from straight_through.table import Table

logger = Logger()
table = Table(boto3.client("dynamodb"), os.environ["TURNS_TABLE"])
tell = topic_of(boto3.client("sns"), os.environ["TOPIC_ARN"])
queues = Queues(table, boto3.client("stepfunctions"), tell)
TURN_DEADLINE = timedelta(hours=float(os.environ["TURN_DEADLINE_HOURS"]))


def handler(_event: object, _context: object) -> None:
    """Sweep all queues."""
    queues.sweep(TURN_DEADLINE)
