"""The list of a pipeline's executions, reduced while it is read: it grows for ever."""

import heapq
import itertools
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from straight_through.executions import Execution, NotWhole, execution_of, number_of
from straight_through.polling import moment_of
from straight_through.statuses import ENDED, SUCCEEDED

RECENT_RUNS = 10  # that tell how long the next one takes: more would follow a change too slowly
# Of one execution: 2,500 outputs with their names have as many. Nesting costs the parser the square
# of its depth, and an execution is three deep; brackets within names count too.
MOST_ITEM = 512 * 1024  # bytes
MOST_OPEN = 300  # brackets that nothing closes in a piece of 32 KiB
MOST_LISTED = 1024**3  # bytes: some millions of executions
MOST_KEPT = 1000  # executions of a list: so many candidates or runs that go on say nothing new
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class NoList(ValueError):
    """What came is no list; the message says what it is."""


@dataclass(frozen=True)
class Listing:
    """What is worth knowing of a pipeline's executions.

    `kept` are the asked-for ones, the newest first: ours with their outputs; and without outputs
    those with a number above `after`, and those that go on, at most the newest MOST_KEPT.
    `highest` is the highest run number, 0 where there is none. `durations` are the seconds that the
    last few successful runs took, the newest first. `count` is the number of all executions, and
    `date` the server's own clock as it answered, where it told.
    """

    kept: tuple[Execution, ...] = ()
    highest: int = 0
    durations: tuple[float, ...] = ()
    count: int = 0
    date: datetime | None = None

    def find(self, execution_id: str) -> Execution | None:
        """Return the execution of this id, if it was kept."""
        return next((each for each in self.kept if each.id == execution_id), None)

    @property
    def going_on(self) -> tuple[Execution, ...]:
        """Return those that go on."""
        return tuple(each for each in self.kept if each.goes_on)

    def above(self, number: int) -> tuple[Execution, ...]:
        """Return those with a higher number; `number` is not below the `after` that was asked."""
        return tuple(each for each in self.kept if each.run_number > number)


def reduced(
    items: Iterable[Any],
    *,
    after: int = 0,
    ours: Collection[str] = (),
    date: datetime | None = None,
) -> Listing:
    """Return the listing of an API's list. Raises NotWhole where one that counts is not whole.

    An old execution that has ended may lack anything: it harms nobody.
    """
    mine: dict[str, Execution] = {}
    others: list[tuple[int, int, Execution]] = []  # a heap, the lowest number first
    successes: list[tuple[int, int, Any, Any]] = []  # likewise
    highest = count = 0
    for count, item in enumerate(items, 1):
        if not isinstance(item, dict):
            raise NotWhole("an execution that is no object")
        number, status = number_of(item), item.get("status")
        ended = isinstance(status, str) and status in ENDED
        if number is not None and number > highest:
            highest = number
        if ours and isinstance(item.get("id"), str | int) and str(item["id"]) in ours:
            execution = execution_of(item)
            mine[execution.id] = execution
        elif (number or 0) > after or not (ended or item.get("finishedAt")):
            execution = execution_of(item, with_outputs=False)
            _keep(others, MOST_KEPT, (execution.run_number, count, execution))
        if ended and status == SUCCEEDED and number is not None:
            times = item.get("startedAt"), item.get("finishedAt")
            _keep(successes, 4 * RECENT_RUNS, (number, count, *times))
    found = itertools.chain(mine.values(), (execution for _, _, execution in others))
    kept = sorted(found, key=lambda each: each.run_number, reverse=True)
    durations = (_seconds(begun, ended) for _, _, begun, ended in sorted(successes, reverse=True))
    known = (seconds for seconds in durations if seconds > 0)
    last = tuple(itertools.islice(known, RECENT_RUNS))
    return Listing(tuple(kept), highest, last, count, date)


def items_of(pieces: Iterable[bytes]) -> Iterator[Any]:
    """Read the items of a JSON array from its pieces, one by one, in bounded memory.

    Raises NoList where it is none, ends early, or has an item that no execution can be.
    """
    import ijson  # noqa: PLC0415 - a function that lists nothing starts without it

    items = ijson.sendable_list()
    parser = ijson.items_coro(items, "item")
    since = still_open = 0
    for piece in _of_an_array(pieces):
        still_open += _left_open(piece)
        if still_open > MOST_OPEN:
            raise NoList("a list that is nested too deeply")
        with _parsing():
            parser.send(piece)
        if items:
            since = still_open = 0
            yield from items
            del items[:]
        else:
            since += len(piece)
        if since > MOST_ITEM:
            raise NoList("a list with an item without an end")
    with _parsing():
        parser.close()  # raises where the array has not ended


@contextmanager
def _parsing() -> Iterator[None]:
    """Give the parser's errors one name."""
    try:
        yield
    except (ValueError, OverflowError) as error:  # ijson's own are neither
        raise NoList("a list that is no JSON") from error
    except Exception as error:
        if not type(error).__module__.startswith("ijson."):
            raise
        raise NoList("a list that is no whole JSON") from None


def _of_an_array(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Pass the pieces of an array on, and nothing else."""
    begun, total = b"", 0
    for piece in pieces:
        total += len(piece)
        if total > MOST_LISTED:
            raise NoList("a list without an end")
        if begun.startswith(b"["):
            yield piece
            continue
        begun = (begun + piece).removeprefix(b"\xef\xbb\xbf").lstrip()
        if begun and not begun.startswith(b"["):
            raise NoList("something that is no list")
        if begun:
            yield begun
    if not begun:
        raise NoList("nothing at all")


def _left_open(piece: bytes) -> int:
    """Return how many brackets of a piece have no partner in it: no nesting is deeper."""
    left = piece.translate(None, _NO_BRACKETS)
    for _ in range(8):
        left = left.replace(b"{}", b"").replace(b"[]", b"")
    return len(left)


def _keep(heap: list[Any], most: int, entry: tuple[Any, ...]) -> None:
    """Add an entry to a heap that keeps the greatest ones."""
    if len(heap) < most:
        heapq.heappush(heap, entry)
    elif entry > heap[0]:
        heapq.heapreplace(heap, entry)


def _seconds(begun: Any, ended: Any) -> float:
    """Return the seconds between two times, 0 where one of them is none."""
    start, end = moment_of(begun), moment_of(ended)
    return (end - start).total_seconds() if start and end else 0
