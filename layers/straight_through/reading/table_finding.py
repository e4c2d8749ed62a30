"""Where a table stands among rows, and which rows are its own: by rules, never by a guess.

A row is its number and its cells. What the rules cannot tell is refused with the rows that it is
about; `docs/table-from-a-workbook.md` says the rules as people need them.
"""

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from straight_through.errors import HeaderMismatch, TableUnclear
from straight_through.reading.delimited import Row
from straight_through.reading.xlsx import letters_of
from straight_through.table_spec import FIND, TableSpec

LOOK = 100  # rows within which a header is looked for, and the rows that tell what columns hold
LEARNS = 1000  # rows of a table by which the row is known that is none of it
FEW = 3  # cells at most of a row that is no row of a wide table
SHOWN_ROWS, SHOWN_CELLS, SHOWN_TEXT = 6, 6, 24
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff"  # beside what Python takes for white space
LONGEST_NAME = 255  # characters of a column's name
NUMBER = re.compile(r"[\s\d.,:;/'%+()\-\u2013$€£]*\d[\s\d.,:;/'%+()\-\u2013$€£]*")
NOTHING = {"n/a", "na", "nil", "none", "null", "tbc", "tba", "tbd"}
_TOTALS = "(grand|sub)?[ -]?totals?|gesamt(summe)?|zwischensumme|totale"
TOTAL = re.compile(rf"(?:{_TOTALS}|sum|summe|somme)\s*:?", re.IGNORECASE)
TOTAL_OF = re.compile(rf"(?:{_TOTALS})\b|.{{1,60}}\btotals?\s*:?$", re.IGNORECASE)


# What a person may do about it.
MEND = (
    'Mend the file and drop it again; or say more in the route (the "header", or the '
    '"header_row" of its "table") and redrive the run. Nothing was uploaded.'
)


@dataclass(frozen=True)
class Place:
    """Where a table stands: its header's row, and the position and name of each column."""

    header_row: int
    columns: tuple[int, ...]  # counted from 0
    names: tuple[str, ...]


def place_of(rows: Sequence[Row], spec: TableSpec, header: Sequence[str]) -> Place:
    """Return where the table stands among the first rows of a sheet or a text.

    Raises TableUnclear, and HeaderMismatch where a row is nearly the `header`.
    """
    filled = [row for row in rows if count_of(row[1])]
    if not filled:
        raise TableUnclear(f"There is no row with anything in it. {MEND}")
    if spec.header_row != FIND:
        place = _said_row(filled, int(spec.header_row), header)
    elif header:
        place = _equal_row(filled, header)
    else:
        place = _found_row(filled, spec)
    _require_one_header(filled, place)
    return place


# --- the header -----------------------------------------------------------------------------------
def _said_row(rows: Sequence[Row], number: int, header: Sequence[str]) -> Place:
    """Return the place of the header that the route's `header_row` names."""
    cells = next((cells for at, cells in rows if at == number), None)
    if cells is None:
        raise TableUnclear(
            f"Row {number}, which the route's table has as its header_row, is empty. The first "
            f"rows: {rows_shown(rows)}. {MEND}"
        )
    place = _place(number, cells)
    if header and not _is_header(place, header):
        raise HeaderMismatch(_difference(place, header))
    if not header and len(set(map(str.casefold, place.names))) < len(place.names):
        raise TableUnclear(
            f"Row {number}, the header, has a name twice: {rows_shown([(number, cells)])}. {MEND}"
        )
    return _named(place, header) if header else _in_one_piece(place)


def _equal_row(rows: Sequence[Row], header: Sequence[str]) -> Place:
    """Return the place of the one row that is the route's header."""
    places = [_place(number, cells) for number, cells in rows]
    equal = [place for place in places if _is_header(place, header)]
    if len(equal) > 1:
        both = [row for row in rows if row[0] in (equal[0].header_row, equal[1].header_row)]
        raise TableUnclear(f"The header stands there twice: {rows_shown(both)}. {MEND}")
    if equal:
        return _named(equal[0], header)
    wanted = {folded(name) for name in header}
    nearest = max(places, key=lambda place: len(wanted & set(map(folded, place.names))))
    if 2 * len(wanted & set(map(folded, nearest.names))) >= len(wanted):
        raise HeaderMismatch(_difference(nearest, header))
    raise TableUnclear(
        f"The header that the route asks for ({_listed(header)}) is not in {_first(rows)}. The "
        "first rows: "
        f"{rows_shown(rows)}. {MEND}"
    )


def _first(rows: Sequence[Row]) -> str:
    """Say which rows were looked at."""
    return "the first row" if len(rows) == 1 else f"the first {min(len(rows), LOOK)} rows"


def _found_row(rows: Sequence[Row], spec: TableSpec) -> Place:
    """Return the place of the one row that can be the header, by what stands below it.

    It has a name, which no other has, over each column, and over at least one whose cells are all
    of another kind: numbers, dates, codes. No row above it could be one, too.
    """
    sets = [{at for at, cell in enumerate(cells) if trimmed(cell)} for _, cells in rows]
    found: list[int] = []
    at = 0
    while at < len(rows):
        body = _body(rows, at, spec)
        if _may_be_header(rows[at][1]) and _heads(rows, sets, at, body):
            found.append(at)
            at = body.stop - 1  # what stands in its table is data
        at += 1
    if not found:
        _require_names(rows, sets, spec)
        raise TableUnclear(
            f"It cannot be told which row is the header: in {_first(rows)} there is none of names "
            "only, over columns of numbers, dates or codes. "
            f"The first rows: {rows_shown(rows)}. {MEND}"
        )
    first = found[0]
    width = len(sets[first])
    near = [
        at
        for at in range(first)
        if len(sets[at]) >= width
        or (rows[at][0] + 1 == rows[first][0] and len(sets[at]) > 1 and 2 * len(sets[at]) > width)
    ]
    near.sort(key=lambda at: not _may_be_header(rows[at][1]))
    rivals = [at for at in found[1:] if len(sets[at]) > width] + near[:1]
    if rivals:
        both = [rows[at] for at in sorted((first, rivals[0]))]
        raise TableUnclear(f"Two rows could be the header: {rows_shown(both)}. {MEND}")
    return _in_one_piece(_place(*rows[first]))


def _in_one_piece(place: Place) -> Place:
    """Return a place; raise TableUnclear where its columns are not beside each other."""
    for column, following in zip(place.columns, place.columns[1:], strict=False):
        if following != column + 1:
            raise TableUnclear(
                f"In row {place.header_row}, the header, column {letters_of(column + 1)} has no "
                "name: there may be two tables side by side. Take the column out and drop the file "
                'again; or say the route\'s "header", which may leave out columns without a name '
                "and value, and redrive the run. Nothing was uploaded."
            )
    return place


def _require_names(rows: Sequence[Row], sets: Sequence[set[int]], spec: TableSpec) -> None:
    """Raise TableUnclear where a row were the header, if each column below it had a name."""
    for at, row in enumerate(rows):
        body = _body(rows, at, spec)
        if _may_be_header(row[1]) and _differs(rows, sets[at], at, body):
            place = _place(*row)
            beside = next(rows[below] for below in body if not sets[below] <= sets[at])
            raise TableUnclear(
                f"Row {row[0]} looks like the header, and row {beside[0]} has values in columns "
                f"without a name: {_unnamed(beside, place)}. {MEND}"
            )


def _body(rows: Sequence[Row], at: int, spec: TableSpec) -> range:
    """Return which rows would be the table's, if the row at a position were its header."""
    end = at + 1
    if end < len(rows):
        end += 1  # blank rows between header and table are no end
    while end < len(rows) and (spec.until == "end" or rows[end][0] == rows[end - 1][0] + 1):
        end += 1
    return range(at + 1, end)


def _may_be_header(cells: Sequence[str]) -> bool:
    """Whether a row has two names or more, and nothing else."""
    names = [name.casefold() for cell in cells if (name := trimmed(cell))]
    return (
        len(names) > 1
        and len(set(names)) == len(names)
        and not any(len(name) > LONGEST_NAME or NUMBER.fullmatch(name) for name in names)
    )


def _heads(rows: Sequence[Row], sets: Sequence[set[int]], at: int, body: range) -> bool:
    """Whether all that stands below a row stands in its columns, and differs from it in kind."""
    return all(sets[below] <= sets[at] for below in body) and _differs(rows, sets[at], at, body)


def _differs(rows: Sequence[Row], filled: set[int], at: int, body: range) -> bool:
    """Whether over half of the columns of values, and over one at least, a row has a name."""
    columns = sorted(filled)
    data = [rows[below][1] for below in body if not _is_total(rows[below][1], columns)]
    values = [column for column in columns if _kinds(data, column) == {VALUE}]
    named = [column for column in values if kind(rows[at][1][column]) == NAME]
    return bool(named) and 2 * len(named) >= len(values)


def _kinds(rows: Sequence[Sequence[str]], column: int) -> set[str]:
    """Return the kinds of what is in a column."""
    return {kind(cells[column]) for cells in rows if column < len(cells)} - {""}


def _require_one_header(rows: Sequence[Row], place: Place) -> None:
    """Raise TableUnclear where the row below the header looks like more of it: units, numbers."""
    below = [row for row in rows if row[0] > place.header_row]
    if not below or below[0][0] > place.header_row + 1 or _is_total(below[0][1], place.columns):
        return
    first = [trimmed(at_cell(below[0][1], column)) for column in place.columns]
    rest = [cells for _, cells in below[1:] if not _is_total(cells, place.columns)]
    kinds = [kind(cell) for cell in first]
    differs = VALUE not in kinds and any(
        kinds[at] == NAME and _kinds(rest, column) == {VALUE}
        for at, column in enumerate(place.columns)
    )
    marked = all(cell[0] in "([" or cell[-1] in ")]." for cell in first if cell) or len(first) > 4
    numbers = [str(number) for number in range(1, len(first) + 1)]
    counts = marked and [cell.strip("().[]") for cell in first] == numbers
    begins = place.columns[0]
    lacks = len(rest) > 1 and not first[0] and all(trimmed(at_cell(r, begins)) for r in rest)
    if differs or counts or lacks:
        both = [row for row in rows if row[0] == place.header_row] + below[:1]
        raise TableUnclear(f"The header may have two rows: {rows_shown(both)}. {MEND}")


def _place(number: int, cells: Sequence[str]) -> Place:
    """Return the place of a header row."""
    columns = tuple(at for at, cell in enumerate(cells) if trimmed(cell))
    return Place(number, columns, tuple(trimmed(cells[at]) for at in columns))


def _named(place: Place, header: Sequence[str]) -> Place:
    """Return a place with the names as the route writes them."""
    return Place(place.header_row, place.columns, tuple(header) or place.names)


def _is_header(place: Place, header: Sequence[str]) -> bool:
    """Whether a row's names are these, in their order."""
    return [folded(name) for name in place.names] == [folded(name) for name in header]


def _difference(place: Place, header: Sequence[str]) -> str:
    """Say how the row that is nearest to the route's header differs from it."""
    found, wanted = [folded(n) for n in place.names], [folded(n) for n in header]
    missing = [name for name in header if folded(name) not in found]
    instead = [name for name in place.names if folded(name) not in wanted]
    parts = [f"{_listed(missing)} missing"] if missing else []
    parts += [f"{_listed(instead)} too many"] if instead else []
    how = " and ".join(parts) or "the same columns in another order, or some of them twice"
    return (
        f"Row {place.header_row} is nearest to the header that the route asks for, and differs: "
        f"{how}. Mend the file and drop it again, or mend the route's field 'header' and redrive "
        "the run. Nothing was uploaded."
    )


# --- the rows -------------------------------------------------------------------------------------
class Cut:
    """Cuts the table's own rows out of those below its header, and counts what is left out."""

    def __init__(self, place: Place, spec: TableSpec, *, is_text: bool = False) -> None:
        """Begin below the header. The rows of a text have all of their cells, empty ones too."""
        self._place, self._spec, self._is_text = place, spec, is_text
        self._header = [folded(name) for name in place.names]
        self._names = {f(name) for name in place.names for f in (str, str.upper, str.lower)}
        self._last = place.header_row  # the row that was seen last
        self._aside: list[Row] = []  # no rows of the table, unless some follow
        self._doubted: tuple[Row, list[str]] | None = None  # a row of the table, if some follow
        self._ended = False
        # What the first rows tell: the fewest filled cells, the columns that always are, with what.
        self._least = len(place.columns)
        self._always = list(range(len(place.columns)))
        self._values = set(self._always)
        self._words = self._longest = 0  # of the cells of the first column that always is filled
        self._sums = dict.fromkeys(self._always, 0.0)  # of the columns that have numbers only
        self.rows = 0
        self.last_row = place.header_row  # of the table, its number
        self.rows_above = 0  # with cells, above the header
        self.rows_below = 0
        self.blank_rows = 0  # between the header and the last row

    def rows_of(self, rows: Iterable[Row], *, whole: bool = True) -> Iterator[list[str]]:
        """Return the cells of each row of the table, one for each of its columns.

        Raises TableUnclear where a row may or may not be one of the table.
        """
        for row in self._below_header(rows):
            number, cells = row
            count = count_of(cells)
            if number > self._last + 1:
                self._gap(number - self._last - 1)
            self._last = number
            own = self._own(cells)
            if self._ended:
                self._look_below(row, own, count)
                continue
            if self._is_none(own, count) or self._is_note(number, own, count):
                self._aside.append(row)
                continue
            self._require_row(row, own, count)
            if self._doubted:  # a row follows it
                yield self._taken(self._doubted[1])
                self._doubted = None
            if self.rows and self._is_doubtful(own):
                self._doubted = row, own
                continue
            self.last_row = number
            yield self._taken(own)
        if whole:
            self._end()

    def _below_header(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Leave out blank rows, the header, and those above it, which are counted."""
        for number, cells in rows:
            if count_of(cells):
                if number > self._place.header_row:
                    yield number, cells
                self.rows_above += number < self._place.header_row

    def _own(self, cells: list[str]) -> list[str]:
        """Return the cells of the table's columns."""
        columns, width = self._place.columns, len(self._place.columns)
        first, end = columns[0], columns[-1] + 1
        if end - first > width:  # columns without a name are among them
            return [at_cell(cells, at) for at in columns]
        own = cells[first:end]
        return own + [""] * (width - len(own)) if len(own) < width else own

    def _taken(self, own: list[str]) -> list[str]:
        """Count a row of the table and learn from it."""
        if self.rows < LEARNS:
            self._least = min(self._least, count_of(own))
            self._always = [at for at in self._always if trimmed(own[at])]
            self._values = {at for at in self._always if at in self._values and is_value(own[at])}
            if self._always:
                key = trimmed(own[self._always[0]])
                self._words = max(self._words, len(key.split()))
                self._longest = max(self._longest, len(key))
        if self.rows == LEARNS:  # enough of them to know a sum
            last = list(self._sums)[-FEW:] if self._has_names() else []
            self._sums = {at: self._sums[at] for at in last}
        for at, total in list(self._sums.items()):
            if (number := number_of(own[at])) is not None:
                self._sums[at] = total + number
            elif trimmed(own[at]):
                del self._sums[at]
        self.rows += 1
        return own

    def _has_names(self) -> bool:
        """Whether rows begin with names, so that a total's own name does not tell it."""
        return not (self._always and self._always[0] in self._values)

    def _is_sum(self, own: list[str]) -> bool:
        """Whether the numbers of a row are the sums of those above it, whatever it calls itself."""
        if self.rows < 2 or not self._has_names():
            return False
        told = [at for at in self._sums if trimmed(own[at])]
        numbers = {at: number_of(own[at]) for at in told}
        return any(numbers.values()) and all(
            number is not None and math.isclose(number, self._sums[at], rel_tol=1e-6)
            for at, number in numbers.items()
        )

    def _gap(self, blank: int) -> None:
        """Take note of blank rows. Between the header and the first row they are no end."""
        if self._ended:
            return
        if self._spec.until == "end" or not (self.rows or self._aside):
            self.blank_rows += blank
        else:
            self._end()
            self._ended = True

    def _end(self) -> None:
        """Leave out what stands below the last row. Raises TableUnclear for what may be one."""
        self.rows_below += len(self._aside)
        self._aside = []
        if self._doubted:
            raise TableUnclear(
                "The last row may be one of the table, or a total or a note below it: "
                f"{rows_shown([self._doubted[0]])}. {_REMOVE}"
            )

    def _look_below(self, row: Row, own: list[str], count: int) -> None:
        """Count a row below the table's end. Raises TableUnclear where it looks like more data."""
        if self._spec.below != "ignore" and not self._is_none(own, count):
            raise TableUnclear(
                f"Below the blank row at which the table ends there is what looks like more of it: "
                f"{rows_shown([row])}. Take the blank row or those below out; or say in the "
                'route\'s field \'table\' "until": "end", or "below": "ignore", and redrive the '
                "run. Nothing was uploaded."
            )
        self.rows_below += 1

    def _is_none(self, own: list[str], count: int) -> bool:
        """Whether a row is none of the table: a total, or with too few cells in it."""
        if not self.rows:
            return bool(TOTAL.fullmatch(_begin(own)))
        if _is_total(own, self._always):
            return True
        few = (count == 1 < self._least) or (count <= FEW and 2 * count < self._least)
        if not few or not self._always:
            return False
        key = trimmed(own[self._always[0]])
        if not key:
            return True
        if self._always[0] in self._values:
            return not is_value(key) or len(key.split()) > self._words or self._is_longer(key)
        return count == 1 and self._least > 2

    def _is_note(self, number: int, own: list[str], count: int) -> bool:
        """Whether a row is a note below a table without rows."""
        apart = number > self._place.header_row + 1
        return not self.rows and apart and count == 1 and len(own) > 2

    def _is_doubtful(self, own: list[str]) -> bool:
        """Whether a row, if it is the last one, may be a total or a note below the table."""
        if TOTAL_OF.match(_begin(own)) or self._is_sum(own):
            return True
        if not self._always:
            return False
        key = trimmed(own[self._always[0]])
        if not key or (self._has_names() and count_of(own) == 1 < self._least):
            return True
        return self._always[0] in self._values and (kind(key) == NAME or self._is_longer(key))

    def _is_longer(self, key: str) -> bool:
        """Whether a cell is far longer than all above it in its column."""
        return len(key) > 2 * self._longest

    def _require_row(self, row: Row, own: list[str], count: int) -> None:
        """Raise TableUnclear where a row cannot be one of the table, or those before it."""
        number = row[0]
        if self._aside:
            raise TableUnclear(
                f"Row {self._aside[0][0]} looks like no row of the table, and row {number} like "
                f"one: {rows_shown([*self._aside[:2], row])}. {_REMOVE}"
            )
        if not self.rows and count == 1 and len(own) > 2:
            raise TableUnclear(
                f"Below the header there is a row with one cell: {rows_shown([row])}. {_REMOVE}"
            )
        if count != count_of(own):
            raise TableUnclear(
                f"Row {number} has values in columns without a name: {_unnamed(row, self._place)}. "
                f"{_REMOVE}"
            )
        if self._is_text and len(row[1]) <= self._place.columns[-1]:
            raise TableUnclear(
                f"Row {number} ends after {len(row[1]):,} of {self._place.columns[-1] + 1:,} "
                f"columns: a separator or a value is missing in it, or the end of the file: "
                f"{rows_shown([row])}. Mend the file, or drop the workbook itself. Nothing was "
                "uploaded."
            )
        again = len(self._names.intersection(own))  # in any order
        same = folded(own[0]) == self._header[0] and self._header == [folded(c) for c in own]
        if same or (again > 1 and 2 * again >= len(own)):
            raise TableUnclear(
                f"Row {number} is the header once more: {rows_shown([row])}. {_REMOVE}"
            )


_REMOVE = "Mend the file and drop it again. Nothing was uploaded."


def _begin(cells: Sequence[str]) -> str:
    """Return a row's first filled cell."""
    return next((text for cell in cells if (text := trimmed(cell))), "")


def _is_total(cells: Sequence[str], columns: Sequence[int]) -> bool:
    """Whether a row is a total: it says so, or begins with it and has not all of the columns."""
    begin = _begin(cells)
    if TOTAL.fullmatch(begin):
        return True
    return bool(TOTAL_OF.match(begin)) and not all(trimmed(at_cell(cells, at)) for at in columns)


def _unnamed(row: Row, place: Place) -> str:
    """Say which cells of a row stand in no column of the table."""
    number, cells = row
    more = [
        f"{letters_of(at)}{number} {cell[:SHOWN_TEXT]!r}"
        for at, cell in enumerate(cells)
        if trimmed(cell) and at not in place.columns
    ]
    return _cut_list(more)


# --- cells ----------------------------------------------------------------------------------------
NAME, VALUE, NEITHER = "name", "value", "neither"


def trimmed(cell: str) -> str:
    """Return a cell without the blanks around it, no-break and invisible ones included."""
    return cell.strip().strip(_INVISIBLE).strip()


def at_cell(cells: Sequence[str], column: int) -> str:
    """Return the cell of a column, "" where the row is shorter."""
    return cells[column] if column < len(cells) else ""


def count_of(cells: Sequence[str]) -> int:
    """Return how many cells are filled."""
    return len(list(filter(None, map(str.strip, cells))))


def folded(name: str) -> str:
    """Return a name as it is compared: composed letters, single spaces of the plain kind."""
    return " ".join(unicodedata.normalize("NFC", trimmed(name)).split())


def kind(cell: str) -> str:
    """Return what a cell has: a name, a value (whatever has a digit), neither, or "" for blank."""
    text = trimmed(cell)
    if not text:
        return ""
    if text.lower() in NOTHING:
        return NEITHER
    if is_value(text):
        return VALUE
    return NAME if any(map(str.isalpha, text)) else NEITHER


def is_value(cell: str) -> bool:
    """Whether a cell has a digit, or a truth value, or an error of a spreadsheet."""
    return (
        any(map(str.isdigit, cell))
        or cell.strip().upper() in ("TRUE", "FALSE")
        or cell.startswith("#")
    )


def number_of(cell: str) -> float | None:
    """Return the number that a cell is, with a decimal point or comma, None for anything else."""
    text = re.sub("[\\s'\u2019]", "", cell)
    if "," in text:
        grouped = re.fullmatch(r"[-+]?\d{1,3}(,\d{3})+(\.\d*)?", text)
        text = text.replace(",", "") if grouped else text.replace(".", "").replace(",", ".")
    try:
        return float(text)
    except ValueError:
        return None


def rows_shown(rows: Sequence[Row]) -> str:
    """Return the first rows and cells as a message shows them, in one line."""
    told = [
        f"row {number} has {_cut_list([repr(_short(cell)) for cell in cells if trimmed(cell)])}"
        for number, cells in rows[:SHOWN_ROWS]
    ]
    return "; ".join(told)


def _short(cell: str) -> str:
    """Return a cell, cut where it is long."""
    return cell if len(cell) <= SHOWN_TEXT else cell[:SHOWN_TEXT] + "…"


def _listed(names: Sequence[str]) -> str:
    """Return names as a message shows them."""
    return _cut_list([repr(_short(name)) for name in names])


def _cut_list(texts: Sequence[str]) -> str:
    """Return a list of which no more than a few are shown, and the rest counted."""
    more = len(texts) - SHOWN_CELLS
    return ", ".join(texts[:SHOWN_CELLS]) + (f" and {more:,} more" if more > 0 else "")
