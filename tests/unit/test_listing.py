"""The list of executions, read as a stream: what is kept of it, and how little that costs."""

import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantemplate.executions import NotWhole
from quantemplate.listing import MOST_KEPT, NoList, items_of, reduced


def run(number: Any, **fields: Any) -> dict[str, Any]:
    """One execution, four minutes long, as the API lists it."""
    return {
        "id": f"e-{number}",
        "runNumber": number,
        "status": "Succeeded",
        "createdAt": "2026-05-04T08:15:33Z",
        "startedAt": "2026-05-04T08:15:34Z",
        "finishedAt": "2026-05-04T08:19:34Z",
        "outputs": [{"id": f"o-{number}", "name": "Clean [claims: Sheet 1"}],
        **fields,
    }


ODD = [
    run(3, id=None),
    run(4, id=7),
    run(None, id="e-x"),
    run("four"),
    run(5, outputs=[{"id": "o-1"}]),
    run(6, outputs=7),
    run(6, startedAt=1767225600000, finishedAt="yesterday", createdAt=[]),
    run(6.5),
    {"runNumber": True, "status": "Failed"},
    run(-3),
    run(7, status=None),
    {"finishedAt": "2026-05-04T08:19:34Z"},
]


def test_ours_newer_ones_and_those_that_go_on_are_kept_the_newest_first() -> None:
    # Given a pipeline of fifty runs, in no order
    listed = [run(n) for n in range(1, 51)]
    listed[19] = run(20, status="Started", finishedAt=None)
    listed[9] |= {"status": "Failed"}
    listed = listed[25:] + listed[:25]
    # When it is reduced
    found = reduced(listed, after=47, ours=["e-30"])
    # Then only what was asked for is kept, with the outputs of our own
    assert [each.number for each in found.kept] == [50, 49, 48, 30, 20]
    assert [bool(each.outputs) for each in found.kept] == [False, False, False, True, False]
    assert [each.id for each in found.going_on] == ["e-20"]
    assert [each.id for each in found.above(48)] == ["e-50", "e-49"]
    assert found.find("e-30") == found.kept[3]
    assert (found.highest, found.count, found.durations) == (50, 50, (241.0,) * 10)


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_an_old_execution_that_is_odd_harms_nobody(odd: dict[str, Any]) -> None:
    found = reduced([run(8), odd, run(9)], after=8, ours=["e-9"])
    assert [each.id for each in found.kept] == ["e-9"]
    assert found.highest == 9


@pytest.mark.parametrize(
    "odd",
    [
        run(10, id=None),
        run(10, id="x" * 300),
        run(None, id="e-9"),
        run(9, outputs=[{"id": "o-1", "name": None}]),
        run(9, outputs={"id": "o-1"}),
        run(None, status="Started", finishedAt=None),
        run(2, id=None, status="Paused", finishedAt=None),
        "e-9",
        None,
    ],
    ids=str,
)
def test_what_counts_must_be_whole(odd: Any) -> None:
    with pytest.raises(NotWhole):
        reduced([run(8), odd], after=8, ours=["e-9"])


SILENT: dict[str, Any] = {"status": None, "finishedAt": None, "startedAt": None}


@pytest.mark.parametrize(
    "silent",
    [
        run(7, **SILENT),
        run(7, **SILENT | {"status": ""}),
        {"id": "e-7", "runNumber": 7},
        run(7, **SILENT, id=None),
        {"id": None, "runNumber": None, **SILENT},
        {},
    ],
    ids=str,
)
def test_an_old_run_that_tells_nothing_of_its_end_keeps_nobody_waiting(
    silent: dict[str, Any],
) -> None:
    for listed in ([silent, run(8)], [run(8), silent]):
        found = reduced(listed, after=8)
        assert (found.kept, found.highest) == ((), 8)


def test_a_run_that_tells_nothing_goes_on_until_a_newer_one_has_ended() -> None:
    goes_on = run(9, status="Paused", finishedAt=None)
    found = reduced([run(6), run(7, **SILENT), run(8, **SILENT), goes_on], after=9)
    assert [each.number for each in found.going_on] == [9, 8, 7]
    for odd in (run(7, **SILENT, id=None), {"id": "e-7", "runNumber": None}):
        with pytest.raises(NotWhole):
            reduced([run(6), odd], after=9)


def test_a_run_that_is_listed_twice_is_one_and_an_end_is_not_taken_back() -> None:
    started = run(7, status="Started", finishedAt=None)
    for listed in ([started, run(7)], [run(7), started], [run(7), run(7)]):
        (ours,) = reduced(listed, after=9, ours=["e-7"]).kept
        assert ours.status == "Succeeded"
        assert len(reduced(listed, after=6).kept) == 1
        assert not reduced(listed, after=6).going_on


def test_what_a_server_lists_as_newer_is_bounded() -> None:
    found = reduced((run(n, status="Started", finishedAt=None) for n in range(5000)), after=0)
    assert [each.number for each in found.kept] == list(range(4999, 4999 - MOST_KEPT, -1))
    assert found.count == 5000


def test_a_run_with_an_end_and_an_unknown_status_does_not_go_on() -> None:
    found = reduced([run(7, status="Paused", finishedAt=1767225600000)], ours=["e-7"])
    assert found.going_on == ()
    assert found.kept[0].finished_at == "1767225600000"


# --- the stream -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("lead", [b"", b"\xef\xbb\xbf", b" \r\n\t"])
def test_a_list_is_the_same_however_it_is_cut(size: int, lead: bytes) -> None:
    listed = [run(1), {}, run(2, name='ü\\"]}, {', n=[[{}]]), {"\U0001f600": -1.5e3}]
    for indent in (None, 2):
        body = lead + json.dumps(listed, ensure_ascii=False, indent=indent).encode() + b" \n"
        assert list(items_of(body[i : i + size] for i in range(0, len(body), size))) == listed
    assert list(items_of([lead + b"[ ]"])) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"<html>",
        b"{}",
        b'{"executions": []}',
        b"null",
        b"[",
        b"[{}",
        b"[{},",
        b"[{},]",
        b"[,{}]",
        b"[{} {}]",
        b"[{}]]",
        b"[{}][]",
        b"[{}] x",
        b'[{"a": nothing}]',
        b'[{"a"',
        b"[[]]",
        b'["e-7"]',
        b"[7]",
        b"[" * 3_000_000,
        b'[{"a":' * 500_000,
        b"[" + b'{"a":[' * 500_000,
        b'[{"a": ' + b"9" * 400_000 + b"}]",
        b'[{"a": "' + b"x" * 3_000_000,
        b"[{" + b" " * 3_000_000,
    ],
    ids=lambda body: repr(body[:20]),
)
def test_what_is_no_list_of_executions_is_never_one(body: bytes) -> None:
    for size in (5000, 32768):
        with pytest.raises((NoList, NotWhole)):
            list(items_of(body[i : i + size] for i in range(0, len(body), size)))


@settings(max_examples=300, deadline=None)
@given(
    document=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary().map(str),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=12,  # more takes thrice as long to draw, and is of no other kind
    ),
    cut=st.integers(0, 400),
)
def test_a_reply_that_is_cut_or_odd_ends_by_one_of_two_names(document: Any, cut: int) -> None:
    fields = ["id", "runNumber", "status", "createdAt", "startedAt", "finishedAt", "outputs"]
    for listed in (document, [document], [run(1, **dict.fromkeys(fields, document))]):
        body = json.dumps(listed).encode()
        for part in (body, body[:cut]):
            try:
                found = reduced(items_of([part]), after=0, ours=["e-1"])
            except (NoList, NotWhole):
                continue
            assert part == body
            json.dumps([vars(each) for each in found.kept], default=vars).encode()


def listed(count: int) -> Iterator[bytes]:
    """A list of so many executions, a piece at a time."""
    yield b"["
    for number in range(1, count + 1):
        yield (json.dumps(run(number)) + ("," if number < count else "]")).encode()


def test_memory_does_not_grow_with_the_list() -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        found = reduced(items_of(listed(count)), after=count - 5, ours=["e-3"])
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert found.count == count
        return size

    # Given a list of a hundred and one of five thousand, which has two megabytes
    # Then the longer one costs less than an eighth of them more
    assert peak(5_000) - peak(100) < 256 * 1024
