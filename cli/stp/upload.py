"""Files into the inbox."""

import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boto3.exceptions import S3UploadFailedError

from stp.refused import why_refused
from stp.route_files import Document, deployed_documents
from stp.run_facts import route_of
from stp.said import UNKNOWN, USAGE, Stop
from stp.stack import Stack
from straight_through.names import run_name

MARK = "dropped-as"  # metadata that tells our version of a key from another's


@dataclass(frozen=True)
class Drop:
    """A file of this machine and where it goes."""

    path: Path
    key: str
    size: int
    route: Document  # as it is deployed


@dataclass(frozen=True)
class Dropped:
    """A file in the inbox, and the run that it starts."""

    path: Path
    bucket: str
    key: str
    version_id: str
    run: str


def planned(stack: Stack, files: list[Path], route: str) -> list[Drop]:
    """Return where each file goes. Raises Stop, for all that go nowhere, before any is uploaded."""
    routes = deployed_documents(stack)
    if not routes:
        raise Stop(
            f"Stack {stack.name} has no route: no file would go anywhere. Add one: stp routes apply"
        )
    if route and route_of(f"{route}/x", routes) is None:
        known = ", ".join(sorted(routes))
        raise Stop(f"No route serves the folder {route!r}. Routes are: {known}", UNKNOWN)
    drops, refused = [], []
    for path in files:
        try:
            drops.append(_drop(stack, path, route, routes))
        except Stop as stop:
            refused.append(str(stop))
    if refused:
        raise Stop("\n".join(refused), USAGE)
    keys = [drop.key for drop in drops]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise Stop(
            f"Several files would become {', '.join(twice)}. Rename them, or drop one by one.",
            USAGE,
        )
    return drops


def _drop(stack: Stack, path: Path, route: str, routes: Mapping[str, Document]) -> Drop:
    """Return where one file goes. Raises Stop."""
    if not path.is_file():
        raise Stop(f"There is no file {path}.", USAGE)
    size = path.stat().st_size
    if not size:
        raise Stop(f"{path} is empty: Quantemplate takes no empty file.", USAGE)
    key = f"{route or _guessed(path, routes)}/{path.name}"
    patterns = stack.parameters.get("IgnorePatterns", "")
    if why := why_refused(key, size, patterns, stack.inbox_prefix, stack.name):
        raise Stop(why, USAGE)
    return Drop(path, key, size, routes[route_of(key, routes) or ""])


def _guessed(path: Path, routes: Collection[str]) -> str:
    """Return the route that a file lies in the folder of, or the only one. Raises Stop."""
    if not path.is_absolute() and ".." not in path.parts:
        folder = path.parent.as_posix()
        if folder != "." and route_of(path.as_posix(), routes):
            return folder
    if len(routes) == 1:
        return next(iter(routes))
    known = ", ".join(sorted(routes))
    raise Stop(f"Which route is {path} for? Name one with --route: {known}", USAGE)


def upload(stack: Stack, drop: Drop, advance: Callable[[int], None]) -> Dropped:
    """Upload one file; `advance` is told each number of bytes. Raises Stop."""
    s3, bucket, mark = stack.client("s3"), stack.outputs["InboxBucket"], uuid.uuid4().hex
    extra = {"Metadata": {MARK: mark}}
    try:
        s3.upload_file(str(drop.path), bucket, drop.key, ExtraArgs=extra, Callback=advance)
    except S3UploadFailedError as error:
        raise Stop(f"{drop.path} was not uploaded: {error}") from None
    version = _version(s3, bucket, drop.key, mark)
    run = run_name(bucket, drop.key, version)
    return Dropped(drop.path, bucket, drop.key, version, run)


def _version(s3: Any, bucket: str, key: str, mark: str) -> str:
    """Return the version that our upload made, also where another has followed it."""
    head = s3.head_object(Bucket=bucket, Key=key)
    if head.get("VersionId", "null") == "null":  # what S3 says while versions are switched off
        raise Stop(
            f"s3://{bucket}/{key} is dropped, but its run cannot be followed: the bucket keeps no "
            "versions. See stp runs, and switch versioning on: stp doctor"
        )
    if head["Metadata"].get(MARK) == mark:
        return str(head["VersionId"])
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key)
    for page in pages:
        for each in page.get("Versions", ()):
            if each["Key"] != key:
                continue
            version = str(each["VersionId"])
            found = s3.head_object(Bucket=bucket, Key=key, VersionId=version)
            if found["Metadata"].get(MARK) == mark:
                return version
    raise Stop(f"s3://{bucket}/{key} was replaced or removed at once. See stp runs.")
