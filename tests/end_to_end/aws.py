"""The local AWS by itself, as a process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.process import Part, wait_until_ready
from local.stack import local_aws


@contextmanager
def running_aws(log: Path, *options: str) -> Iterator[tuple[str, Part]]:
    """The endpoint and the process of a local AWS, which logs to `log`."""
    aws = local_aws(*options, log=log)
    try:
        (endpoint,) = wait_until_ready(aws)
        yield endpoint, aws
    finally:
        aws.ask_to_stop()
        aws.stop()
