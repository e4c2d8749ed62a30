"""A run reads the version that it is pinned to, or says why it cannot."""

import io
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.response import StreamingBody
from botocore.stub import Stubber

from straight_through.buckets.inbox import Source, SourceBody, pin_source
from straight_through.errors import (
    InputInvalid,
    SourceDenied,
    SourceNotFound,
    SourceUnavailable,
)
from straight_through.execution_input import input_of
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
    source = pin_source(s3, input_of({"bucket": INBOX, "key": KEY}))
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
    source = pin_source(s3, input_of({"bucket": INBOX, "key": KEY, "version_id": old}))
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
        pin_source(s3, input_of(named))
    assert f"s3://{named['bucket']}/{named['key']}" in str(raised.value)


def test_a_file_deleted_meanwhile_is_told(s3: Any) -> None:
    put(s3, b"old")
    s3.delete_object(Bucket=INBOX, Key=KEY)
    with pytest.raises(SourceNotFound):
        pin_source(s3, input_of({"bucket": INBOX, "key": KEY}))


def test_a_part_of_it_is_read(s3: Any) -> None:
    put(s3, b"0123456789")
    body = SourceBody(s3, pin_source(s3, input_of({"bucket": INBOX, "key": KEY})), unhurried)
    assert body.name == KEY
    assert (body.part(0, 3), body.part(8, 99)) == (b"012", b"89")
    assert (body.part(10, 5), body.part(0, 0)) == (b"", b"")


@pytest.mark.parametrize("sent", [b"0123456789", b"01"])
def test_another_part_than_was_asked_for_is_none(s3: Any, sent: bytes) -> None:
    # Given a server that answers with the whole object, or with less
    source = Source(INBOX, KEY, "v1", 10, "abc", "2026-05-04T08:15:30Z")
    with Stubber(s3) as stub:
        stub.add_response("get_object", {"Body": StreamingBody(io.BytesIO(sent), len(sent))})
        # When a part is read, then no more of it is kept, and it is read again later
        with pytest.raises(SourceUnavailable, match="another part"):
            SourceBody(s3, source, unhurried).part(0, 4)


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
        pin_source(s3, input_of(named))


def test_without_versions_a_replaced_file_is_not_taken_for_the_pinned_one(s3: Any) -> None:
    # Given a file in a bucket without versions, pinned by its ETag
    s3.create_bucket(Bucket="plain", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    put(s3, b"old", "plain")
    source = pin_source(s3, input_of({"bucket": "plain", "key": KEY}))
    assert source.version_id is None
    assert b"".join(SourceBody(s3, source, unhurried)) == b"old"
    # When it is replaced by one of the same size
    put(s3, b"new", "plain")
    # Then it is not read
    with pytest.raises(SourceNotFound):
        b"".join(SourceBody(s3, source, unhurried))


# What S3 answers to a GET of an object that it does not give: status, code, message.
USER = "User: arn:aws:sts::000000000000:assumed-role/check_file is not authorized to perform: "
ARN = "arn:aws:kms:eu-west-1:000000000000:key/1b2c"
SSE_C = "The object was stored using a form of Server Side Encryption."
REFUSALS = [
    (403, "AccessDenied", "Access Denied", SourceDenied, "kms:Decrypt"),
    (403, "AccessDenied", f"{USER}kms:Decrypt on resource: {ARN}", SourceDenied, ARN),
    (403, "AllAccessDisabled", "All access to this object has been disabled", SourceDenied, "role"),
    (403, "InvalidObjectState", "not valid for the storage class", SourceDenied, "Restore it"),
    (400, "KMS.DisabledException", f"{ARN} is disabled.", SourceDenied, "Enable the key"),
    (400, "KMS.KMSInvalidStateException", "pending deletion", SourceDenied, "Cancel its deletion"),
    (400, "KMS.NotFoundException", "Invalid keyId", SourceDenied, "does not exist (any more)"),
    (400, "InvalidRequest", SSE_C, SourceDenied, "SSE-C"),
    (400, "InvalidArgument", "Something else is invalid", SourceDenied, "InvalidArgument"),
    (400, "KMS.ThrottlingException", "exceeded the rate", SourceUnavailable, "KMS.Throttling"),
    (503, "SlowDown", "Reduce your request rate", SourceUnavailable, "503"),
    (500, "InternalError", "We encountered an error", SourceUnavailable, "500"),
    (400, "InvalidArgument", "Invalid version id specified", SourceNotFound, "never was"),
    (404, "NoSuchVersion", "does not exist", SourceNotFound, "does not exist (any more)"),
    (404, "NoSuchKey", "does not exist", SourceNotFound, "does not exist (any more)"),
    (404, "NoSuchBucket", "does not exist", SourceNotFound, "no such bucket"),
    (405, "MethodNotAllowed", "not allowed", SourceNotFound, "delete marker"),
    (412, "PreconditionFailed", "did not hold", SourceNotFound, "replaced by another"),
]


@pytest.mark.parametrize(("status", "code", "message", "error", "says"), REFUSALS)
def test_s3s_refusals_have_our_names_and_their_remedy(
    s3: Any, status: int, code: str, message: str, error: type, says: str
) -> None:
    # Given S3, whose reply to a HEAD has no body and so no code but the status
    with Stubber(s3) as stub:
        stub.add_client_error("head_object", str(status), http_status_code=status)
        if status < 500:
            stub.add_client_error("get_object", code, message, http_status_code=status)
        # Then it is asked once more, and its code and the remedy are told
        with pytest.raises(error) as raised:
            pin_source(s3, input_of({"bucket": INBOX, "key": KEY}))
        stub.assert_no_pending_responses()
        told = [str(raised.value)]
        # And so they are where it refuses later
        for read in (list, lambda body: body.part(0, 4)):
            stub.add_client_error("get_object", code, message, http_status_code=status)
            with pytest.raises(error) as raised:
                read(SourceBody(s3, PINNED, unhurried))
            told.append(str(raised.value))
    for each in told:
        assert f"s3://{INBOX}/{KEY}" in each
        assert says in each
        if error is SourceDenied:
            assert code in each


def test_what_s3_says_is_bounded_and_on_one_line(s3: Any) -> None:
    with Stubber(s3) as stub:
        said = "no\nSubject: forged" + "x" * 5000
        stub.add_client_error("get_object", "AccessDenied", said, http_status_code=403)
        with pytest.raises(SourceDenied) as raised:
            SourceBody(s3, PINNED, unhurried).part(0, 4)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 1200


@pytest.mark.parametrize(("status", "error"), [(400, SourceUnavailable), (403, SourceDenied)])
def test_what_only_a_head_refuses_passes_by_itself_unless_it_is_forbidden(
    s3: Any, status: int, error: type
) -> None:
    with Stubber(s3) as stub:
        stub.add_client_error("head_object", str(status), http_status_code=status)
        stub.add_response("get_object", {"Body": StreamingBody(io.BytesIO(b"a"), 1)})
        with pytest.raises(error):
            pin_source(s3, input_of({"bucket": INBOX, "key": KEY}))


def test_a_delete_marker_is_no_file(s3: Any) -> None:
    put(s3, b"old")
    marker = s3.delete_object(Bucket=INBOX, Key=KEY)["VersionId"]
    with pytest.raises(SourceNotFound):
        pin_source(s3, input_of({"bucket": INBOX, "key": KEY, "version_id": marker}))


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
        pin_source(gone, input_of({"bucket": INBOX, "key": KEY}))


_ONE_TRY = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
