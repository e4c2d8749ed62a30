"""A transfer that a function cannot end in its time is foreseen, and told before it is killed."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantemplate.client import Quantemplate
from straight_through.buckets.inbox import SourceBody, pin_source
from straight_through.buckets.outbox import store_output
from straight_through.errors import TransferTooSlow
from straight_through.execution_input import input_of
from straight_through.time_left import HOPELESS, LAST, SURE_AFTER, Pace, seconds_left
from tests.unit.conftest import INBOX, OUTBOX, lambda_context
from tests.unit.wire import EXECUTIONS, Reply, Wire

MB = 1_000_000
LIMIT = 900.0  # seconds


class Clock:
    """An invocation's time, which passes only when it is told to."""

    def __init__(self, limit: float = LIMIT) -> None:
        """Begin with so many seconds."""
        self.left = limit

    def __call__(self) -> float:
        """Return the seconds that are left."""
        return self.left


def carried(size: int | None, rate: float, end: int, step: float = 1.0) -> Clock:
    """Let `end` bytes go by at `rate` bytes a second, and return the clock then."""
    clock = Clock()
    pace = Pace("The upload", size, clock)
    done = 0
    while done < end:
        count = min(int(rate * step), end - done)
        clock.left -= step
        done += count
        pace.passed(count)
    return clock


def test_what_comes_in_time_goes_by() -> None:
    clock = carried(8_000 * MB, 10 * MB, 8_000 * MB)
    assert clock.left == pytest.approx(LIMIT - 800)


def test_a_size_that_the_rate_cannot_carry_is_foreseen_early() -> None:
    # Given 100 GB at 10 MB/s
    with pytest.raises(TransferTooSlow) as raised:
        carried(100_000 * MB, 10 * MB, 100_000 * MB)
    # Then a minute is enough to tell, with size, rate and limit
    told = str(raised.value)
    assert "100,000,000,000 bytes" in told
    assert f"in {SURE_AFTER} s are 10.000 MB/s, so that all would take 10,000 s" in told
    assert "The limit is 900 s" in told
    assert told.endswith("redrive the run.")


def test_a_rate_that_may_yet_rise_is_waited_for() -> None:
    # Given a rate that would need 10 % more time than there is
    with pytest.raises(TransferTooSlow) as raised:
        carried(9_900 * MB, 10 * MB, 9_900 * MB)
    # Then it is given up once even twice the rate would not be enough
    assert "bytes in 811 s" in str(raised.value)


def test_an_unknown_size_has_all_the_time_but_the_last_seconds() -> None:
    with pytest.raises(TransferTooSlow, match="of unknown size") as raised:
        carried(None, 10 * MB, 100_000 * MB)
    assert "8,710,000,000 bytes in 871 s" in str(raised.value)


def test_what_has_come_to_its_end_is_never_too_slow() -> None:
    clock = Clock(5)
    pace = Pace("The upload", 10, clock)
    clock.left = 1
    pace.passed(10)


@given(st.integers(1, 10**12), st.floats(1e3, 1e10), st.booleans())
def test_no_transfer_is_cut_by_the_end_of_the_function(
    size: int,
    rate: float,
    known: bool,  # noqa: FBT001
) -> None:
    # Given any size and rate, and a server that sends once in 10 seconds
    try:
        clock = carried(size if known else None, rate, size, step=10)
    except TransferTooSlow as error:
        # Then what is refused would not have come in time
        (elapsed,) = re.findall(r"bytes in (\d+) s", str(error))
        assert SURE_AFTER <= int(elapsed) < LIMIT
        assert size / rate > LIMIT - LAST - 20
    else:
        assert clock.left >= 0
    assert HOPELESS > 1


def test_the_time_left_is_what_lambda_tells() -> None:
    context = lambda_context("upload_and_execute")
    context.get_remaining_time_in_millis = lambda: 1_500
    assert seconds_left(context)() == 1.5


def slow(read: Callable[..., Any], clock: Clock, seconds: float) -> Callable[..., Any]:
    """Let time pass with each read."""

    def slowly(*arguments: Any) -> Any:
        clock.left -= seconds
        return read(*arguments)

    return slowly


def test_an_upload_stops_before_its_function_is_killed(s3: Any) -> None:
    # Given a file that is taken so slowly that the time runs out
    s3.put_object(Bucket=INBOX, Key="claims/may.csv", Body=b"x" * 5 * 1024 * 1024)
    clock = Clock()
    body = SourceBody(
        s3, pin_source(s3, input_of({"bucket": INBOX, "key": "claims/may.csv"})), clock
    )

    def taken() -> Iterator[int]:
        for chunk in body:
            clock.left -= 300
            yield len(chunk)

    # When it is uploaded, then it ends with an error while there is time for it
    with pytest.raises(TransferTooSlow, match=r"The upload, of 5,242,880 bytes"):
        list(taken())
    assert clock.left >= 0


@pytest.mark.parametrize("chunked", [False, True])
def test_a_download_stops_likewise_and_leaves_nothing(
    client: Quantemplate,
    wire: Wire,
    s3: Any,
    chunked: bool,  # noqa: FBT001
) -> None:
    # Given an output of several parts that comes slowly, its length known or not
    reply = Reply(body=b"x" * 20 * 1024 * 1024, chunked=chunked)
    wire.answer("GET", f"{EXECUTIONS}/e-7/outputs/o-1", reply)
    clock = Clock()
    # When it is stored
    with (
        client.download_output("c-broker", "p-claims", "e-7", "o-1") as opened,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(opened, "read", slow(opened.read, clock, 440))
        with pytest.raises(TransferTooSlow, match=r"Download Output o-1 of e-7, of") as raised:
            store_output(s3, OUTBOX, "claims/out.csv", opened, {}, clock)
    # Then the error names what is known of the size, and neither object nor parts are left
    assert ("unknown size" in str(raised.value)) == chunked
    assert "make the pipeline's output smaller" in str(raised.value)
    assert "Versions" not in s3.list_object_versions(Bucket=OUTBOX)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=OUTBOX)
