"""RunEnded: what an ended execution still has of its queue is passed on, and its end is told."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from aws_lambda_powertools import Logger

from straight_through.aws import client, later
from straight_through.queue.reconcile import Reconciler
from straight_through.queue.table import Table
from straight_through.settings import settings_of
from straight_through.telling.ends import Ends, Where
from straight_through.telling.messages import ended_of, tell


@dataclass(frozen=True)
class Settings:
    """What the template tells the function."""

    turns_table: str
    topic_arn: str
    pipeline_page_url: str
    where: Where


logger = Logger()
settings = settings_of(Settings)
table = Table(client("dynamodb"), settings.turns_table)
tell_people = partial(tell, later("sns"), settings.topic_arn)
reconciler = Reconciler(table, later("stepfunctions"), tell_people)
ends = Ends(table, client("events"), tell_people, logger, client("s3"), settings.where)


@logger.inject_lambda_context(correlation_id_path="detail.name")
def handler(event: dict[str, Any], _context: object) -> None:
    """Take one status change of an execution; the same one twice, or late, changes nothing more."""
    ended = ended_of(event["detail"])
    logger.info("Ended", status=ended.status, error=ended.error)
    try:
        reconciler.run_ended(ended.run, ended.execution_arn, ended.redrive_count, ended.error)
    finally:  # it is told, whatever keeps its turn
        ends.tell(ended, settings.pipeline_page_url)
    if other := ended.result.get("not_ours"):
        ends.tell_of_auto_run(ended.result["queue"], ended.result["route"], other)
