"""DownloadOutput: stream one output from Quantemplate into the outbox."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from straight_through import metrics
from straight_through.aws import client
from straight_through.boundary import only_named_errors
from straight_through.buckets.outbox import store_output
from straight_through.errors import ApiThrottled, ApiUnavailable, concerning
from straight_through.executing.connection import Access, connection
from straight_through.executing.waits import wait_asked_for
from straight_through.names import held_folder, lineage_of, run_folder
from straight_through.run_state import OutputState, StoredOutput, named, named_key
from straight_through.settings import settings_of
from straight_through.time_left import seconds_left


@dataclass(frozen=True)
class Settings:
    """What the template tells the function."""

    access: Access
    outbox_bucket: str


logger = Logger()
settings = settings_of(Settings)
s3 = client("s3")
quantemplate = connection(settings.access, metrics.counting(logger))


@logger.inject_lambda_context(correlation_id_path="run")
@only_named_errors
def handler(event: OutputState, context: Any) -> StoredOutput | OutputState:
    """Return the output's line of the manifest, or the event with the wait until the next try."""
    output, run, source = event["output"], event["quantemplate"], event["source"]
    folder = held_folder if event["gated"] else run_folder
    key = (
        folder(event["route"], named_key(event["route"], source), event["run"])
        + output["file_name"]
    )
    lineage = lineage_of(event["run"], source)
    of = named(event["run"], event["route"], source)
    with concerning(f"output {output['name']!r} of {of}"):
        try:
            with quantemplate.open().download_output(
                run["organisation_id"], run["pipeline_id"], run["execution_id"], output["id"]
            ) as download:
                left = seconds_left(context)
                stored = store_output(s3, settings.outbox_bucket, key, download, lineage, left)
        except (ApiThrottled, ApiUnavailable) as trouble:
            if waiting := wait_asked_for(event, trouble.retry_after, datetime.now(UTC)):
                logger.warning("Waiting", seconds=waiting["wait_seconds"], cause=str(trouble))
                return {**event, **waiting}
            raise
    metrics.record({metrics.BYTES_DOWNLOADED: stored["bytes"]})
    logger.info("Stored", key=key, **stored)
    return {"id": output["id"], "name": output["name"], "key": key, **stored}
