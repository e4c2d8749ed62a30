"""S3 objects, where ministack's are otherwise than AWS's."""

from collections.abc import Callable
from typing import Any

from ministack.services import s3

from emulator.seams import replace, seam

CHECKSUM = "x-amz-checksum-mode"
Answer = tuple[int, dict[str, str], bytes]


def install() -> None:
    """Let a part of a version be read, and not the whole of it."""
    replace(s3, "_get_object", with_parts_of_versions)


def with_parts_of_versions(get: Callable[..., Answer]) -> Callable[..., Answer]:
    """Answer 206 with the part that was asked for: ministack knows parts of newest versions only.

    AWS documentation: "GetObject" (Amazon S3 API reference), Range.
    """
    parsed, error_of = seam(s3, "_parse_range"), seam(s3, "_range_error_xml")
    xml = seam(s3, "_xml_body")

    def get_object(
        bucket: str, key: str, headers: dict[str, str], query: dict[str, Any] | None = None
    ) -> Answer:
        if "range" in headers:  # the checksum of the whole would be none of a part
            headers = {name: each for name, each in headers.items() if name != CHECKSUM}
        status, told, body = get(bucket, key, headers, query)
        if status != 200 or "range" not in headers:
            return status, told, body
        found = parsed(headers["range"], len(body))
        if found is None:
            refusal = {"Content-Type": "application/xml", "Content-Range": f"bytes */{len(body)}"}
            return 416, refusal, xml(error_of(bucket, key))
        start, end = found
        part = body[start : end + 1]
        told |= {
            "Content-Length": str(len(part)),
            "Content-Range": f"bytes {start}-{end}/{len(body)}",
        }
        return 206, told, part

    return get_object
