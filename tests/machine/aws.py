"""AWS as the functions find it, without HTTP: the few calls that they and their worlds make.

botocore and moto take eight milliseconds for a call, and a world makes hundreds. What is not played
is an error, as is a parameter that is not known here; `test_aws.py` compares each call with moto's.
"""

import hashlib
import io
import json
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import pytest
from botocore import xform_name
from botocore.client import BaseClient
from botocore.response import StreamingBody

ACCOUNT = "123456789012"
PAGE = 10  # parameters
LONGEST_SUBJECT = 100  # characters


class Refusal(Exception):
    """An error by which a service answers."""

    def __init__(self, code: str, status: int = 400) -> None:
        """Keep its code and its status."""
        super().__init__(code)
        self.code, self.status = code, status


@dataclass(frozen=True)
class Stored:
    """A version of an object, or what marks it as deleted."""

    body: bytes = b""
    content_type: str = "binary/octet-stream"
    metadata: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    etag: str = ""
    version: str = field(default_factory=lambda: uuid.uuid4().hex)
    at: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    deleted: bool = False


@dataclass
class Upload:
    """An object of several parts that is not put together yet."""

    made: Stored
    parts: dict[int, bytes] = field(default_factory=dict)


class S3:
    """Buckets, all of them versioned."""

    def __init__(self) -> None:
        """There is no bucket yet."""
        self._buckets: dict[str, dict[str, list[Stored]]] = {}
        self._uploads: dict[str, Upload] = {}

    def create_bucket(self, bucket: str, create_bucket_configuration: Any) -> dict[str, Any]:
        """Make a bucket."""
        assert create_bucket_configuration
        self._buckets[bucket] = {}
        return {}

    def put_bucket_versioning(self, bucket: str, versioning_configuration: Any) -> dict[str, Any]:
        """Version a bucket, as each is."""
        assert bucket in self._buckets
        assert versioning_configuration == {"Status": "Enabled"}
        return {}

    def put_object(
        self,
        bucket: str,
        key: str,
        body: bytes = b"",
        if_match: str = "",
        if_none_match: str = "",
        **described: Any,
    ) -> dict[str, Any]:
        """Write an object, on a condition."""
        self._require(bucket, key, if_match, if_none_match)
        tag = f'"{_md5(body)}"'
        return self._keep(bucket, key, replace(_described(**described), body=body, etag=tag))

    def head_object(self, bucket: str, key: str, version_id: str = "") -> dict[str, Any]:
        """Describe an object, as it is or as it was."""
        try:
            return _head(self._found(bucket, key, version_id))
        except Refusal as refusal:
            raise Refusal("404", refusal.status) from None

    def get_object(
        self,
        bucket: str,
        key: str,
        version_id: str = "",
        if_match: str = "",
        range: str = "",  # noqa: A002
    ) -> dict[str, Any]:
        """Open an object or a part of it."""
        found = self._found(bucket, key, version_id)
        if if_match and if_match.strip('"') != found.etag.strip('"'):
            raise Refusal("PreconditionFailed", 412)
        body = _part(found.body, range)
        stream = StreamingBody(io.BytesIO(body), len(body))
        return _head(found) | {"ContentLength": len(body), "Body": stream}

    def delete_object(self, bucket: str, key: str) -> dict[str, Any]:
        """Mark an object as deleted; its versions stay."""
        marker = Stored(deleted=True)
        self._of(bucket).setdefault(key, []).append(marker)
        return {"DeleteMarker": True, "VersionId": marker.version}

    def list_objects_v2(self, bucket: str, prefix: str = "") -> dict[str, Any]:
        """Tell what there is, all on one page."""
        newest = {key: versions[-1] for key, versions in sorted(self._of(bucket).items())}
        there = [
            {"Key": key, "ETag": last.etag, "Size": len(last.body), "LastModified": last.at}
            for key, last in newest.items()
            if key.startswith(prefix) and not last.deleted
        ]
        found = {"Name": bucket, "KeyCount": len(there), "IsTruncated": False}
        return {**found, "Contents": there} if there else found

    def get_object_tagging(self, bucket: str, key: str, version_id: str = "") -> dict[str, Any]:
        """Tell an object's tags."""
        found = self._found(bucket, key, version_id)
        tags = [{"Key": name, "Value": value} for name, value in found.tags.items()]
        return {"TagSet": tags, "VersionId": found.version}

    def put_object_tagging(
        self, bucket: str, key: str, tagging: Any, version_id: str = ""
    ) -> dict[str, Any]:
        """Change an object's tags."""
        found = self._found(bucket, key, version_id)
        tags = {tag["Key"]: tag["Value"] for tag in tagging["TagSet"]}
        versions = self._of(bucket)[key]
        versions[versions.index(found)] = replace(found, tags=tags)
        return {}

    def create_multipart_upload(
        self, bucket: str, key: str, checksum_algorithm: str = "", **described: Any
    ) -> dict[str, Any]:
        """Begin an object of several parts."""
        assert bucket in self._buckets
        assert checksum_algorithm in ("", "CRC32")
        number = uuid.uuid4().hex
        self._uploads[number] = Upload(_described(**described))
        return {"Bucket": bucket, "Key": key, "UploadId": number}

    def upload_part(
        self,
        upload_id: str,
        part_number: int,
        body: bytes,
        checksum_algorithm: str = "",
        **_where: str,
    ) -> dict[str, Any]:
        """Take a part."""
        assert checksum_algorithm in ("", "CRC32")
        self._begun(upload_id).parts[part_number] = body
        return {"ETag": f'"{_md5(body)}"'}

    def upload_part_copy(
        self,
        upload_id: str,
        part_number: int,
        copy_source: dict[str, str],
        copy_source_range: str,
        copy_source_if_match: str,
        **where: str,
    ) -> dict[str, Any]:
        """Take a part from another object."""
        source = self._found(copy_source["Bucket"], copy_source["Key"])
        if source.etag != copy_source_if_match:
            raise Refusal("PreconditionFailed", 412)
        body = _part(source.body, copy_source_range)
        taken = self.upload_part(upload_id, part_number, body, **where)
        return {"CopyPartResult": {**taken, "LastModified": source.at}}

    def complete_multipart_upload(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        multipart_upload: Any,
        if_match: str = "",
        if_none_match: str = "",
    ) -> dict[str, Any]:
        """Make the object of its parts, on a condition."""
        begun = self._begun(upload_id)
        self._require(bucket, key, if_match, if_none_match)
        parts, numbers = [], [part["PartNumber"] for part in multipart_upload["Parts"]]
        if numbers != sorted(set(numbers)):
            raise Refusal("InvalidPartOrder")
        for part in multipart_upload["Parts"]:
            body = begun.parts.get(part["PartNumber"])
            if body is None or part["ETag"] != f'"{_md5(body)}"':
                raise Refusal("InvalidPart")
            parts.append(body)
        del self._uploads[upload_id]
        hashed = hashlib.md5(b"".join(hashlib.md5(each).digest() for each in parts))  # noqa: S324
        tag = f'"{hashed.hexdigest()}-{len(parts)}"'
        made = replace(begun.made, body=b"".join(parts), etag=tag)
        return {"Key": key, **self._keep(bucket, key, made)}

    def abort_multipart_upload(self, upload_id: str, **_where: str) -> dict[str, Any]:
        """Forget the parts."""
        self._begun(upload_id)
        del self._uploads[upload_id]
        return {}

    def _of(self, bucket: str) -> dict[str, list[Stored]]:
        if bucket not in self._buckets:
            raise Refusal("NoSuchBucket", 404)
        return self._buckets[bucket]

    def _begun(self, upload_id: str) -> Upload:
        if upload_id not in self._uploads:
            raise Refusal("NoSuchUpload", 404)
        return self._uploads[upload_id]

    def _keep(self, bucket: str, key: str, made: Stored) -> dict[str, Any]:
        self._of(bucket).setdefault(key, []).append(made)
        return {"ETag": made.etag, "VersionId": made.version}

    def _found(self, bucket: str, key: str, version_id: str = "") -> Stored:
        """Return a version or the newest. Raises Refusal where there is none."""
        versions = self._of(bucket).get(key, [])
        if version_id:
            versions = [stored for stored in versions if stored.version == version_id]
        if not versions or versions[-1].deleted:
            raise Refusal("NoSuchVersion" if version_id else "NoSuchKey", 404)
        return versions[-1]

    def _require(self, bucket: str, key: str, if_match: str, if_none_match: str) -> None:
        """Raise Refusal where a write's condition does not hold."""
        assert if_none_match in ("", "*")
        newest = self._of(bucket).get(key, [Stored(deleted=True)])[-1]
        if if_none_match and not newest.deleted:
            raise Refusal("PreconditionFailed", 412)
        if if_match and newest.deleted:
            raise Refusal("NoSuchKey", 404)
        if if_match and if_match.strip('"') != newest.etag.strip('"'):
            raise Refusal("PreconditionFailed", 412)


class Parameters:
    """Systems Manager's parameters."""

    def __init__(self) -> None:
        """There is none."""
        self._values: dict[str, str] = {}

    def put_parameter(
        self,
        name: str,
        value: str,
        type: str = "String",  # noqa: A002
        overwrite: bool = False,  # noqa: FBT001, FBT002
    ) -> dict[str, Any]:
        """Write a parameter, over another where that is asked for."""
        assert type == "String"
        if name in self._values and not overwrite:
            raise Refusal("ParameterAlreadyExists")
        self._values[name] = value
        return {}

    def get_parameter(self, name: str) -> dict[str, Any]:
        """Return one."""
        if name not in self._values:
            raise Refusal("ParameterNotFound")
        return {"Parameter": {"Name": name, "Value": self._values[name]}}

    def get_parameters(self, names: list[str]) -> dict[str, Any]:
        """Return those that there are."""
        there = [name for name in names if name in self._values]
        return {
            "Parameters": [{"Name": name, "Value": self._values[name]} for name in there],
            "InvalidParameters": [name for name in names if name not in there],
        }

    def get_parameters_by_path(
        self,
        path: str,
        recursive: bool,  # noqa: FBT001
        max_results: int = PAGE,
        next_token: str = "0",  # noqa: S107 - the place of a page
    ) -> dict[str, Any]:
        """Return all below a path, page by page."""
        assert recursive
        first = int(next_token)
        below = [name for name in self._values if name.startswith(f"{path}/")]
        page = below[first : first + max_results]
        found = {"Parameters": [{"Name": name, "Value": self._values[name]} for name in page]}
        more = {"NextToken": str(first + len(page))} if len(below) > first + len(page) else {}
        return {**found, **more}

    def delete_parameters(self, names: list[str]) -> dict[str, Any]:
        """Delete some."""
        there = [name for name in names if self._values.pop(name, None)]
        gone = [name for name in names if name not in there]
        return {"DeletedParameters": there, "InvalidParameters": gone}


class Topics:
    """SNS, to which nobody listens."""

    def __init__(self) -> None:
        """There is no topic."""
        self._topics: set[str] = set()

    def create_topic(self, name: str) -> dict[str, Any]:
        """Make a topic."""
        arn = f"arn:aws:sns:eu-west-1:{ACCOUNT}:{name}"
        self._topics.add(arn)
        return {"TopicArn": arn}

    def publish(
        self,
        topic_arn: str,
        subject: str,
        message: str,
        message_structure: str = "",
        message_attributes: Any = (),
    ) -> dict[str, Any]:
        """Tell people."""
        del message_attributes
        if topic_arn not in self._topics:
            raise Refusal("NotFound", 404)
        if len(subject) > LONGEST_SUBJECT:
            raise Refusal("InvalidParameter")
        if message_structure and "default" not in json.loads(message):
            raise Refusal("InvalidParameter")
        return {"MessageId": uuid.uuid4().hex}


class Secrets:
    """Secrets Manager."""

    def __init__(self) -> None:
        """There is no secret."""
        self._secrets: dict[str, dict[str, Any]] = {}

    def create_secret(self, name: str, secret_string: str) -> dict[str, Any]:
        """Make a secret."""
        arn = f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:{name}-ABCDEF"
        made = {"ARN": arn, "Name": name, "VersionId": uuid.uuid4().hex}
        self._secrets[arn] = {**made, "SecretString": secret_string}
        return made

    def get_secret_value(self, secret_id: str) -> dict[str, Any]:
        """Return its value."""
        if secret_id not in self._secrets:
            raise Refusal("ResourceNotFoundException")
        return self._secrets[secret_id]


class EventBus:
    """EventBridge, to which nobody listens."""

    def put_events(self, entries: list[Any]) -> dict[str, Any]:
        """Take events for other systems."""
        return {"FailedEntryCount": 0, "Entries": [{"EventId": uuid.uuid4().hex} for _ in entries]}


def serve_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let boto3's clients have a new account of this kind."""
    services = {
        "s3": S3(),
        "ssm": Parameters(),
        "sns": Topics(),
        "secretsmanager": Secrets(),
        "events": EventBus(),
    }

    def make_api_call(client: Any, operation: str, given: dict[str, Any]) -> Any:
        service = services[client.meta.service_model.service_name]
        named = {xform_name(name): value for name, value in given.items()}
        try:
            answer = getattr(service, xform_name(operation))(**named)
        except Refusal as refusal:
            error = {
                "Error": {"Code": refusal.code, "Message": f"{refusal.code} of {operation}"},
                "ResponseMetadata": {"HTTPStatusCode": refusal.status},
            }
            raise client.exceptions.from_code(refusal.code)(error, operation) from None
        return answer | {"ResponseMetadata": {"HTTPStatusCode": 200}}

    monkeypatch.setattr(BaseClient, "_make_api_call", make_api_call)


def _described(content_type: str = "", metadata: Any = None, tagging: str = "") -> Stored:
    """Return an object without its bytes."""
    made = Stored(metadata=metadata or {}, tags=dict(parse_qsl(tagging)))
    return replace(made, content_type=content_type) if content_type else made


def _head(stored: Stored) -> dict[str, Any]:
    """Return what S3 tells of an object."""
    return {
        "ContentLength": len(stored.body),
        "ContentType": stored.content_type,
        "ETag": stored.etag,
        "LastModified": stored.at,
        "Metadata": dict(stored.metadata),
        "VersionId": stored.version,
    }


def _part(body: bytes, asked: str) -> bytes:
    """Return the part that a range names; all where it names none."""
    if not asked:
        return body
    start, _, end = asked.removeprefix("bytes=").partition("-")
    if int(start) >= len(body):
        raise Refusal("InvalidRange", 416)
    return body[int(start) : int(end) + 1]


def _md5(body: bytes) -> str:
    """Return what S3 calls a version by its bytes."""
    return hashlib.md5(body).hexdigest()  # noqa: S324
