"""An object is written in parts whose number in memory is bounded."""

import io
import threading
from typing import Any

import pytest

from straight_through.buckets import s3_objects
from straight_through.buckets.s3_objects import IN_FLIGHT, PART, write_object
from tests.unit.conftest import OUTBOX

KEY = "claims/out.csv"
LEAST = 5 * 1024 * 1024  # bytes; S3 takes no smaller part but the last


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts as small as S3 takes them."""
    monkeypatch.setattr(s3_objects, "PART", LEAST)


@pytest.mark.parametrize("size", [0, 1, LEAST - 1, LEAST, LEAST + 1, 2 * LEAST, 3 * LEAST + 7])
@pytest.mark.parametrize("most", [LEAST, 1_000_003])
def test_what_is_read_is_what_is_there(s3: Any, small_parts: None, size: int, most: int) -> None:  # noqa: ARG001
    # Given a stream that may return less than it is asked for
    content = (b"0123456789abcde\n" * (size // 16 + 1))[:size]
    stream = io.BytesIO(content)
    # When it is written
    write_object(s3, OUTBOX, KEY, lambda asked: stream.read(min(asked, most)), "text/csv", {})
    # Then the object is the same
    found = s3.get_object(Bucket=OUTBOX, Key=KEY)
    assert found["Body"].read() == content
    assert found["ContentType"] == "text/csv"


@pytest.mark.timeout(60)
def test_no_more_is_read_than_may_be_in_memory(small_parts: None) -> None:  # noqa: ARG001
    # Given an S3 that takes a part only once the stream is read as far as it may be meanwhile
    count = 20
    taken = [threading.Event() for _ in range(count + 1)]
    sent: list[int] = []
    most: list[int] = []

    class Slow:
        """S3, as far as it is needed here."""

        def create_multipart_upload(self, **_: Any) -> dict[str, str]:
            return {"UploadId": "u"}

        def upload_part(self, **given: Any) -> dict[str, str]:
            assert taken[given["PartNumber"]].wait(30)
            sent.append(given["PartNumber"])
            return {"ETag": "e"}

        def complete_multipart_upload(self, **given: Any) -> None:
            numbers = [part["PartNumber"] for part in given["MultipartUpload"]["Parts"]]
            assert numbers == list(range(1, count + 1))

    def stream(asked: int) -> bytes:
        read = len(most)
        most.append(read - len(sent))
        for number in range(1, count + 1):
            if number <= read + 1 - IN_FLIGHT or read == count:
                taken[number].set()
        return b"x" * asked if read < count else b""

    # When an object of many parts is written
    write_object(Slow(), OUTBOX, KEY, stream, "text/csv", {})  # type: ignore[arg-type]
    # Then there are never more parts than are sent at a time, while one more is read
    assert max(most) == IN_FLIGHT


def test_a_large_object_fits_into_the_parts_that_s3_takes() -> None:
    assert 10_000 * PART >= 78 * 1024**3
