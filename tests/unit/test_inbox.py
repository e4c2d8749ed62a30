"""A run reads the version that it is pinned to, or says why it cannot."""

import io
from typing import Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from straight_through.errors import (
    AccessDenied,
    InputInvalid,
    SourceNotFound,
    SourceUnavailable,
)
from straight_through.inbox import Source, SourceBody, pin_source
from tests.unit.conftest import INBOX, unhurried

KEY = "claims/Schäden a+b 100%.csv"
PINNED = Source(INBOX, KEY, "v1", 4, "abc", "2026-05-04T08:15:30Z")


def put(s3: Any, content: bytes, bucket: str = INBOX) -> str:
    """Drop a file and return its version."""
    return str(s3.put_object(Bucket=bucket, Key=KEY, Body=content).get("VersionId"))


def test_the_version_of_now_is_pinned_where_none_is_given(s3: Any) -> None:
    # Given a file
    version = put(s3, b"old")
    # When a run pins it and the file is dropped again
    source = pin_source(s3, {"bucket": INBOX, "key": KEY})
    put(s3, b"newer")
    # Then the run reads what it has pinned, again and again
    body = SourceBody(s3, source, unhurried)
    assert source.version_id == version
    assert (source.size, len(body)) == (3, 3)
    assert source.dropped_at.endswith("Z")
    assert '"' not in source.etag
    assert [b"".join(body), b"".join(body)] == [b"old", b"old"]


def test_a_version_that_is_given_is_taken(s3: Any) -> None:
    old = put(s3, b"old")
    put(s3, b"newer")
    source = pin_source(s3, {"bucket": INBOX, "key": KEY, "version_id": old})
    assert b"".join(SourceBody(s3, source, unhurried)) == b"old"


@pytest.mark.parametrize(
    "named",
    [
        {"bucket": INBOX, "key": "claims/june.csv"},
        {"bucket": "straight-through-elsewhere", "key": KEY},
        {"bucket": INBOX, "key": KEY, "version_id": "5d8bd9c2-0000-4000-8000-000000000000"},
    ],
)
def test_what_does_not_exist_is_told(s3: Any, named: dict[str, str]) -> None:
    put(s3, b"old")
    with pytest.raises(SourceNotFound) as raised:
        pin_source(s3, named)
    assert f"s3://{named['bucket']}/{named['key']}" in str(raised.value)


def test_a_file_deleted_meanwhile_is_told(s3: Any) -> None:
    put(s3, b"old")
    s3.delete_object(Bucket=INBOX, Key=KEY)
    with pytest.raises(SourceNotFound):
        pin_source(s3, {"bucket": INBOX, "key": KEY})


def test_a_part_of_it_is_read(s3: Any) -> None:
    put(s3, b"0123456789")
    body = SourceBody(s3, pin_source(s3, {"bucket": INBOX, "key": KEY}), unhurried)
    assert body.name == KEY
    assert (body.part(0, 3), body.part(8, 99)) == (b"012", b"89")
    assert (body.part(10, 5), body.part(0, 0)) == (b"", b"")


@pytest.mark.parametrize(
    "named",
    [
        None,
        [],
        "claims/may.csv",
        {},
        {"bucket": INBOX},
        {"bucket": INBOX, "key": ""},
        {"bucket": "", "key": KEY},
        {"bucket": INBOX, "key": 7},
        {"bucket": {"name": INBOX}, "key": KEY},
        {"bucket": INBOX, "key": KEY, "version_id": 7},
        {"bucket": "no bucket is called so", "key": KEY},
    ],
)
def test_an_input_that_names_no_file_is_told(s3: Any, named: Any) -> None:
    with pytest.raises(InputInvalid, match=r'"key": "claims/may\.csv"'):
        pin_source(s3, named)


def test_without_versions_a_replaced_file_is_not_taken_for_the_pinned_one(s3: Any) -> None:
    # Given a file in a bucket without versions, pinned by its ETag
    s3.create_bucket(Bucket="plain", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    put(s3, b"old", "plain")
    source = pin_source(s3, {"bucket": "plain", "key": KEY})
    assert source.version_id is None
    assert b"".join(SourceBody(s3, source, unhurried)) == b"old"
    # When it is replaced by one of the same size
    put(s3, b"new", "plain")
    # Then it is not read
    with pytest.raises(SourceNotFound):
        b"".join(SourceBody(s3, source, unhurried))


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (403, "AccessDenied", AccessDenied),
        (503, "SlowDown", SourceUnavailable),
        (500, "InternalError", SourceUnavailable),
        (405, "MethodNotAllowed", SourceNotFound),
        (400, "InvalidArgument", SourceNotFound),
    ],
)
def test_s3s_refusals_have_our_names(s3: Any, status: int, code: str, error: type) -> None:
    with Stubber(s3) as stub:
        stub.add_client_error("head_object", code, http_status_code=status)
        with pytest.raises(error, match=INBOX):
            pin_source(s3, {"bucket": INBOX, "key": KEY})
        stub.add_client_error("get_object", code, http_status_code=status)
        with pytest.raises(error, match=INBOX):
            list(SourceBody(s3, PINNED, unhurried))


def test_a_read_that_breaks_off_is_source_unavailable(s3: Any) -> None:
    # Given S3 promising four bytes and sending three
    broken = StreamingBody(io.BytesIO(b"abc"), 4)
    with Stubber(s3) as stub:
        stub.add_response("get_object", {"Body": broken})
        with pytest.raises(SourceUnavailable, match="broke off"):
            list(SourceBody(s3, PINNED, unhurried))


def test_s3_that_cannot_be_reached_is_source_unavailable(nobody: str, aws: None) -> None:  # noqa: ARG001
    gone = boto3.client("s3", endpoint_url=nobody, config=_ONE_TRY)
    with pytest.raises(SourceUnavailable, match="EndpointConnectionError"):
        pin_source(gone, {"bucket": INBOX, "key": KEY})


_ONE_TRY = boto3.session.Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
