"""Files in the inbox that no run knows: their events were lost, or came before the stack did."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from stp.stack import Stack
from straight_through.files.ignored import why_ignored
from straight_through.moments import iso
from straight_through.names import run_name

LONGEST_AGO = timedelta(days=90)  # Step Functions' documentation: so long an execution is known
CLOCKS = timedelta(hours=1)  # by which those of S3 and Step Functions may differ, and far more
UNVERSIONED = "null"  # S3's id of an object from before its bucket kept versions


@dataclass(frozen=True)
class UnknownFile:
    """The newest version of a key; `run` is the name that its drop would have given its run."""

    bucket: str
    key: str
    version_id: str
    dropped_at: str
    run: str

    @property
    def input(self) -> dict[str, str]:
        """What its run is started with."""
        names = ("bucket", "key", "version_id", "dropped_at")
        return {name: getattr(self, name) for name in names}


def unknown_files(stack: Stack, since: datetime) -> list[UnknownFile]:
    """Return the files dropped since then that would start a run and have none, the oldest first.

    What was dropped before its bucket kept versions has no name to be known by, and is left out.
    """
    known = set(_runs(stack, since - CLOCKS))
    files = (each for each in _files(stack, since) if each.run not in known)
    return sorted(files, key=lambda each: each.dropped_at)


def _runs(stack: Stack, since: datetime) -> Iterator[str]:
    """Yield the names of the executions that were started since then."""
    pages = stack.client("stepfunctions").get_paginator("list_executions")
    for page in pages.paginate(stateMachineArn=stack.machine, maxResults=1000):
        for each in page["executions"]:
            if each["startDate"] < since:  # the newest come first
                return
            yield each["name"]


def _files(stack: Stack, since: datetime) -> Iterator[UnknownFile]:
    """Yield what was dropped since then, whether it is known or not."""
    bucket, ignored = stack.outputs["InboxBucket"], stack.parameters.get("IgnorePatterns", "")
    pages = stack.client("s3").get_paginator("list_object_versions")
    for page in pages.paginate(Bucket=bucket, Prefix=stack.inbox_prefix):
        for each in page.get("Versions", ()):
            if each["LastModified"] >= since and _counts(each, ignored):
                key, version = each["Key"], each["VersionId"]
                at = iso(each["LastModified"])
                yield UnknownFile(bucket, key, version, at, run_name(bucket, key, version))


def _counts(version: dict[str, Any], ignored: str) -> bool:
    """Whether a version is a file's newest one and would start a run."""
    newest = version["IsLatest"] and version["VersionId"] != UNVERSIONED
    return newest and not why_ignored(version["Key"], ignored)
