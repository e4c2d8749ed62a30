"""The list of a pipeline's executions, reduced while it is read: it grows for ever."""

import codecs
import heapq
import itertools
import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from quantemplate.executions import Execution, JsonObject, NotWhole, execution_of, number_of
from quantemplate.statuses import ENDED, SUCCEEDED
from quantemplate.times import seconds_between

RECENT = 10  # that tell how long the next one takes: more would follow a change too slowly
MOST_ITEM = 512 * 1024  # characters of one execution: 2,500 outputs with their names have as many
MOST_LISTED = 1024**3  # bytes: some millions of executions
ABOVE_ALL = 2**63  # no execution has a number above it
MOST_KEPT = 1000  # executions of a list: so many that are new or go on say nothing more
_SPACE = re.compile(r"[ \t\r\n]*")


class NoList(ValueError):
    """What came is no list; the message says what it is."""


@dataclass(frozen=True)
class Listing:
    """What is worth knowing of a pipeline's executions.

    `kept` are the asked-for ones, the newest first: ours with their outputs; and without outputs
    those with a number above `after`, and those that go on, at most the newest MOST_KEPT.
    `highest` is the highest number, 0 where there is none. `durations` are the seconds that the
    last few successful ones took, the newest first. `count` is the number of all executions, and
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
        return tuple(each for each in self.kept if each.number > number)


def reduced(
    items: Iterable[Any],
    *,
    after: int = 0,
    ours: Collection[str] = (),
    date: datetime | None = None,
) -> Listing:
    """Return the listing of an API's list. Raises NotWhole where one that counts is not whole.

    An old execution that has ended may lack anything: it harms nobody. One that tells neither a
    status nor an end has ended where a newer one has, since those of a pipeline queue.
    """
    reduction = _Reduction(after, ours)
    for item in items:
        reduction.take(item)
    return reduction.listing(date)


class _Reduction:
    """What is kept of a list so far."""

    def __init__(self, after: int, ours: Collection[str]) -> None:
        """Keep nothing yet; the heaps have the lowest number first."""
        self._after, self._ours = after, ours
        self._mine: dict[str, Execution] = {}
        self._others: list[tuple[int, int, Execution]] = []
        self._silent: list[tuple[int, int, Execution | NotWhole]] = []
        self._successes: list[tuple[int, int, Any, Any, Any]] = []
        self._highest = self._last_ended = self._count = 0

    def take(self, item: Any) -> None:
        """Keep what counts of the next item. Raises NotWhole."""
        if not isinstance(item, dict):
            raise NotWhole("an execution that is no object")
        self._count += 1
        number, status = number_of(item), item.get("status")
        ended = isinstance(status, str) and status in ENDED
        over = ended or bool(item.get("finishedAt"))
        if number is not None and number > self._highest:
            self._highest = number
        if over and number is not None and number > self._last_ended:
            self._last_ended = number
        if self._ours and isinstance(item.get("id"), str | int) and str(item["id"]) in self._ours:
            execution = execution_of(item)
            if execution.id not in self._mine or self._mine[execution.id].goes_on:
                self._mine[execution.id] = execution  # an end is not taken back
        elif (number or 0) > self._after or (status and not over):
            execution = execution_of(item, with_outputs=False)
            _keep(self._others, MOST_KEPT, (execution.number, self._count, execution))
        elif not over:
            self._keep_silent(number, item)
        if ended and status == SUCCEEDED and number is not None:
            times = item.get("createdAt"), item.get("startedAt"), item.get("finishedAt")
            _keep(self._successes, 4 * RECENT, (number, self._count, *times))

    def _keep_silent(self, number: int | None, item: JsonObject) -> None:
        """Keep an old execution that tells neither a status nor an end, until the end tells."""
        try:
            if number is None and item.get("id") is None:
                return  # it tells nothing at all
            kept: Execution | NotWhole = execution_of(item, with_outputs=False)
        except NotWhole as error:
            if number is None:
                raise
            kept = error
        _keep(self._silent, MOST_KEPT, (number, self._count, kept))

    def listing(self, date: datetime | None) -> Listing:
        """Return what was kept, when all has been taken. Raises NotWhole."""
        for number, count, kept in self._silent:
            if number > self._last_ended:
                if isinstance(kept, NotWhole):
                    raise kept
                _keep(self._others, MOST_KEPT, (number, count, kept))
        # One that is listed twice is one, and has ended where either has.
        others = sorted((each for _, _, each in self._others), key=lambda each: not each.goes_on)
        found = {each.id: each for each in others} | self._mine
        newest_first = sorted(found.values(), key=lambda each: each.number, reverse=True)
        durations = (_seconds(*times) for _, _, *times in sorted(self._successes, reverse=True))
        known = (seconds for seconds in durations if seconds > 0)
        last = tuple(itertools.islice(known, RECENT))
        return Listing(tuple(newest_first), self._highest, last, self._count, date)


def items_of(pieces: Iterable[bytes]) -> Iterator[JsonObject]:
    """Read the objects of a JSON array from its pieces, one by one, in bounded memory.

    Raises NoList where it is none or ends early, NotWhole for what is no object.
    """
    array, total = _Array(), 0
    for piece in pieces:
        total += len(piece)
        if total > MOST_LISTED:
            raise NoList("a list without an end")
        yield from array.more(piece)
    array.close()


class _Array:
    """An array that comes in pieces; the standard library reads each object as a whole.

    A list of 200,000 takes half the time that `ijson` 3.6.0 needs, whose memory also grows with the
    square of the depth: two million opened brackets killed it; here they are a RecursionError.
    """

    def __init__(self) -> None:
        """Expect its beginning."""
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._read = json.JSONDecoder().raw_decode
        self._text, self._expected = "", "["

    def more(self, piece: bytes) -> Iterator[JsonObject]:
        """Return the objects that a piece has brought to their end."""
        text, at = self._text + self._decode(piece), 0
        if self._expected == "[":
            text = text.removeprefix("\ufeff")
        while True:
            at = _SPACE.match(text, at).end()  # type: ignore[union-attr] # matches nothing too
            mark = text[at : at + 1]
            if mark == "{" and mark in self._expected:
                item, end = self._object(text, at)
                if item is None:
                    break
                at, self._expected = end, ",]"
                yield item
            elif mark and mark in self._expected:
                self._expected = {"[": "{]", ",": "{", "]": ""}[mark]
                at += 1
            elif mark:
                raise self._wrong(mark)
            else:
                break
        self._text = text[at:]
        if len(self._text) > MOST_ITEM:
            raise NoList("a list with an execution without an end")

    def close(self) -> None:
        """See that it has ended. Raises NoList."""
        if self._expected:
            raise NoList("nothing at all" if self._expected == "[" else "a list without its end")

    def _object(self, text: str, at: int) -> tuple[JsonObject | None, int]:
        """Return the object that begins there and its end, None where that has not come yet."""
        try:
            return self._read(text, at)
        except json.JSONDecodeError:
            return None, at
        except (ValueError, RecursionError):  # a number of a book's length; nested too deeply
            raise NoList("a list with something that is no execution") from None

    def _wrong(self, mark: str) -> ValueError:
        """Return the error for what must not stand there."""
        if self._expected == "[":
            return NoList("something that is no list")
        if self._expected.startswith("{") and mark not in ",]}":
            return NotWhole("an execution that is no object")
        return NoList("a list that is no JSON")


def _keep(heap: list[Any], most: int, entry: tuple[Any, ...]) -> None:
    """Add an entry to a heap that keeps the greatest ones."""
    if len(heap) < most:
        heapq.heappush(heap, entry)
    elif entry > heap[0]:
        heapq.heapreplace(heap, entry)


def _seconds(created: Any, started: Any, ended: Any) -> float:
    """Return the seconds that an execution took, 0 where its times do not tell.

    From its making on, as our own clock counts: when it was started, another clock may say.
    """
    each = (seconds_between(created, ended), seconds_between(started, ended))
    return next((seconds for seconds in each if seconds and seconds > 0), 0)
