"""RunEnded: what an ended execution still has of its queue is passed on."""

import os
from typing import Any

from aws_lambda_powertools import Logger

from straight_through.aws import client, later
from straight_through.queues import Queues, topic_of
from straight_through.table import Table

logger = Logger()
table = Table(client("dynamodb"), os.environ["TURNS_TABLE"])
tell = topic_of(later("sns"), os.environ["TOPIC_ARN"])
queues = Queues(table, later("stepfunctions"), tell)


@logger.inject_lambda_context(correlation_id_path="detail.name")
def handler(event: dict[str, Any], _context: object) -> None:
    """Take one status change of an execution; the same one twice, or late, changes nothing more."""
    detail = event["detail"]
    logger.info("Ended", status=detail["status"], error=detail.get("error"))
    queues.run_ended(
        detail["name"],
        detail["executionArn"],
        detail.get("redriveCount") or 0,
        detail.get("error") or "",
    )
