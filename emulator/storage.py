"""S3 objects, where ministack's are otherwise than AWS's."""

from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from ministack.services import s3
from ministack.services.cloudformation import provisioners

from emulator.seams import replace, replace_item, seam

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"

CHECKSUM = "x-amz-checksum-mode"
Answer = tuple[int, dict[str, str], bytes]


def install() -> None:
    """Let a part of a version be read, and a stack's bucket be encrypted as its template says."""
    replace(s3, "_get_object", with_parts_of_versions)
    replace_item(provisioners, "_RESOURCE_HANDLERS", "AWS::S3::Bucket", encrypted)


def encrypted(handlers: dict[str, Any]) -> dict[str, Any]:
    """How CloudFormation makes buckets: with their BucketEncryption.

    AWS documentation: "AWS::S3::Bucket BucketEncryption" (AWS CloudFormation template reference).
    """
    known, create, update = seam(s3, "_bucket_encryption"), handlers["create"], handlers["update"]

    def set_up(made: Any, properties: dict[str, Any]) -> Any:
        known.pop(made[0], None)
        if configuration := properties.get("BucketEncryption"):
            known[made[0]] = encryption_document(configuration)
        return made

    def create_bucket(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        return set_up(create(logical_id, properties, stack), properties)

    def update_bucket(
        name: str, old: dict[str, Any], new: dict[str, Any], *rest: Any, **of: Any
    ) -> Any:
        return set_up(update(name, old, new, *rest, **of), new)

    return {**handlers, "create": create_bucket, "update": update_bucket}


def encryption_document(configuration: dict[str, Any]) -> str:
    """A template's BucketEncryption as S3's API has it."""
    root = Element("ServerSideEncryptionConfiguration", xmlns=NAMESPACE)
    for each in configuration["ServerSideEncryptionConfiguration"]:
        rule = SubElement(root, "Rule")
        default = SubElement(rule, "ApplyServerSideEncryptionByDefault")
        for name, value in each["ServerSideEncryptionByDefault"].items():
            SubElement(default, name).text = value
        enabled = str(each.get("BucketKeyEnabled", False)).lower()
        SubElement(rule, "BucketKeyEnabled").text = enabled
    return tostring(root, encoding="unicode")


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
