"""What is known of bytes once they have gone by."""

import hashlib
from collections.abc import Callable, Iterator

import pytest

import straight_through.measuring
from straight_through.measuring import NOT_MEASURED, MeasuredBody, Measuring, sha256_of
from straight_through.reading.formats import is_text
from tests.unit.sent import Pieces

CSV = "id,paid,Müller\nC-1,1.00,x\n".encode()


@pytest.mark.parametrize(
    ("key", "rows"), [("a.csv", 1), ("a.TXT", 1), ("a.csv.gz", None), ("a.xlsx", None)]
)
def test_what_goes_up_is_measured_and_only_text_has_rows(key: str, rows: int | None) -> None:
    body = MeasuredBody(Pieces(CSV, 5), is_text=is_text(key))
    assert body.measures == NOT_MEASURED
    for _ in range(2):  # also where it is sent again
        assert b"".join(body) == CSV
        assert body.measures == {"sha256": hashlib.sha256(CSV).hexdigest(), "rows": rows}


@pytest.mark.parametrize(
    ("content", "measured"),
    [
        (b'id;"paid"\n1;"2,00"\n', {"rows": 1}),
        (b'id,paid\n1,"2\n', {"rows": None, "rows_reason": "a quote in row 1 that never ends"}),
    ],
)
def test_rows_of_a_text_are_counted_by_its_own_delimiter_or_not_at_all(
    content: bytes, measured: dict[str, object]
) -> None:
    body = MeasuredBody(Pieces(content, 3), is_text=True)
    assert b"".join(body) == content
    assert body.measures == {"sha256": hashlib.sha256(content).hexdigest()} | measured


def test_a_body_that_breaks_off_is_not_measured() -> None:
    # Given a body whose second piece cannot be read
    class Broken(Pieces):
        def __iter__(self) -> Iterator[bytes]:
            yield CSV
            raise ConnectionError

    body = MeasuredBody(Broken(CSV), is_text=True)
    # When it goes up, and when it is only hashed
    for read in (lambda: b"".join(body), lambda: sha256_of(body)):
        with pytest.raises(ConnectionError):
            read()
    # Then nothing is known of it
    assert body.measures == NOT_MEASURED


def test_however_slow_the_thread_no_more_than_one_piece_waits_and_all_are_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a thread that measures a piece only when somebody waits for it
    measured: list[bytes] = []

    class Begun:
        def __init__(self, work: Callable[[bytes], None], chunk: bytes) -> None:
            self._left = [(work, chunk)]

        def result(self) -> None:
            while self._left:
                work, chunk = self._left.pop()
                work(chunk)
                measured.append(chunk)

    class Slow:
        def __init__(self, _threads: int) -> None:
            self.submit = Begun

        def shutdown(self) -> None:
            pass

    monkeypatch.setattr(straight_through.measuring, "ThreadPoolExecutor", Slow)
    with Measuring() as measuring:
        for chunk in (b"one", b"two", b"three"):
            # When the next piece comes
            measuring.passed(chunk)
            # Then all before it are measured: a file that is read quickly fills no memory
            assert b"".join([*measured, chunk]) == b"onetwothree"[: measuring.size]
        # And what is known is of all of them
        assert measuring.sha256 == hashlib.sha256(b"onetwothree").hexdigest()
