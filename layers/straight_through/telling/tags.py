"""The tags by which a dropped file itself tells how it was processed, where the stack writes any.

S3 replaces all tags of an object's version at once and knows no condition for it: what another
writes between our reading and our writing is lost. docs.aws.amazon.com/AmazonS3/latest/userguide:
"Categorizing your objects using tags" (ten tags, and the characters that a value may have).
"""

import re
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from straight_through.aws import answer_of, answering
from straight_through.end_facts import Facts
from straight_through.statuses import SUCCEEDED

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import TagTypeDef

STATUS, RUN, ROWS = OURS = ("stp-status", "stp-run", "stp-rows")
MOST = 10  # tags of an object
GONE = ("NoSuchKey", "NoSuchVersion", "NoSuchBucket", "MethodNotAllowed")
NEVER_IN_A_VALUE = re.compile(r"[^\w +\-=.:/@]")


def tags_of_end(facts: Facts) -> dict[str, str]:
    """Return the tags that tell of an end; rows only where they were counted."""
    rows = {} if facts["rows_in"] is None else {ROWS: str(facts["rows_in"])}
    told = {STATUS: facts["status"], RUN: facts["run"], **rows}
    return {name: NEVER_IN_A_VALUE.sub("_", value) for name, value in told.items()}


def is_told(facts: Facts, folder: str, *, release: bool) -> bool:
    """Whether an end is told on its file: on a pinned one below `folder`, which is bucket/prefix.

    A release that came to nothing tells nothing new of the file.
    """
    file = facts["file"]
    ours = f"{file['bucket']}/{file['key']}".startswith(folder)
    news = not release or facts["status"] == SUCCEEDED
    return bool(folder and file["key"] and file["version_id"] and ours and news)


def tag_file(s3: "S3Client", facts: Facts) -> str:
    """Write an end's tags on its file's version, beside others'; return why not, "" if it was done.

    Raises AwsUnavailable, AwsDenied.
    """
    file = facts["file"]
    assert file["bucket"] and file["key"] and file["version_id"]  # noqa: PT018,S101 - `is_told`
    bucket, key, version = file["bucket"], file["key"], file["version_id"]
    try:
        with answering("S3"):
            found = s3.get_object_tagging(Bucket=bucket, Key=key, VersionId=version)["TagSet"]
            others = [each for each in found if each["Key"] not in OURS]
            if len(others) > MOST - len(OURS):
                return f"it has {len(others)} tags, which leave no room"
            ours: list[TagTypeDef] = [
                {"Key": name, "Value": value} for name, value in tags_of_end(facts).items()
            ]
            s3.put_object_tagging(
                Bucket=bucket, Key=key, VersionId=version, Tagging={"TagSet": [*others, *ours]}
            )
    except ClientError as error:
        if answer_of(error)[1] in GONE:
            return "it is gone"
        raise
    return ""
