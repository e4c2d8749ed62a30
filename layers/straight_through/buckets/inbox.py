"""The dropped object, pinned to one version."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from quantemplate.bodies import CHUNK
from straight_through.buckets.s3_refusals import refusal_of
from straight_through.errors import InputInvalid, SourceUnavailable
from straight_through.execution_input import EXPECTED, ExecutionInput
from straight_through.run_state import DroppedFile, Parent
from straight_through.time_left import Left, Pace

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class Source:
    """What was dropped; `size` in bytes, `dropped_at` in ISO 8601."""

    bucket: str
    key: str
    version_id: str | None
    size: int
    etag: str
    dropped_at: str
    parent: Parent | None = None  # the run that chained it on

    @property
    def facts(self) -> DroppedFile:
        """What travels, and what the run's record keeps."""
        return cast("DroppedFile", asdict(self))


def pin_source(s3: "S3Client", named: ExecutionInput) -> Source:
    """Return the object that an execution's input names, at the version it has now or names.

    Raises InputInvalid, SourceNotFound, SourceUnavailable, SourceDenied.
    """
    return _described(s3, named.bucket, named.key, named.version_id)


def newest(s3: "S3Client", source: Source) -> Source | None:
    """Return the version that has come after this one, None where it is the newest yet.

    Raises SourceNotFound where the file was deleted, and what `pin_source` does.
    """
    now = _described(s3, source.bucket, source.key, None)
    same = (now.version_id, now.etag) == (source.version_id, source.etag)
    return None if same else now


def _described(s3: "S3Client", bucket: str, key: str, version_id: str | None) -> Source:
    """Return what S3 says of an object."""
    where = f"s3://{bucket}/{key}" + (f" (version {version_id})" if version_id else "")
    version = {"VersionId": version_id} if version_id else {}
    try:
        head = s3.head_object(Bucket=bucket, Key=key, **version)  # type: ignore[arg-type]
    except ParamValidationError:
        raise InputInvalid(f"{where} is no legal name of an object. {EXPECTED}") from None
    except BotoCoreError as error:
        raise refusal_of(error, where) from None
    except ClientError as error:
        raise _asked_again(s3, error, where, {"Bucket": bucket, "Key": key, **version}) from None
    return Source(
        bucket=bucket,
        key=key,
        version_id=head.get("VersionId", version_id),
        size=head["ContentLength"],
        etag=head["ETag"].strip('"'),
        dropped_at=head["LastModified"].isoformat().replace("+00:00", "Z"),
        parent=_parent(head["Metadata"]),
    )


def _asked_again(
    s3: "S3Client", refused: ClientError, where: str, named: dict[str, str]
) -> Exception:
    """Return our error for a HEAD that S3 refused: its reply has no body, but that of a GET has."""
    status = refused.response["ResponseMetadata"]["HTTPStatusCode"]
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return refusal_of(refused, where)
    try:
        s3.get_object(**named, Range="bytes=0-0")["Body"].close()  # type: ignore[arg-type]
    except BotoCoreError as error:
        return refusal_of(error, where)
    except ClientError as error:
        refused = error if error.response["Error"]["Code"] != "InvalidRange" else refused
        return refusal_of(refused, where)
    if status == HTTPStatus.FORBIDDEN:
        return refusal_of(refused, where)
    return SourceUnavailable(f"S3 refused to describe {where}, and gave its bytes all the same.")


def _parent(metadata: Mapping[str, str]) -> Parent | None:
    """Return the lineage that the chain has given an object, None for a file from outside."""
    if "parent-run" not in metadata:
        return None
    return {
        "run": metadata["parent-run"],
        "key": unquote(metadata.get("parent-key", "")),
        "output": unquote(metadata.get("parent-output", "")),
        "path": [name for name in metadata.get("path", "").split(",") if name],
    }


class SourceBody:
    """The pinned object's bytes as the body of an upload."""

    def __init__(self, s3: "S3Client", source: Source, left: Left) -> None:
        """Read nothing yet; `left` tells how many seconds there are for it."""
        self._s3 = s3
        self.source = source
        self.left = left

    def __len__(self) -> int:
        """Return the object's size in bytes."""
        return self.source.size

    @property
    def name(self) -> str:
        """Return the object's key."""
        return self.source.key

    def part(self, start: int, size: int) -> bytes:
        """Return `size` bytes from `start` on, fewer at the end. Raises what iterating does."""
        if start >= self.source.size or size <= 0:
            return b""  # S3 answers 416 to it
        try:
            with closing(self._opened(Range=f"bytes={start}-{start + size - 1}")) as stream:
                found = stream.read(size + 1)
        except (BotoCoreError, ClientError) as error:
            raise refusal_of(error, self._where) from None
        if len(found) != min(size, self.source.size - start):
            raise SourceUnavailable(f"Of {self._where}, S3 sent another part than was asked for.")
        return found

    def __iter__(self) -> Iterator[bytes]:
        """Read the object from its start.

        Raises SourceUnavailable where it breaks off, TransferTooSlow where it will not end in time,
        SourceNotFound, SourceDenied.
        """
        pace = Pace("The upload", self.source.size, self.left)
        try:
            with closing(self._opened()) as stream:
                for chunk in stream.iter_chunks(CHUNK):
                    yield chunk
                    pace.passed(len(chunk))  # it has been sent: the next one was asked for
        except (BotoCoreError, ClientError) as error:
            raise refusal_of(error, self._where) from None

    def _opened(self, **more: str) -> "StreamingBody":
        """Open the object, or a part of it."""
        source = self.source
        version = {"VersionId": source.version_id} if source.version_id else {}
        # Without versions, the ETag makes sure that it is still the same object.
        opened = self._s3.get_object(
            Bucket=source.bucket,
            Key=source.key,
            IfMatch=source.etag,
            **version,  # type: ignore[arg-type]
            **more,  # type: ignore[arg-type]
        )
        return opened["Body"]

    @property
    def _where(self) -> str:
        """Name the object."""
        return f"s3://{self.source.bucket}/{self.source.key}"
