"""S3's refusals at the outbox: denied, or not now; each says of what, and what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError

from straight_through.aws import answer_of, passes
from straight_through.errors import OutboxDenied, OutboxUnavailable
from straight_through.text import shown

Asked = Literal["read", "written", "deleted"]
DOING = {"read": "Reading", "written": "Writing", "deleted": "Deleting"}
# What an operation does itself, within whatever it is a part of.
DOES = {"HeadObject": "read", "GetObject": "read", "UploadPartCopy": "copied to"}
LATER = "When S3 answers again, redrive the run."


def address_of(bucket: str, key: str) -> str:
    """Return an object's address as it is told."""
    return shown(f"s3://{bucket}/{key}", 1100)


@contextmanager
def refusals_at(bucket: str, key: str, asked: Asked = "written") -> Iterator[None]:
    """Give S3's errors our names: what passes by itself, and what a person must allow.

    Raises OutboxUnavailable, OutboxDenied. Any other answer of S3 stays what it is.
    """
    where = address_of(bucket, key)
    try:
        yield
    except BotoCoreError as error:
        kind = type(error).__name__
        raise OutboxUnavailable(f"{DOING[asked]} {where} broke off ({kind}). {LATER}") from None
    except ClientError as error:
        status, code = answer_of(error)
        if passes(error):
            raise OutboxUnavailable(
                f"{DOING[asked]} {where} failed: S3 answered {status} ({code}). {LATER}"
            ) from None
        if status != HTTPStatus.FORBIDDEN:
            raise
        operation = error.operation_name
        raise OutboxDenied(
            f"{where} may not be {DOES.get(operation, asked)}: S3 answered 403 ({code}) to "
            f"{operation}. Let the role of the function do that there, with the encryption key of "
            "the bucket or the object if there is one, and let no policy of the bucket deny it; "
            "then redrive the run."
        ) from None
