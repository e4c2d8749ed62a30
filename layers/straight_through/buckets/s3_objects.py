"""Objects of any size, written from a stream or copied within S3, that appear whole or not at all.

A stream goes in parts of bounded memory; a copy is made only where its condition holds.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Literal

from botocore.exceptions import BotoCoreError, ClientError

from straight_through.buckets.outbox_refusals import refusals_at
from straight_through.errors import OutboxUnavailable, OutputMissing
from straight_through.text import shown

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# 512 MiB between two servers on one machine, busy, with two processors; medians of 5 rounds, beside
# what `curl | aws s3 cp -` needed in the same rounds, and how much more memory than 10 MiB it took:
#
#   parts of   in flight   time   MiB
#    8 MiB     2           1.09   24
#    8 MiB     3           0.76   35
#    8 MiB     4           0.92   47
#    5 MiB     4           0.69   27
#
# Smaller parts are no worse, but S3 takes 10,000 of them: of 8 MiB, an object may have 78 GiB, for
# which a function would have to receive 93 MB each second of its 15 minutes.
PART = 8 * 1024 * 1024  # bytes
IN_FLIGHT = 3  # parts that are sent at a time, while the next one is read
CHECKSUM: Final = "CRC32"  # which S3 compares with what it has received
# Bytes; S3 copies at most 5 GiB at a time, and has to answer before its client's time-out.
COPIED_PART = 256 * 1024 * 1024
TRIES = 5
EXISTS = 412  # the status of an unmet condition; 409 is a race with another request

Address = tuple[str, str]  # an object's bucket and key
Outcome = Literal["Copied", "Superseded"]


def write_object(
    s3: "S3Client",
    bucket: str,
    key: str,
    read: Callable[[int], bytes],
    content_type: str,
    metadata: dict[str, str],
    tags: str = "",
) -> None:
    """Write what `read(size)` returns until it returns nothing: only that is the end.

    `tags` are as a query has them, `name=value`. Raises what `read` raises and botocore's errors,
    and leaves no parts behind then.
    """
    named: Any = {"Bucket": bucket, "Key": key, "ContentType": content_type, "Metadata": metadata}
    named |= {"Tagging": tags} if tags else {}
    first = _part(read)
    if len(first) < PART:
        s3.put_object(**named, Body=first)
        return
    with _in_parts(s3, **named, ChecksumAlgorithm=CHECKSUM) as upload:

        def send(number: int, part: bytes) -> Any:
            sent = s3.upload_part(
                **upload, PartNumber=number, Body=part, ChecksumAlgorithm=CHECKSUM
            )
            facts = {"PartNumber": number, "ETag": sent["ETag"]}
            checked = sent.get("ChecksumCRC32")
            return facts | ({"ChecksumCRC32": checked} if checked else {})

        parts = _sent(send, first, read)
        s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})


def copy_if_absent(
    s3: "S3Client", source: Address, target: Address, metadata: Mapping[str, str]
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
    s3: "S3Client", source: Address, target: Address, metadata: Mapping[str, str], tags: str = ""
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
        if not _copy(s3, source, target, metadata, condition, tags):
            return "Copied"
    raise _always_overtaken(target)


def _sent(
    send: Callable[[int, bytes], Any], part: bytes, read: Callable[[int], bytes]
) -> list[Any]:
    """Send all parts, a few at a time, and return what S3 wants to know of them."""
    parts: list[Any] = []
    going: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(IN_FLIGHT) as pool:  # left only when no part is under way
        for number in count(1):
            if len(going) == IN_FLIGHT:
                parts.append(going.popleft().result())
            going.append(pool.submit(send, number, part))
            part = _part(read)
            if not part:
                break
        return parts + [future.result() for future in going]


def _part(read: Callable[[int], bytes]) -> bytes:
    """Return the next part; it is shorter only where there is nothing behind it."""
    part = read(PART)
    while 0 < len(part) < PART:
        more = read(PART - len(part))
        if not more:
            break
        part += more
    return part


def _seen(s3: "S3Client", target: Address) -> Any:
    """Return what is at a key now, None if nothing is."""
    try:
        return s3.head_object(Bucket=target[0], Key=target[1])
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return None
        raise


def _copy(
    s3: "S3Client",
    source: Address,
    target: Address,
    metadata: Mapping[str, str],
    condition: dict[str, Any],
    tags: str = "",
) -> int:
    """Copy part by part: the same way for every size, and conditional for each.

    Return 0, or the status with which S3 refused to write on this condition. Raises OutputMissing
    where the source is gone, OutboxDenied where it may not be read.
    """
    bucket, key = target
    with refusals_at(*source, "read"):
        head = _seen(s3, source)
    if head is None:
        raise OutputMissing(
            f"The output {shown(f's3://{source[0]}/{source[1]}', 1100)} is gone: somebody, or a "
            "rule of the bucket, has removed it since it was fetched. Start a new run with "
            "the file's bucket and key and the run's \"execution_id\", which fetches it anew."
        )
    described: Any = {"ContentType": head["ContentType"], "Metadata": dict(metadata)}
    described |= {"Tagging": tags} if tags else {}
    named: Any = {"Bucket": bucket, "Key": key}
    size = head["ContentLength"]
    if size == 0:  # an empty part cannot be copied
        return _refused(s3.put_object, **named, **described, **condition, Body=b"")
    with _in_parts(s3, **named, **described) as upload:
        parts: Any = []
        for number, start in enumerate(range(0, size, COPIED_PART), 1):
            copied = s3.upload_part_copy(
                **upload,
                PartNumber=number,
                CopySource={"Bucket": source[0], "Key": source[1]},
                CopySourceRange=f"bytes={start}-{min(start + COPIED_PART, size) - 1}",
                CopySourceIfMatch=head["ETag"],
            )
            parts.append({"PartNumber": number, "ETag": copied["CopyPartResult"]["ETag"]})
        refused = _refused(
            s3.complete_multipart_upload, **upload, **condition, MultipartUpload={"Parts": parts}
        )
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


@contextmanager
def _in_parts(s3: "S3Client", **named: Any) -> Iterator[Any]:
    """Begin an object of several parts; what goes wrong then leaves none of them behind."""
    begun = s3.create_multipart_upload(**named)
    upload = {"Bucket": named["Bucket"], "Key": named["Key"], "UploadId": begun["UploadId"]}
    try:
        yield upload
    except BaseException:
        _abort(s3, upload)
        raise


def _abort(s3: "S3Client", upload: Any) -> None:
    """Leave no parts behind; where that fails, the bucket's lifecycle rule removes them."""
    with suppress(BotoCoreError, ClientError):
        s3.abort_multipart_upload(**upload)


def _always_overtaken(target: Address) -> OutboxUnavailable:
    """Return the error of a key that others keep writing."""
    return OutboxUnavailable(
        f"{shown(f's3://{target[0]}/{target[1]}', 1100)} was written by others {TRIES} times while "
        "it was to be copied. See who writes there, then redrive the run."
    )
