"""RunEnded: what an ended execution still has of its queue is passed on, and its end is told."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from aws_lambda_powertools import Logger

from straight_through import metrics
from straight_through.aws import client, later
from straight_through.queue.reconcile import Reconciler
from straight_through.queue.records import Records
from straight_through.queue.table import Table
from straight_through.settings import settings_of
from straight_through.telling.messages import (
    Ended,
    concerns_people,
    ended_of,
    facts_of,
    put_event,
    subject_of,
    tell,
    text_of,
)


@dataclass(frozen=True)
class Settings:
    """What the template tells the function."""

    turns_table: str
    topic_arn: str


logger = Logger()
settings = settings_of(Settings)
events = client("events")
table = Table(client("dynamodb"), settings.turns_table)
records = Records(table)
tell_people = partial(tell, later("sns"), settings.topic_arn)
reconciler = Reconciler(table, later("stepfunctions"), tell_people)
# What the saved queries read.
LOGGED = ("status", "error", "route", "attempt", "waited_seconds", "ran_seconds")


@logger.inject_lambda_context(correlation_id_path="detail.name")
def handler(event: dict[str, Any], _context: object) -> None:
    """Take one status change of an execution; the same one twice, or late, changes nothing more."""
    ended = ended_of(event["detail"])
    logger.info("Ended", status=ended.status, error=ended.error)
    reconciler.run_ended(ended.run, ended.execution_arn, ended.redrive_count, ended.error)
    tell_end(ended)


def tell_end(ended: Ended) -> None:
    """Tell other systems of every end, and people of those that concern them, each once."""
    facts, now = facts_of(ended, records.get(ended.releases or ended.run)), datetime.now(UTC)
    once = f"_{ended.redrive_count}"
    records.tell_once(ended.run, "event" + once, lambda: tell_systems(ended, facts), now)
    if concerns_people(facts, ended.result.get("notify", "")):
        message = lambda: tell_people(subject_of(facts), text_of(facts))  # noqa: E731
        records.tell_once(ended.run, "message" + once, message, now)
    if other := ended.result.get("not_ours"):
        reconciler.tell_of_auto_run(ended.result["queue"], facts["route"], other)


def tell_systems(ended: Ended, facts: dict[str, Any]) -> None:
    """Tell the event bus; and once it has taken it, count the run and log what came of it."""
    put_event(events, facts)
    metrics.record_end(facts, release=bool(ended.releases))
    told = {name: facts[name] for name in LOGGED}
    logger.info("Told", key=facts["file"]["key"], cause=facts["message"], **told)
