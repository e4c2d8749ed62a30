"""The header row of a file, and how it differs from the one that its route asks for.

A message names columns only where half of those expected are among them: a row that is rather one
of data is never shown. What is long is cut, and what is many is counted.
"""

import codecs
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from straight_through.errors import HeaderMismatch
from straight_through.reading.delimited import SEP, Row, delimiter_of, first_rows, text_of

LONGEST_HEADER = 256 * 1024  # bytes within which a header row must end
LONGEST_COLUMN = 80  # characters of a column that a message shows
MOST_COLUMNS = 8  # columns that a list of a message names
LOOK = 20  # rows in which the header is looked for, to say where it stands
SEPARATORS = {",": "commas", ";": "semicolons (;)", "\t": "tabs", "|": "bars (|)"}
NO_BREAK = re.compile("[\u00a0\u2007\u202f]")
INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
TABLE = "A route with a field 'table' takes such files as they are."


@dataclass(frozen=True)
class Reading:
    """One way to read the start of a file: its first rows, and what is unusual about it."""

    rows: Sequence[Row]
    unusual: tuple[str, ...] = ()


def check_header(name: str, start: bytes, header: tuple[str, ...]) -> None:
    """Raise HeaderMismatch with the difference, for a file that is a text.

    `start` is the first bytes of its text.
    """
    wanted = delimiter_of(name)
    usual = first_rows(text_of(start), wanted, LOOK)
    if usual and tuple(usual[0][1]) == header:
        return
    text, encoding = _decoded(start)
    sep, body = SEP.match(text), text
    if sep:
        body, encoding = (
            text[sep.end() :],
            (*encoding, f"a line {sep[0].strip()!r} stands above it"),
        )
    readings = [Reading(first_rows(body, wanted, LOOK), encoding)]
    for separator, said in SEPARATORS.items():
        if separator != wanted:
            other = f"the columns are separated by {said}, and not by {SEPARATORS[wanted]}"
            readings.append(Reading(first_rows(body, separator, LOOK), (*encoding, other)))
    raise HeaderMismatch(_told(readings, header))


def check_header_row(rows: Iterable[Row], header: tuple[str, ...]) -> None:
    """Raise HeaderMismatch with the difference, for the rows of a workbook's sheet with cells."""
    first = [(number, list(cells)) for number, cells in islice(rows, LOOK)]
    if not first or first[0][0] != 1 or tuple(first[0][1]) != header:
        raise HeaderMismatch(_told([Reading(first)], header))


def _decoded(start: bytes) -> tuple[str, tuple[str, ...]]:
    """Return a text, and what is unusual about how it is encoded."""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = start[: len(start) & ~1].decode("utf-16", errors="replace")
        return text, ("the text is in UTF-16, and not in UTF-8",)
    try:
        # The last letter may be cut.
        return codecs.getincrementaldecoder("utf-8-sig")().decode(start), ()
    except UnicodeDecodeError:
        text = start.decode("windows-1252", errors="replace")
        return text, ("the text is not in UTF-8, but most likely in Windows-1252",)


def _told(readings: Sequence[Reading], header: tuple[str, ...]) -> str:
    """Say how the header differs, by the way of reading in which most of it is found."""
    wanted = {folded(column) for column in header}
    best: tuple[int, Reading, Row] | None = None
    for reading in readings:
        for row in reading.rows:
            found = len(wanted & set(map(folded, row[1])))
            if best is None or found > best[0]:
                best = (found, reading, row)
    if best is None or 2 * best[0] < len(wanted):
        reasons = [*readings[0].unusual, _few(readings[0].rows, header)]
        unusual = bool(readings[0].unusual)
    else:
        _, reading, (number, cells) = best
        reasons = [*reading.unusual]
        if number > 1:
            reasons.append(f"titles stand above it: it is row {number:,}, and not the first")
        unusual = bool(reasons)
        reasons += _differences(cells, header)
    return (
        f"The header row is not the one that the route asks for: {'; '.join(reasons)}. Mend the "
        "file and drop it again, or mend the route's field 'header' and redrive the run. "
        f"{TABLE + ' ' if unusual else ''}Nothing was uploaded."
    )


def _few(rows: Sequence[Row], header: tuple[str, ...]) -> str:
    """Say of a first row that it is another one, and show nothing of it."""
    if not rows:
        return "the file has no row that can be read"
    cells = rows[0][1]
    empty = cells.count("")
    beside = f", {empty:,} of them empty," if empty else ","
    return (
        f"the first row has {len(cells):,} column{'s' * (len(cells) != 1)}{beside} and few of the "
        f"{len(header):,} expected ones"
    )


def _differences(cells: Sequence[str], header: tuple[str, ...]) -> list[str]:
    """Say how a row that has half of the columns, or more, differs from the header."""
    expected = {folded(column): column for column in header}
    found = [expected.get(folded(cell)) for cell in cells]
    missing = [column for column in header if column not in found]
    empty = cells.count("")
    beside = [
        cell for cell, known in zip(cells, found, strict=True) if cell != "" and known is None
    ]
    parts = [f"{_listed(missing)} missing"] if missing else []
    many = [_listed(beside)] if beside else []
    many += [f"{empty:,} empty column{'s' * (empty > 1)}"] if empty else []
    parts += [f"{' and '.join(many)} too many"] if many else []
    reasons = [" and ".join(parts)] if parts else []
    spelt: dict[str, list[str]] = {}
    for cell, known in zip(cells, found, strict=True):
        if known is not None and cell != known:
            spelt.setdefault(_spelling(cell, known), []).append(known)
    reasons += [f"{_listed(columns)} {how}" for how, columns in spelt.items()]
    twice = [column for column in dict.fromkeys(header) if found.count(column) > 1]
    if twice and not header.count(twice[0]) > 1:
        reasons.append(f"some of them twice: {_listed(twice)}")
    if not reasons and list(header) != found:
        other = next(i for i, column in enumerate(header) if found[i : i + 1] != [column])
        reasons.append(
            f"the same columns in another order: {_shown(header[other])} is not column {other + 1}"
        )
    return reasons


def folded(text: str) -> str:
    """Return a column's name without what people do not see."""
    bare = INVISIBLE.sub("", NO_BREAK.sub(" ", unicodedata.normalize("NFC", text)))
    return " ".join(bare.split()).casefold()


def _spelling(found: str, expected: str) -> str:
    """Say how a column is spelt that is the expected one but for what people do not see."""
    if unicodedata.normalize("NFC", found) == unicodedata.normalize("NFC", expected):
        return "in decomposed letters (a letter and its accent apart)"
    parts = []
    if NO_BREAK.findall(found) != NO_BREAK.findall(expected):
        parts.append("a no-break space")
    if INVISIBLE.findall(found) != INVISIBLE.findall(expected):
        parts.append("an invisible character")
    plain, wanted = (INVISIBLE.sub("", NO_BREAK.sub(" ", each)) for each in (found, expected))
    if not parts and plain.split() == wanted.split() and plain != wanted:
        parts.append("spaces too many or too few")
    if plain.split() != wanted.split():
        parts.append("other capital letters")
    return "with " + " and ".join(parts or ["another spelling"])


def _listed(columns: Sequence[str]) -> str:
    """Name columns; of many the first ones, and how many more there are."""
    named = ", ".join(map(_shown, columns[:MOST_COLUMNS]))
    more = len(columns) - MOST_COLUMNS
    return f"{named} and {more:,} more" if more > 0 else named


def _shown(column: str) -> str:
    """Show a column's name; a quote that never ends takes rows of data with it: that is cut off."""
    fits = len(column) <= LONGEST_COLUMN and "\n" not in column and "\r" not in column
    return repr(column) if fits else "'…'"
