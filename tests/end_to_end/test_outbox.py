"""An outbox that may not be written: said with what to do, and gone on with by a redrive."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.end_to_end.road import Road, Route


@contextmanager
def denied(road: Road, keys: str) -> Iterator[None]:
    """A policy of the outbox that lets nobody write these keys."""
    s3 = road.client("s3")
    before = s3.get_bucket_policy(Bucket=road.outbox)["Policy"]
    policy = json.loads(before)
    policy["Statement"].append(
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{road.outbox}/{keys}",
        }
    )
    s3.put_bucket_policy(Bucket=road.outbox, Policy=json.dumps(policy))
    try:
        yield
    finally:
        s3.put_bucket_policy(Bucket=road.outbox, Policy=before)


@pytest.mark.parametrize(
    ("keys", "state"), [("*", "DownloadOutput"), ("*/manifest.json", "PublishRun")]
)
def test_an_outbox_that_denies_a_write_is_named_and_a_redrive_goes_on(
    road: Road, copy_route: Route, keys: str, state: str
) -> None:
    # Given an outbox that may not be written
    with denied(road, f"{copy_route.name}/{keys}"):
        # When a file's run comes to it
        run = road.processed(f"{copy_route.name}/{uuid.uuid4().hex}.csv", b"a,b\n1,2\n")
    # Then it fails there after its tries, and says which file, which object, and what to do
    assert (run.status, run.error, run.failed_at) == ("FAILED", "OutboxDenied", state)
    assert f"s3://{road.outbox}/{copy_route.name}/" in run.cause
    assert "then redrive" in run.cause
    assert f"route {copy_route.name}" in run.cause
    # And once it is allowed, a redrive brings the manifest
    again = road.redrive(run)
    assert again.status == "SUCCEEDED"
    assert road.manifest(again)["outputs"]


def test_a_right_that_takes_minutes_to_count_fails_no_run(road: Road, copy_route: Route) -> None:
    # Given an outbox that may not be written yet
    key = f"{copy_route.name}/{uuid.uuid4().hex}.csv"

    def refused(arn: str) -> bool:
        tried = [event.get("taskFailedEventDetails", {}) for event in road.history(arn)]
        return any(each.get("error") == "OutboxDenied" for each in tried)

    with denied(road, f"{copy_route.name}/*"):
        # When a file's run is refused there
        road.drop(key, b"a,b\n1,2\n")
        (arn,) = road.until(lambda: road.executions_of(key), "an execution")
        road.until(lambda: refused(arn), "a refusal")
    # And the right counts only then
    run = road.ended(arn)
    # Then the run goes on by itself
    assert run.status == "SUCCEEDED", run.cause
