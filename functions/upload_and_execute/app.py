"""UploadAndExecute: the dropped file into its route's dataset, and the pipeline set going."""

import os
from dataclasses import asdict
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from straight_through.connection import connection
from straight_through.errors import concerning
from straight_through.inbox import SourceBody, pin_source
from straight_through.polling import next_wait
from straight_through.routes import find_route
from straight_through.runs import upload_and_execute

logger = Logger()
metrics = Metrics()
s3 = boto3.client("s3")
ssm = boto3.client("ssm")
quantemplate = connection()
ROUTES_PATH = os.environ["ROUTES_PATH"]


@logger.inject_lambda_context(correlation_id_path="run")
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return the run's record, which travels through the state machine."""
    source = pin_source(s3, event["input"])
    with concerning(f"file s3://{source.bucket}/{source.key}"):
        route = find_route(ssm, ROUTES_PATH, source.key)
    with concerning(f"file s3://{source.bucket}/{source.key}, route {route.name}"):
        execution = upload_and_execute(quantemplate.open(), route, SourceBody(s3, source))
    metrics.add_metric("BytesUploaded", MetricUnit.Bytes, source.size)
    metrics.flush_metrics()
    logger.info("Executed", route=route.name, size=source.size, execution_id=execution.id)
    return {
        "run": event["run"],
        "execution_arn": event["execution_arn"],
        "route": route.name,
        "source": asdict(source),
        "quantemplate": {
            "organisation_id": route.organisation_id,
            "dataset_id": route.dataset_id,
            "pipeline_id": route.pipeline_id,
            "execution_id": execution.id,
            "run_number": execution.run_number,
            "created_at": execution.created_at,
        },
        "status": execution.status,
        "wait_seconds": next_wait(0),
    }
