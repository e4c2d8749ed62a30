"""DownloadOutput: stream one output from Quantemplate into the outbox."""

import math
import os
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from straight_through import metrics
from straight_through.aws import client
from straight_through.boundary import only_named_errors
from straight_through.connection import connection
from straight_through.errors import ApiThrottled, ApiUnavailable, concerning
from straight_through.names import held_folder, lineage_of, run_folder
from straight_through.outbox import store_output
from straight_through.pace import seconds_left
from straight_through.polling import LONGEST_WAIT

logger = Logger()
s3 = client("s3")
quantemplate = connection(metrics.counting(logger))
OUTBOX_BUCKET = os.environ["OUTBOX_BUCKET"]
PATIENCE = 12 * 3600  # seconds of waits that Quantemplate asks for


@logger.inject_lambda_context(correlation_id_path="run")
@only_named_errors
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return the output's line of the manifest, or the event with the wait until the next try."""
    output, run, source = event["output"], event["quantemplate"], event["source"]
    folder = held_folder if event["gated"] else run_folder
    key = folder(event["route"], source["key"], event["run"]) + output["file_name"]
    lineage = lineage_of(event["run"], source)
    file = f"file s3://{source['bucket']}/{source['key']}, route {event['route']}"
    with concerning(f"output {output['name']!r} of {file}"):
        try:
            with quantemplate.open().download_output(
                run["organisation_id"], run["pipeline_id"], run["execution_id"], output["id"]
            ) as download:
                left = seconds_left(context)
                stored = store_output(s3, OUTBOX_BUCKET, key, download, lineage, left)
        except (ApiThrottled, ApiUnavailable) as trouble:
            if waiting := wait_asked_for(event, trouble.retry_after, datetime.now(UTC)):
                logger.warning("Waiting", seconds=waiting["wait_seconds"], cause=str(trouble))
                return event | waiting
            raise
    metrics.record({metrics.BYTES_DOWNLOADED: stored["bytes"]})
    logger.info("Stored", key=key, **stored)
    return {"id": output["id"], "name": output["name"], "key": key, **stored}


def wait_asked_for(event: dict[str, Any], asked: float, now: datetime) -> dict[str, Any] | None:
    """Return the wait that a server has asked for, None where it did not, or for too long.

    It grows with the time waited, so that a short one does not fill the history. Only a definition
    that knows the wait says `may_wait`: the one of release 1.0.0 tries again by its own.
    """
    if not asked or not event.get("may_wait"):
        return None
    since = event.get("waiting_since", now.isoformat())
    waited = (now - datetime.fromisoformat(since)).total_seconds()
    if waited > PATIENCE:
        return None
    seconds = math.ceil(min(max(asked, min(waited, LONGEST_WAIT), 1), PATIENCE))
    return {"waiting_since": since, "wait_seconds": seconds}
