"""The inbox and the parameters that hold the routes, as the functions read them."""

import json
from collections.abc import Iterator
from datetime import datetime
from io import BytesIO
from typing import Any

from botocore.exceptions import ClientError

from tests.model.invocations import stop

KEY = "k" * 64


class Inbox:
    """S3 with the dropped files' versions."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self.versions: dict[tuple[str, str], tuple[bytes, datetime]] = {}
        self.rows: dict[str, dict[str, Any]] = {}  # of the outbox, by their keys

    def put_object(self, **put: Any) -> None:
        """Write the line of a run that has ended, if its condition holds.

        Nothing stops here: what races with it is in the table alone.
        """
        there = self.rows.get(put["Key"])
        wanted = (
            there is None if "IfNoneMatch" in put else there and there["ETag"] == put["IfMatch"]
        )
        if not wanted:
            answer = {
                "Error": {"Code": "PreconditionFailed"},
                "ResponseMetadata": {"HTTPStatusCode": 412},
            }
            raise ClientError(answer, "PutObject")  # type: ignore[arg-type]
        tag = f'"{len(self.rows)} {put["Metadata"]["attempt"]}"'
        self.rows[put["Key"]] = {"Metadata": put["Metadata"], "ETag": tag}

    def head_object(self, Bucket: str, Key: str, VersionId: str = "") -> dict[str, Any]:  # noqa: ARG002, N803
        """Describe a version."""
        if not VersionId:
            return self.rows[Key]
        _fail(stop("head object"))
        content, dropped_at = self.versions[Key, VersionId]
        return {
            "ContentLength": len(content),
            "ETag": '"etag"',
            "LastModified": dropped_at,
            "VersionId": VersionId,
            "Metadata": {},
        }

    def get_object(self, **named: str) -> dict[str, Any]:
        """Open a version, or a part of it."""
        _fail(stop("get object"))
        content, part = self.versions[named["Key"], named["VersionId"]][0], named.get("Range")
        if part:
            start, end = part.removeprefix("bytes=").split("-")
            content = content[int(start) : int(end) + 1]
        return {"Body": _Body(content)}


class _Body(BytesIO):
    """A version's bytes, chunk by chunk."""

    def iter_chunks(self, size: int) -> Iterator[bytes]:
        """Return the chunks."""
        while chunk := self.read(size):
            yield chunk


class Parameters:
    """SSM with the routes' documents."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self.values: dict[str, str] = {}

    def get_parameters(self, Names: list[str]) -> dict[str, Any]:  # noqa: N803
        """Return those that exist."""
        stop("get parameters")
        found = [name for name in Names if name in self.values]
        return {"Parameters": [{"Name": name, "Value": self.values[name]} for name in found]}

    def get_parameters_by_path(self, Path: str, **_page: Any) -> dict[str, Any]:  # noqa: N803
        """Return all below a path, on one page."""
        stop("get parameters by path")
        below = [name for name in self.values if name.startswith(f"{Path}/")]
        return {"Parameters": [{"Name": name, "Value": self.values[name]} for name in below]}


class Secrets:
    """Secrets Manager with the key for events."""

    def get_secret_value(self, SecretId: str) -> dict[str, Any]:  # noqa: ARG002, N803
        """Return the key."""
        return {"SecretString": json.dumps({"key": KEY})}


class Topic:
    """SNS."""

    def __init__(self) -> None:
        """Nobody was told anything."""
        self.told: list[str] = []

    def publish(self, TopicArn: str, Subject: str, Message: str, **_: Any) -> None:  # noqa: ARG002, N803
        """Tell people."""
        stop("publish")
        self.told.append(Subject)


class EventBus:
    """EventBridge."""

    def put_events(self, Entries: list[Any]) -> dict[str, Any]:  # noqa: ARG002, N803
        """Take events for other systems."""
        stop("put events")
        return {"FailedEntryCount": 0}


def _fail(trouble: str) -> None:
    """Fail as S3 does."""
    if trouble == "refused":
        answer = {"Error": {"Code": "503"}, "ResponseMetadata": {"HTTPStatusCode": 503}}
        raise ClientError(answer, "call")  # type: ignore[arg-type]
