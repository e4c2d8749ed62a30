"""CheckStatus: look whether the pipeline's run has ended, and say how long to wait if not."""

import os
from datetime import UTC, datetime
from math import ceil
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from straight_through.connection import connection
from straight_through.errors import ApiThrottled, concerning
from straight_through.polling import LONGEST_WAIT, seconds_since
from straight_through.progress import look_at, outputs_of
from straight_through.quantemplate import SUCCEEDED

logger = Logger()
metrics = Metrics()
quantemplate = connection()
DEADLINE_HOURS = float(os.environ["PIPELINE_DEADLINE_HOURS"])


@logger.inject_lambda_context(correlation_id_path="run")
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return the run's record with its status, and the outputs of a run that succeeded."""
    run, source = event["quantemplate"], event["source"]
    with concerning(f"file s3://{source['bucket']}/{source['key']}, route {event['route']}"):
        try:
            listed = quantemplate.open().list_executions(run["organisation_id"], run["pipeline_id"])
        except ApiThrottled as throttled:
            if not throttled.retry_after:
                raise
            # The wait that the server asks for costs nothing here.
            return event | {"wait_seconds": ceil(min(throttled.retry_after, LONGEST_WAIT))}
        look = look_at(listed, run, datetime.now(UTC), DEADLINE_HOURS)
    if not look.known:
        logger.warning("Unknown status, waiting on", status=look.status)
    event |= {"status": look.status, "wait_seconds": look.wait_seconds}
    if look.execution and look.status == SUCCEEDED:
        began, ended = look.execution.started_at, look.execution.finished_at
        event["quantemplate"] |= {"started_at": began, "finished_at": ended}
        event["outputs"] = outputs_of(look.execution)
        logger.info("Pipeline succeeded", outputs=len(look.execution.outputs))
        if delay := seconds_since(ended, datetime.now(UTC)):
            metrics.add_metric("DetectionDelay", MetricUnit.Seconds, max(delay, 0))
            metrics.flush_metrics()
    return event
