"""A run's outputs onto this machine."""

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from stp.disk import legal_names
from stp.run_facts import Run
from stp.stack import Stack


def outputs_of(stack: Stack, run: Run) -> tuple[str, list[dict[str, Any]]]:
    """Return the bucket and the outputs of a run's manifest."""
    if not run.manifest:
        return "", []
    bucket, key = run.manifest
    answer = stack.client("s3").get_object(Bucket=bucket, Key=key)
    return bucket, list(json.loads(answer["Body"].read())["outputs"])


def fetched(stack: Stack, run: Run, folder: Path) -> Iterator[tuple[Path, int | None]]:
    """Download each output into a folder, whole or not at all; yield where, and its rows."""
    bucket, outputs = outputs_of(stack, run)
    if outputs:
        folder.mkdir(parents=True, exist_ok=True)
    names = legal_names(PurePosixPath(output["key"]).name for output in outputs)
    for output, name in zip(outputs, names, strict=True):
        path = folder / name
        # boto3 writes beside it and renames: a link of this name is replaced, and not followed.
        stack.client("s3").download_file(bucket, output["key"], str(path))
        yield path, output["rows"]
