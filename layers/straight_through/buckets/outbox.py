"""What a run leaves behind: its outputs and, last, its manifest."""

import json
from typing import TYPE_CHECKING, Any, cast

from quantemplate import __version__
from quantemplate.bodies import Download
from straight_through.buckets.outbox_refusals import address_of, refusals_at
from straight_through.buckets.s3_objects import write_object
from straight_through.errors import ReleaseRefused
from straight_through.measuring import Measuring
from straight_through.names import HELD
from straight_through.rows import RowCount
from straight_through.run_state import RunState, StoredBytes, stored
from straight_through.statuses import SUCCEEDED
from straight_through.time_left import Left, Pace

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MANIFEST = "manifest.json"
SCHEMA = 2  # since 2 a run may have no file: then `source` is null
# What the bucket's rule removes after OutboxRetentionDays has this tag; what a gate holds has none.
# By its key it could not be told: a rule names keys that it is for, and none that it is not for.
TO_REMOVE = "retention=outbox"
MADE_BY = f"straight-through {__version__}"
# Of an execution by release 1.0.0.
UNKNOWN_VERSIONS = {"pipeline_version": None, "pipeline_version_before": None}


def store_output(
    s3: "S3Client",
    bucket: str,
    key: str,
    download: Download,
    metadata: dict[str, str],
    left: Left,
) -> StoredBytes:
    """Stream a download to `key`, which appears whole or not at all, within the seconds `left`.

    Raises OutputIncomplete, TransferTooSlow, OutboxUnavailable, OutboxDenied.
    """
    pace = Pace(download.what, download.size, left, "the pipeline's output")
    with Measuring(RowCount()) as measuring:

        def read(size: int) -> bytes:
            chunk = download.read(size)
            measuring.passed(chunk)
            pace.passed(len(chunk))
            return chunk

        with refusals_at(bucket, key):
            tags = tags_of(key)
            write_object(s3, bucket, key, read, "text/csv; charset=utf-8", metadata, tags)
        return {"bytes": measuring.size, **measuring.measures}


def tags_of(key: str) -> str:
    """Return the tags of an object of the outbox, "" for what a gate may hold."""
    return "" if key.startswith(f"{HELD}/") else TO_REMOVE


def manifest_of(state: RunState) -> dict[str, Any]:
    """Return the manifest of a run; `manifest.schema.json` describes it."""
    file, source, made = state["source"], None, state["quantemplate"]
    if file:
        own = (field for field in file if field not in ("parent", "period"))
        source = {field: file[field] for field in own}  # type: ignore[literal-required]
    described = ("name", "id", "key", "bytes", "sha256", "rows", "rows_reason")
    return {
        "schema": SCHEMA,
        **{field: state[field] for field in ("run", "execution_arn", "route", "status")},
        "made_by": MADE_BY,
        "source": source,
        "parent": file["parent"] if file else None,
        "cause": state.get("cause"),
        **({} if file else {"started_at": state["started_at"]}),
        **({"set": state["set"], "members": members_of(state)} if "set" in state else {}),
        **({"prepared": state["prepared"]} if "prepared" in state else {}),
        "quantemplate": made and {**UNKNOWN_VERSIONS, **made},
        "identical_to": state["identical_to"],
        "outputs": [
            {field: output[field] for field in described if field in output}
            for output in map(dict, stored(state))
        ],
        **({"no_outputs": True} if made_nothing(state) else {}),
        **{field: state.get(field, []) for field in ("held", "destinations", "chained")},
    }


def members_of(state: RunState) -> list[dict[str, Any]]:
    """Return the files of a set as its manifest names them."""
    return [
        {field: value for field, value in member.items() if field not in ("parent", "etag")}
        for member in state["members"]
    ]


def made_nothing(state: RunState) -> bool:
    """Whether a run succeeded and left no output."""
    return bool(state["status"] == SUCCEEDED and not stored(state))


def store_manifest(s3: "S3Client", bucket: str, folder: str, manifest: dict[str, Any]) -> str:
    """Write the manifest into the run's folder and return its key.

    Raises OutboxUnavailable, OutboxDenied.
    """
    key = folder + MANIFEST
    document = json.dumps(manifest, ensure_ascii=False, indent=2) + "\n"
    body = document.encode()
    with refusals_at(bucket, key):
        s3.put_object(
            Bucket=bucket,
            Key=key,
            Body=body,
            ContentType="application/json",
            **({"Tagging": tags} if (tags := tags_of(key)) else {}),  # type: ignore[arg-type]
        )
    return key


def read_manifest(s3: "S3Client", bucket: str, key: str) -> RunState:
    """Return a run's state from the manifest that was written of it.

    Raises ReleaseRefused, OutboxUnavailable, OutboxDenied.
    """
    with refusals_at(bucket, key, "read"):
        try:
            manifest = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        except s3.exceptions.NoSuchKey:
            raise ReleaseRefused(
                f"{address_of(bucket, key)} is gone, and what was held with it. Process the "
                "file anew: start a new run with the input of the run that was held."
            ) from None
    parent = manifest.pop("parent", None)
    source = manifest["source"] and manifest["source"] | {"parent": parent}
    if "set" in manifest:
        source["period"] = manifest["set"]["period"]
    return cast("RunState", manifest | {"source": source})
