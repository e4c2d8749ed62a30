"""PublishRun: the manifest, last: its presence means that the outputs are complete."""

import os
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from straight_through.aws import client
from straight_through.errors import concerning
from straight_through.names import run_folder
from straight_through.outbox import manifest_of, store_manifest

logger = Logger()
metrics = Metrics()
s3 = client("s3")
OUTBOX_BUCKET = os.environ["OUTBOX_BUCKET"]


@logger.inject_lambda_context(correlation_id_path="run")
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Write the manifest and return the run's result: where it lies."""
    folder = run_folder(event["route"], event["source"]["key"], event["run"])
    file = f"file s3://{event['source']['bucket']}/{event['source']['key']}"
    with concerning(f"{file}, route {event['route']}"):
        key = store_manifest(s3, OUTBOX_BUCKET, folder, manifest_of(event))
    metrics.add_metric("RunsPublished", MetricUnit.Count, 1)
    metrics.flush_metrics()
    logger.info("Published", key=key, outputs=len(event["outputs"]))
    return {
        "run": event["run"],
        "status": event["status"],
        "bucket": OUTBOX_BUCKET,
        "manifest": key,
    }
