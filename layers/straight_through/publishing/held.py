"""What a gate holds, until one execution releases it, after however long."""

from datetime import datetime
from typing import TYPE_CHECKING

from straight_through.attempts import order_of
from straight_through.buckets.outbox import MANIFEST, read_manifest
from straight_through.buckets.outbox_refusals import refusals_at
from straight_through.errors import ReleaseRefused
from straight_through.names import HELD
from straight_through.queue.records import Records
from straight_through.run_state import RunState, began_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def take_held(
    s3: "S3Client", outbox: str, records: Records, run: str, execution_arn: str, now: datetime
) -> RunState:
    """Return the state of a held run, which this execution alone may release.

    Raises ReleaseRefused, OutboxUnavailable, OutboxDenied.
    """
    held = records.release(run, execution_arn, now)
    if held is None:
        _remember(s3, outbox, records, run, now)
        held = records.release(run, execution_arn, now)
    if held is None:
        raise ReleaseRefused(
            f'Run {run!r} is not held. Start a new run with {{"release": "<run>"}} and the name of '
            "a run whose manifest lies under held/ in the outbox."
        )
    return {**read_manifest(s3, outbox, held["held"]), "order": held["order"]}


def held_manifest(s3: "S3Client", outbox: str, run: str) -> str | None:
    """Return the key of a held run's manifest, as what lies under held/ shows.

    None where nothing is held of it: what was released has no more than its manifest there.
    """
    keys = [
        found["Key"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=outbox, Prefix=f"{HELD}/")
        for found in page.get("Contents", [])
        if found["Key"].split("/")[-2] == run
    ]
    manifests = [key for key in keys if key.endswith(f"/{run}/{MANIFEST}")]
    return manifests[0] if len(manifests) == 1 and len(keys) > 1 else None


def _remember(s3: "S3Client", outbox: str, records: Records, run: str, now: datetime) -> None:
    """Note anew that a run is held, if the outbox shows it.

    The records that release 1.0.0 has written are forgotten after 180 days.
    """
    with refusals_at(outbox, f"{HELD}/", "read"):
        manifest = held_manifest(s3, outbox, run)
    if manifest is None:
        return
    state = read_manifest(s3, outbox, manifest)
    known = {"source": state["source"], "cause": state.get("cause"), "route": state["route"]}
    records.note(run, now, **known)
    records.hold(run, manifest, order_of(began_of(state), None, run))
