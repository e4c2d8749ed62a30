"""What a run leaves behind: its outputs and, last, its manifest."""

import hashlib
import json
from typing import TYPE_CHECKING, Any, TypedDict

from straight_through.bodies import Download

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MANIFEST = "manifest.json"


class StoredOutput(TypedDict):
    """What was stored of one output; `bytes` long, with `rows` of data."""

    bytes: int
    sha256: str
    rows: int


class RowCount:
    """Counts the data rows of a CSV as its bytes go by: a newline inside quotes ends no row."""

    def __init__(self) -> None:
        """Begin outside of quotes and before the header."""
        self._ends = 0
        self._in_quotes = False
        self._last = b"\n"

    def update(self, chunk: bytes) -> None:
        """Count on. An escaped quote is two quotes and changes nothing."""
        for number, part in enumerate(chunk.split(b'"')):
            if number:
                self._in_quotes = not self._in_quotes
            if not self._in_quotes:
                self._ends += part.count(b"\n")
        self._last = chunk[-1:] or self._last

    @property
    def rows(self) -> int:
        """Return the rows so far, without the header."""
        unfinished = self._last != b"\n"
        return max(self._ends + unfinished - 1, 0)


class _Measured:
    """A download that is hashed and counted while something else reads it."""

    def __init__(self, download: Download) -> None:
        self._download = download
        self._hash = hashlib.sha256()
        self._rows = RowCount()
        self._bytes = 0

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, or all that is left, as a managed upload asks for them."""
        chunk = self._download.read(size) if size >= 0 else b"".join(self._download)
        self._hash.update(chunk)
        self._rows.update(chunk)
        self._bytes += len(chunk)
        return chunk

    def measures(self) -> StoredOutput:
        """Return what went by."""
        return {
            "bytes": self._bytes,
            "sha256": self._hash.hexdigest(),
            "rows": self._rows.rows,
        }


def store_output(s3: "S3Client", bucket: str, key: str, download: Download) -> StoredOutput:
    """Stream a download to `key`, which appears whole or not at all. Raises OutputIncomplete."""
    measured = _Measured(download)
    s3.upload_fileobj(measured, bucket, key, ExtraArgs={"ContentType": "text/csv; charset=utf-8"})  # type: ignore[arg-type]
    return measured.measures()


def manifest_of(record: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest of a run's record; `manifest.schema.json` describes it."""
    fields = ("run", "execution_arn", "route", "status", "source", "quantemplate", "outputs")
    return {field: record[field] for field in fields}


def store_manifest(s3: "S3Client", bucket: str, folder: str, manifest: dict[str, Any]) -> str:
    """Write the manifest into the run's folder and return its key."""
    key = folder + MANIFEST
    document = json.dumps(manifest, ensure_ascii=False, indent=2) + "\n"
    s3.put_object(Bucket=bucket, Key=key, Body=document.encode(), ContentType="application/json")
    return key
