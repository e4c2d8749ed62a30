"""StartRun: name the execution after the dropped object's version and start it, once."""

import json
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools import Logger

from straight_through import metrics
from straight_through.aws import answering, client
from straight_through.files.ignored import why_ignored
from straight_through.names import run_name
from straight_through.settings import settings_of


@dataclass(frozen=True)
class Settings:
    """What the template tells the function."""

    state_machine_arn: str
    ignore_patterns: str


logger = Logger()
settings = settings_of(Settings)
states = client("stepfunctions")


def handler(batch: dict[str, Any], _context: object) -> dict[str, Any]:
    """Start a run for each message of an SQS batch and report those that could not be."""
    failed = []
    for message in batch["Records"]:
        logger.set_correlation_id(None)  # the one before's
        try:
            start_run(json.loads(message["body"]))
        except Exception:
            logger.exception("Not started; SQS gives it again", message_id=message["messageId"])
            failed.append({"itemIdentifier": message["messageId"]})
    return {"batchItemFailures": failed}


def start_run(event: dict[str, Any]) -> None:
    """Start the run of one `Object Created` event, whose key is as it is, not URL-encoded."""
    bucket, item = event["detail"]["bucket"]["name"], event["detail"]["object"]
    key, version_id = item["key"], item.get("version-id")
    # Without versions, the sequencer tells one drop from the next.
    name = run_name(bucket, key, version_id or item["sequencer"])
    logger.set_correlation_id(name)
    if why := why_ignored(key, settings.ignore_patterns):
        logger.info("Ignored", key=key, why=why)
        return
    # Only what the object fixes: the same event twice must give the same input.
    dropped = {"bucket": bucket, "key": key} | ({"version_id": version_id} if version_id else {})
    # Its place among the files that wait for the same pipeline.
    dropped |= {"dropped_at": event["time"], "sequencer": item["sequencer"]}
    try:
        with answering("Step Functions"):
            states.start_execution(
                stateMachineArn=settings.state_machine_arn, name=name, input=json.dumps(dropped)
            )
    except states.exceptions.ExecutionAlreadyExists:
        logger.info("Started already", key=key)
        return
    metrics.record({metrics.FILES_STARTED: 1})
    logger.info("Started", key=key)
