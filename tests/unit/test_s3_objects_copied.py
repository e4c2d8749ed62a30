"""A copy appears whole or not at all, and only where its condition holds."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from straight_through.buckets import s3_objects
from straight_through.buckets.s3_objects import copy_if_absent, copy_if_newer
from straight_through.errors import OutboxDenied, OutboxUnavailable, OutputMissing
from tests.unit.conftest import INBOX, OUTBOX

SOURCE, TARGET = (OUTBOX, "run/a.csv"), (INBOX, "latest.csv")


def of(run: str, order: str, output: str = "o-1") -> dict[str, str]:
    """The metadata of a run's copy."""
    return {"run": run, "output": output, "order": order}


@pytest.fixture
def put(s3: Any) -> Callable[[bytes], None]:
    """Put the source."""
    return lambda content: s3.put_object(
        Bucket=SOURCE[0], Key=SOURCE[1], Body=content, ContentType="text/csv; charset=utf-8"
    )


def found(s3: Any) -> tuple[bytes, dict[str, str]]:
    """What the target holds, and its metadata."""
    there = s3.get_object(Bucket=TARGET[0], Key=TARGET[1])
    assert there["ContentType"] == "text/csv; charset=utf-8"
    return there["Body"].read(), there["Metadata"]


def refused(status: int, code: str, operation: str) -> ClientError:
    """S3's answer."""
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, operation)  # type: ignore[arg-type]


def no_parts(s3: Any) -> bool:
    """Whether no upload waits for its end."""
    return "Uploads" not in s3.list_multipart_uploads(Bucket=TARGET[0])


@pytest.mark.parametrize("size", [0, 1, 5 * 2**20, 12 * 2**20])
def test_a_copy_of_any_size_has_the_same_bytes(
    s3: Any, put: Callable[[bytes], None], monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    # Given parts of 5 MiB, so that the largest takes three
    monkeypatch.setattr(s3_objects, "COPIED_PART", 5 * 2**20)
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    put(content)
    assert copy_if_newer(s3, SOURCE, TARGET, of("may", "1")) == "Copied"
    assert found(s3) == (content, of("may", "1"))
    assert no_parts(s3)


def test_an_older_run_that_finishes_later_replaces_nothing(
    s3: Any, put: Callable[[bytes], None]
) -> None:
    put(b"june")
    copy_if_newer(s3, SOURCE, TARGET, of("june", "2"))
    put(b"may")
    assert copy_if_newer(s3, SOURCE, TARGET, of("may", "1")) == "Superseded"
    assert found(s3) == (b"june", of("june", "2"))
    # And a newer one does
    put(b"july")
    assert copy_if_newer(s3, SOURCE, TARGET, of("july", "3")) == "Copied"
    assert found(s3) == (b"july", of("july", "3"))


def test_what_the_run_has_copied_is_not_copied_again(s3: Any, put: Callable[[bytes], None]) -> None:
    put(b"may")
    for _ in range(2):
        assert copy_if_newer(s3, SOURCE, TARGET, of("may", "1")) == "Copied"
    assert len(s3.list_object_versions(Bucket=TARGET[0])["Versions"]) == 1
    # And another output of the same run is
    assert copy_if_newer(s3, SOURCE, TARGET, of("may", "1", "o-2")) == "Copied"
    assert len(s3.list_object_versions(Bucket=TARGET[0])["Versions"]) == 2


def test_what_somebody_else_has_put_is_replaced(s3: Any, put: Callable[[bytes], None]) -> None:
    s3.put_object(Bucket=TARGET[0], Key=TARGET[1], Body=b"by hand")
    put(b"may")
    assert copy_if_newer(s3, SOURCE, TARGET, of("may", "1")) == "Copied"
    assert found(s3)[0] == b"may"


@pytest.mark.parametrize("first", [b"", b"before"], ids=["new", "replaced"])
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (412, "PreconditionFailed"),
        (409, "ConditionalRequestConflict"),
        (404, "NoSuchKey"),
    ],
)
def test_the_one_that_loses_a_race_looks_again(
    s3: Any,
    put: Callable[[bytes], None],
    monkeypatch: pytest.MonkeyPatch,
    first: bytes,
    status: int,
    code: str,
) -> None:
    # Given a newer run that writes between our look and our write
    if first:
        s3.put_object(Bucket=TARGET[0], Key=TARGET[1], Body=first)
    put(b"may")
    conditions = []
    real = s3.complete_multipart_upload

    def overtaken(**given: Any) -> Any:
        conditions.append({k: v for k, v in given.items() if k.startswith("If")})
        if len(conditions) > 1:
            return real(**given)
        s3.put_object(Bucket=TARGET[0], Key=TARGET[1], Body=b"june", Metadata=of("june", "2"))
        raise refused(status, code, "CompleteMultipartUpload")

    monkeypatch.setattr(s3, "complete_multipart_upload", overtaken)
    # Then ours sees it
    assert copy_if_newer(s3, SOURCE, TARGET, of("may", "1")) == "Superseded"
    assert [list(condition) for condition in conditions] == [
        ["IfMatch" if first else "IfNoneMatch"]
    ]
    assert no_parts(s3)


def test_a_key_that_others_keep_writing_is_tried_again_later(
    s3: Any, put: Callable[[bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(b"may")

    def overtaken(**_: Any) -> None:
        raise refused(409, "ConditionalRequestConflict", "CompleteMultipartUpload")

    monkeypatch.setattr(s3, "complete_multipart_upload", overtaken)
    for copy in (copy_if_newer, copy_if_absent):
        with pytest.raises(OutboxUnavailable, match="by others 5 times"):
            copy(s3, SOURCE, TARGET, of("may", "1"))
    assert no_parts(s3)


@pytest.mark.parametrize("content", [b"may", b""])
def test_a_key_that_exists_is_left_as_it_is(
    s3: Any, put: Callable[[bytes], None], content: bytes
) -> None:
    put(content)
    assert copy_if_absent(s3, SOURCE, TARGET, {"n": "1"}) is True
    assert copy_if_absent(s3, SOURCE, TARGET, {"n": "2"}) is False
    assert found(s3) == (content, {"n": "1"})
    assert len(s3.list_object_versions(Bucket=TARGET[0])["Versions"]) == 1
    assert no_parts(s3)


@pytest.mark.parametrize(
    ("status", "code"), [(404, "NoSuchKey"), (412, "PreconditionFailed"), (403, "AccessDenied")]
)
def test_a_source_that_is_gone_is_not_taken_for_a_target_that_exists(
    s3: Any,
    put: Callable[[bytes], None],
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    code: str,
) -> None:
    put(b"may")

    def gone(**_: Any) -> None:
        raise refused(status, code, "UploadPartCopy")

    monkeypatch.setattr(s3, "upload_part_copy", gone)
    with pytest.raises(ClientError, match=code):
        copy_if_absent(s3, SOURCE, TARGET, {})
    with pytest.raises(ClientError, match=code):
        copy_if_newer(s3, SOURCE, TARGET, of("may", "1"))
    assert no_parts(s3)


def test_what_went_wrong_is_told_though_the_parts_cannot_be_removed(
    s3: Any, put: Callable[[bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(b"may")

    def denied(**_: Any) -> None:
        raise refused(403, "AccessDenied", "UploadPartCopy")

    def unreached(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="https://s3")

    monkeypatch.setattr(s3, "upload_part_copy", denied)
    monkeypatch.setattr(s3, "abort_multipart_upload", unreached)
    with pytest.raises(ClientError, match="AccessDenied"):
        copy_if_absent(s3, SOURCE, TARGET, {})


def test_an_output_that_is_gone_is_told_as_such(s3: Any) -> None:
    for copy in (copy_if_absent, copy_if_newer):
        with pytest.raises(OutputMissing, match=r"is gone: .+ \"execution_id\""):
            copy(s3, SOURCE, TARGET, of("may", "1"))
    assert no_parts(s3)


def test_an_output_that_may_not_be_read_is_named_and_not_where_it_was_to_go(
    s3: Any, put: Callable[[bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(b"may")
    real = s3.head_object

    def denied(**given: Any) -> Any:
        if given["Key"] == SOURCE[1]:
            raise refused(403, "AccessDenied", "HeadObject")
        return real(**given)

    monkeypatch.setattr(s3, "head_object", denied)
    for copy in (copy_if_absent, copy_if_newer):
        with pytest.raises(OutboxDenied, match=f"s3://{OUTBOX}/run/a.csv may not be read"):
            copy(s3, SOURCE, TARGET, of("may", "1"))


def test_an_output_that_changes_while_it_is_copied_is_not_mixed(
    s3: Any, put: Callable[[bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given S3, which copies a part only of the object that the copy names by its ETag
    put(b"may")
    real = s3.upload_part_copy

    def changed_meanwhile(**given: Any) -> Any:
        put(b"june, in another length")
        now = s3.head_object(Bucket=SOURCE[0], Key=SOURCE[1])["ETag"]
        if given.get("CopySourceIfMatch", now) != now:
            raise refused(412, "PreconditionFailed", "UploadPartCopy")
        return real(**given)

    monkeypatch.setattr(s3, "upload_part_copy", changed_meanwhile)
    # When the object is replaced between the look at it and the copy
    with pytest.raises(ClientError, match="PreconditionFailed"):
        copy_if_absent(s3, SOURCE, TARGET, {})
    # Then nothing of it stands at the target
    assert s3.list_object_versions(Bucket=TARGET[0]).get("Versions", []) == []
    assert no_parts(s3)
