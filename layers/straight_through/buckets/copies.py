"""Copies within S3, of any size, that appear whole or not at all, and only on their condition."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from straight_through.errors import OutboxUnavailable, OutputMissing
from straight_through.text import shown

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PART = 1024 * 1024 * 1024  # bytes; S3 copies at most 5 GiB at a time, and takes 10,000 parts
Outcome = Literal["Copied", "Superseded"]
TRIES = 5
EXISTS = 412  # the status of an unmet condition; 409 is a race with another request


def copy_if_absent(
    s3: "S3Client", source: tuple[str, str], target: tuple[str, str], metadata: Mapping[str, str]
) -> bool:
    """Copy to a key that does not exist; False where it does. Raises OutboxUnavailable."""
    for _ in range(TRIES):
        refused = _copy(s3, source, target, metadata, {"IfNoneMatch": "*"})
        if refused == EXISTS:
            return False
        if not refused:
            return True
    raise _always_overtaken(target)


def copy_if_newer(
    s3: "S3Client", source: tuple[str, str], target: tuple[str, str], metadata: Mapping[str, str]
) -> Outcome:
    """Copy to a key unless what is there is of a newer file: `order` in the metadata tells.

    What this very run has put there already is left as it is. Two that write at once: the one that
    loses looks again. Raises OutboxUnavailable.
    """
    for _ in range(TRIES):
        seen = _seen(s3, target)
        if seen:
            there = seen["Metadata"]
            if there.get("run") == metadata["run"] and there.get("output") == metadata["output"]:
                return "Copied"
            if there.get("order", "") > metadata["order"]:
                return "Superseded"
        condition: dict[str, Any] = {"IfMatch": seen["ETag"]} if seen else {"IfNoneMatch": "*"}
        if not _copy(s3, source, target, metadata, condition):
            return "Copied"
    raise _always_overtaken(target)


def _seen(s3: "S3Client", target: tuple[str, str]) -> Any:
    """Return what is at a key now, None if nothing is."""
    try:
        return s3.head_object(Bucket=target[0], Key=target[1])
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return None
        raise


def _copy(
    s3: "S3Client",
    source: tuple[str, str],
    target: tuple[str, str],
    metadata: Mapping[str, str],
    condition: dict[str, Any],
) -> int:
    """Copy part by part: the same way for every size, and conditional for each.

    Return 0, or the status with which S3 refused to write on this condition. Raises OutputMissing
    where the source is gone.
    """
    bucket, key = target
    head = _seen(s3, source)
    if head is None:
        raise OutputMissing(
            f"The output {shown(f's3://{source[0]}/{source[1]}', 1100)} is gone: somebody, or a "
            "rule of the bucket, has removed it since it was fetched. Start a new execution with "
            "the file's bucket and key and the run's \"execution_id\", which fetches it anew."
        )
    described: Any = {"ContentType": head["ContentType"], "Metadata": dict(metadata)}
    named: Any = {"Bucket": bucket, "Key": key}
    size = head["ContentLength"]
    if size == 0:  # an empty part cannot be copied
        return _refused(s3.put_object, **named, **described, **condition, Body=b"")
    upload: Any = named | {"UploadId": s3.create_multipart_upload(**named, **described)["UploadId"]}
    try:
        parts: Any = []
        for number, start in enumerate(range(0, size, PART), 1):
            copied = s3.upload_part_copy(
                **upload,
                PartNumber=number,
                CopySource={"Bucket": source[0], "Key": source[1]},
                CopySourceRange=f"bytes={start}-{min(start + PART, size) - 1}",
                CopySourceIfMatch=head["ETag"],
            )
            parts.append({"PartNumber": number, "ETag": copied["CopyPartResult"]["ETag"]})
        refused = _refused(
            s3.complete_multipart_upload, **upload, **condition, MultipartUpload={"Parts": parts}
        )
    except BaseException:
        _abort(s3, upload)
        raise
    if refused:
        _abort(s3, upload)
    return refused


def _refused(write: Callable[..., Any], **parameters: Any) -> int:
    """Make a conditional write; return the status where it met what it did not expect, or 0.

    Only of the write itself: of a source that changes or goes meanwhile, S3 says nearly the same.
    """
    try:
        write(**parameters)
    except ClientError as error:
        status = int(error.response["ResponseMetadata"]["HTTPStatusCode"])
        if status in (409, EXISTS) or error.response["Error"]["Code"] == "NoSuchKey":
            return status
        raise
    return 0


def _abort(s3: "S3Client", upload: Any) -> None:
    """Leave no parts behind; where that fails, the bucket's lifecycle rule removes them."""
    with suppress(BotoCoreError, ClientError):
        s3.abort_multipart_upload(**upload)


def _always_overtaken(target: tuple[str, str]) -> OutboxUnavailable:
    """Return the error of a key that others keep writing."""
    return OutboxUnavailable(
        f"{shown(f's3://{target[0]}/{target[1]}', 1100)} was written by others {TRIES} times while "
        "it was to be copied. See who writes there, then redrive the execution."
    )
