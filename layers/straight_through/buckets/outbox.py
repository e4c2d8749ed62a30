"""What a run leaves behind: its outputs and, last, its manifest."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, cast

from botocore.exceptions import BotoCoreError, ClientError

from quantemplate import __version__
from quantemplate.bodies import Download
from straight_through.aws import answer_of, passes
from straight_through.buckets.s3_objects import write_object
from straight_through.errors import OutboxDenied, OutboxUnavailable, ReleaseRefused
from straight_through.measuring import Measuring
from straight_through.rows import RowCount
from straight_through.run_state import RunState, StoredBytes, stored
from straight_through.statuses import SUCCEEDED
from straight_through.text import shown
from straight_through.time_left import Left, Pace

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MANIFEST = "manifest.json"
MADE_BY = f"straight-through {__version__}"
_LATER = "When S3 answers again, redrive the run."


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
    pace = Pace(download.what, download.size, left)
    with Measuring(RowCount()) as measuring:

        def read(size: int) -> bytes:
            chunk = download.read(size)
            measuring.passed(chunk)
            pace.passed(len(chunk))
            return chunk

        with writing(bucket, key):
            write_object(s3, bucket, key, read, "text/csv; charset=utf-8", metadata)
        return {"bytes": measuring.size, **measuring.measures}


def manifest_of(state: RunState) -> dict[str, Any]:
    """Return the manifest of a run; `manifest.schema.json` describes it."""
    source = {field: value for field, value in state["source"].items() if field != "parent"}
    described = ("name", "id", "key", "bytes", "sha256", "rows", "rows_reason")
    return {
        **{field: state[field] for field in ("run", "execution_arn", "route", "status")},
        "made_by": MADE_BY,
        "source": source,
        "parent": state["source"]["parent"],
        **({"prepared": state["prepared"]} if "prepared" in state else {}),
        "quantemplate": state["quantemplate"],
        "identical_to": state["identical_to"],
        "outputs": [
            {field: output[field] for field in described if field in output}
            for output in map(dict, stored(state))
        ],
        **({"no_outputs": True} if made_nothing(state) else {}),
        **{field: state.get(field, []) for field in ("held", "destinations", "chained")},
    }


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
    with writing(bucket, key):
        s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")
    return key


def read_manifest(s3: "S3Client", bucket: str, key: str) -> RunState:
    """Return a run's state from the manifest that was written of it.

    Raises ReleaseRefused, OutboxUnavailable, OutboxDenied.
    """
    with writing(bucket, key, what="read"):
        try:
            manifest = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        except s3.exceptions.NoSuchKey:
            raise ReleaseRefused(
                f"{_where(bucket, key)} is gone, and what was held with it: drop the file again."
            ) from None
    source = manifest["source"] | {"parent": manifest.pop("parent")}
    return cast("RunState", manifest | {"source": source})


def _where(bucket: str, key: str) -> str:
    """Return an object's address as it is told."""
    return shown(f"s3://{bucket}/{key}", 1100)


@contextmanager
def writing(bucket: str, key: str, what: Literal["read", "written"] = "written") -> Iterator[None]:
    """Give S3's errors our names: what passes by itself, and what a person must allow."""
    where = _where(bucket, key)
    did = "Writing" if what == "written" else "Reading"
    try:
        yield
    except BotoCoreError as error:
        raise OutboxUnavailable(
            f"{did} {where} broke off ({type(error).__name__}). {_LATER}"
        ) from None
    except ClientError as error:
        status, code = answer_of(error)
        if passes(error):
            raise OutboxUnavailable(
                f"{did} {where} failed: S3 answered {status} ({code}). {_LATER}"
            ) from None
        if status != 403:
            raise
        raise OutboxDenied(
            f"{where} may not be {what}: S3 answered 403 ({code}) to {error.operation_name}. Let "
            "the role of the function get and put objects there, with their encryption key if "
            "there is one, and let no policy of the bucket deny it; then redrive the run."
        ) from None
