"""S3's refusals of a dropped object: gone, not to be read, or not now; each with what to do.

Codes: Amazon S3's "Error responses"; those of KMS come with the prefix `KMS.`.
"""

from http import HTTPStatus

from botocore.exceptions import BotoCoreError, ClientError

from straight_through import aws
from straight_through.errors import (
    SourceDenied,
    SourceNotFound,
    SourceUnavailable,
    StraightThroughError,
)
from straight_through.text import shown

# Parts of codes that say "not now" too, of what S3 asks on its way.
PASSES = (
    *aws.PASSES,
    *("KMSInternal", "DependencyTimeout", "KeyUnavailable", "ExpiredToken", "TooSkewed"),
)
LONGEST_SAID = 300  # characters of S3's own words that a message has
NOT_THERE = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.PRECONDITION_FAILED)
ROLES = "the roles of CheckFile, TakeTurn and UploadAndExecute"
AGAIN = "Drop the file again, or start a new run with another key or version."

# What each code means for the object, and what to do about it.
DENIED = {
    "AccessDenied": (
        "S3 does not let the application read it. Most often it is encrypted with a KMS key of the "
        f"sender's own: let the key's policy allow {ROLES} kms:Decrypt. Else a policy of the "
        "bucket denies it, or it belongs to another account: let it be read. Then redrive the "
        "run, or have the file sent again without a key of its own."
    ),
    "InvalidObjectState": (
        "It lies in an archive class, from which S3 reads nothing before it is restored. Restore "
        "it (aws s3api restore-object) and redrive the run when that is done, or drop the "
        "file again in the class STANDARD."
    ),
    "KMS.DisabledException": (
        "The KMS key that it is encrypted with is disabled. Enable the key and redrive the "
        "run, or drop the file again without it."
    ),
    "KMS.KMSInvalidStateException": (
        "The KMS key that it is encrypted with is about to be deleted, or is otherwise in no state "
        "to be used. Cancel its deletion, enable it and redrive the run; or drop the file "
        "again without it."
    ),
    "KMS.NotFoundException": (
        "The KMS key that it is encrypted with does not exist (any more), and nobody can read it. "
        "Drop the file again."
    ),
    "InvalidRequest": (
        "It is encrypted with a key that the sender keeps (SSE-C), so that nobody else can read "
        "it. Have the file sent again without such a key."
    ),
}


def refusal_of(error: BotoCoreError | ClientError, where: str) -> StraightThroughError:
    """Return our error for S3's; `where` names the object, `s3://bucket/key`."""
    if isinstance(error, BotoCoreError):
        return SourceUnavailable(f"Reading {where} broke off ({type(error).__name__}).")
    (status, code), said = aws.answer_of(error), error.response["Error"].get("Message", "")
    if aws.passes(error, PASSES):
        return SourceUnavailable(f"Reading {where} failed: S3 answered {status}, {code}.")
    if code == "NoSuchBucket":
        return SourceNotFound(
            f"{where} does not exist: there is no such bucket. Start a new run with the name "
            "of the inbox as its bucket."
        )
    never_was = code == "InvalidArgument" and "version id" in said.lower()
    if status in NOT_THERE or never_was:
        return SourceNotFound(f"{where} {_gone(status, never_was=never_was)} {AGAIN}")
    todo = DENIED.get(code, f"Let {ROLES} read it and redrive the run, or drop it again.")
    words = shown(said, LONGEST_SAID)
    return SourceDenied(f"{where} cannot be read: S3 answered {status}, {code} ({words}). {todo}")


def _gone(status: int, *, never_was: bool) -> str:
    """Say in which way an object is not there."""
    if never_was:
        return "never was: S3 has given no such version id."
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return "was deleted: this version is a delete marker."
    if status == HTTPStatus.PRECONDITION_FAILED:
        return "was replaced by another file."
    return "does not exist (any more)."
