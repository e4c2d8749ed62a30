"""Each ended run as one line of JSON in the outbox, which Athena and DuckDB read as a table.

Its key is made of the month in which the run was started and of its name: so a redrive writes over
the line of the attempt before. An attempt's number is in the object's metadata, and every write has
a condition: the event of an earlier attempt that comes late changes nothing.

docs.aws.amazon.com/AmazonS3/latest/userguide: "How to prevent object overwrites with conditional
writes" (412 where the condition does not hold, 409 where another write is under way).
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from quantemplate import __version__
from straight_through.aws import answer_of, answering
from straight_through.end_facts import Facts, Row
from straight_through.execution_input import typed
from straight_through.names import row_key, run_name
from straight_through.queue.items import RunRecord

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SCHEMA = 1
TRIES = 5  # against others that write the same line: a run has one attempt at a time
MET = (409, 412)
GONE = ("NoSuchKey", "NoSuchBucket")
OF_MANIFEST = (
    *("members", "parent", "prepared", "quantemplate", "outputs"),
    *("destinations", "chained"),
)
MADE_BY = f"straight-through {__version__}"


class Overtaken(Exception):
    """Others have written the same line again and again."""


def row_of(facts: Facts, given: str, record: RunRecord) -> Row:
    """Return the line of an end, as far as it is known without the run's manifest.

    `given` is the execution's input, `record` the run's, or that of the run that it was to release.
    """
    fields, folder = typed(given), facts["outputs"]
    source: Mapping[str, Any] = record.get("source") or {}
    made = record.get("execution")
    releases = fields.get("release")
    return {
        "schema": SCHEMA,
        "made_by": MADE_BY,
        **{name: facts[name] for name in ("run", "attempt", "status", "error", "message")},  # type: ignore[typeddict-item]
        "route": facts["route"],
        "started_by": started_by(facts, fields, record),
        "releases": releases if isinstance(releases, str) else None,
        "cause": facts.get("cause"),
        "started_at": facts["started_at"],
        "ended_at": facts["ended_at"],
        "waited_seconds": facts["waited_seconds"],
        "ran_seconds": facts["ran_seconds"],
        "pipeline_version": facts.get("pipeline_version"),
        "source": {**facts["file"], **{name: source[name] for name in source if name != "parent"}},
        "set": facts.get("set"),
        "members": [],
        "parent": source.get("parent"),
        "prepared": None,
        "quantemplate": {name: made.get(name) for name in OF_EXECUTION} if made else None,
        "identical_to": facts["identical_to"],
        "rows_in": facts["rows_in"],
        "rows_in_reason": facts["rows_in_reason"],
        "rows_out": facts["rows_out"],
        "outputs": [],
        "no_outputs": facts["no_outputs"],
        "held": facts["held"],
        "destinations": [],
        "chained": [],
        "manifest": f"{folder}manifest.json" if folder else None,
        "execution_arn": facts["execution_arn"],
    }


OF_EXECUTION = (
    *("organisation_id", "dataset_id", "pipeline_id"),
    *("execution_id", "run_number", "created_at"),
)


def started_by(facts: Facts, fields: dict[str, Any], record: RunRecord) -> str:
    """Return what has started a run; which person, Step Functions does not tell."""
    file, cause = facts["file"], facts.get("cause") or {}
    if "release" in fields:
        return "release"
    if fields.get("replay"):
        return "replay"
    if "at" in cause:
        return "schedule"
    if "updated" in cause:
        return "updates"
    version = file["version_id"] or fields.get("sequencer")
    if not (file["bucket"] and file["key"] and version):
        return "hand"
    if run_name(file["bucket"], file["key"], str(version)) != facts["run"]:
        return "hand"
    source = record.get("source")
    return "chain" if source and source.get("parent") else "drop"


def put_row(s3: "S3Client", outbox: str, row: Row) -> None:
    """Write a run's line, with what its manifest has, unless that of a later attempt is there.

    One request beside the manifest's, unless there is one already.

    Raises AwsUnavailable, AwsDenied, Overtaken.
    """
    key, metadata = row_key(row["run"], row["started_at"]), {"attempt": str(row["attempt"])}
    body = json.dumps(_whole(s3, row)).encode() + b"\n"
    condition: Any = {"IfNoneMatch": "*"}
    for _ in range(TRIES):
        try:
            with answering("S3"):
                s3.put_object(
                    Bucket=outbox,
                    Key=key,
                    Body=body,
                    ContentType="application/json",
                    Metadata=metadata,
                    **condition,
                )
        except ClientError as error:
            status, code = answer_of(error)
            if status not in MET and code != "NoSuchKey":
                raise
        else:
            return
        seen = _seen(s3, outbox, key)
        if seen and int(seen["Metadata"].get("attempt", 0)) >= row["attempt"]:
            return
        condition = {"IfMatch": seen["ETag"]} if seen else {"IfNoneMatch": "*"}
    raise Overtaken(f"s3://{outbox}/{key} was written by others {TRIES} times.")


def _whole(s3: "S3Client", row: Row) -> Row:
    """Return a line with what the run's manifest has, if it is still there."""
    if not row["manifest"]:
        return row
    bucket, _, key = row["manifest"].removeprefix("s3://").partition("/")
    try:
        with answering("S3"):
            manifest = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except ClientError as error:
        if answer_of(error)[1] in GONE:
            return row
        raise
    known: Any = {name: manifest[name] for name in OF_MANIFEST if name in manifest}
    if manifest.get("source"):
        known["source"] = manifest["source"]
    return {**row, **known}


def _seen(s3: "S3Client", bucket: str, key: str) -> Any:
    """Return what is there, None if nothing is."""
    try:
        with answering("S3"):
            return s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if answer_of(error)[0] == 404:
            return None
        raise
