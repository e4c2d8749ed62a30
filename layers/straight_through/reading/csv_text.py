"""The rows of a text file of any usual encoding and separator; nothing of it is guessed."""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from typing import IO

from straight_through.errors import TableUnclear, WrongFormat
from straight_through.reading.delimited import DELIMITERS, SEP, Row
from straight_through.table_spec import FIND

Opens = Callable[[], IO[bytes]]  # opens a text anew at its start

PIECE = 1024 * 1024  # bytes that are looked at together
MOST_LINE = 8 * 1024 * 1024  # characters: 16,384 columns of 512
LOOK = 4096  # bytes in which the order of UTF-16's bytes shows
MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
# What other encodings look like when they are read as Windows-1252: a sign within a word, a capital
# letter with an accent after a small one, a word of such letters only.
_SIGNS = re.escape("¡¢£¤¥¦§¨©ª«¬®¯°±²³µ¶") + "\xb8-\xb9" + "º»¼½¾¿€" + "\u201a-\u203a\u02c6\u02dcƒ™"
_CONSONANT = "[bcdfghjklmnpqrstvwxz]"
_NOT_DANISH = "[áíìèýúùòï]"
STRANGE = re.compile(
    f"[A-Za-zÀ-ÿ][{_SIGNS}][A-Za-zÀ-ÿ]|[a-zß-ÿ][À-ÖØ-ÞŸŠŽŒ]|[{_SIGNS}À-ÿ]{{3}}"
    f"|[{_SIGNS}]{{2}}[a-z]"
    # Turkish and Icelandic share these bytes; ã and õ are Portuguese before certain letters only,
    # else Romanian and Hungarian; Czech has what reads as an Italian letter within a word.
    f"|[ÝýÞþÐðŸ]|õ(?!e)|ã(?![oe]|s?\\b)|È[a-zß-ÿ]|[ìùò][a-zß-ÿ]"
    f"|ø\\w{{0,20}}{_NOT_DANISH}|{_NOT_DANISH}\\w{{0,20}}ø|Ø{_NOT_DANISH}"
    f"|(?i:{_CONSONANT})š{_CONSONANT}"  # Mac's ö
)


def encoding_of(opens: Opens, wanted: str, *, whole: bool = True) -> str:
    """Return the encoding of a text, by its name in Python, a mark at its start aside.

    UTF-8 is what is UTF-8 to its last byte; Windows-1252 is what is not, as long as it reads well.
    Where the text is not `whole`, its last letter may be cut.

    Raises TableUnclear, also where the text cannot have the encoding that is `wanted`; WrongFormat.
    """
    with opens() as stream:
        start = stream.read(LOOK)
    if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise TableUnclear(
            "The text is UTF-32, which is not read. Save it as UTF-8 and drop it again. Nothing "
            "was uploaded."
        )
    marked = next((name for mark, name in MARKS.items() if start.startswith(mark)), "")
    found = marked or _utf_16_of(start)
    if wanted not in (FIND, found, found.removesuffix("-le").removesuffix("-be")) and found:
        raise TableUnclear(
            f"The text is {found.upper()}, and the route's encoding is {wanted!r}. Mend the route "
            "and redrive the run. Nothing was uploaded."
        )
    if wanted == "utf-16" and not found:
        raise TableUnclear(_not_in(wanted))
    if found and found != "utf-8":
        wanted = found
    elif marked:
        wanted = "utf-8"
    likely = "utf-8" if wanted == FIND else wanted
    if _decodes(opens, likely, whole=whole):
        return likely
    if wanted == FIND:
        return _windows_1252(opens, whole=whole)
    raise TableUnclear(_not_in(likely))


def lines_of(opens: Opens, encoding: str, *, whole: bool = True) -> Iterator[str]:
    """Read the lines of a text with their ends, without the mark at its start."""
    with opens() as stream:
        text = io.TextIOWrapper(
            stream, encoding, errors="strict" if whole else "ignore", newline=""
        )
        first = True
        while line := text.readline(MOST_LINE):
            if len(line) == MOST_LINE:
                raise TableUnclear(
                    f"The text has a line of more than {MOST_LINE:,} characters: it is no table. "
                    "Look at the file, mend it and drop it again. Nothing was uploaded."
                )
            yield line.removeprefix("\ufeff") if first else line
            first = False


def delimiters_of(lines: Iterable[str], wanted: str) -> tuple[str, bool]:
    """Return the separators that a text may have, and whether its first line names it: `sep=;`.

    Raises TableUnclear where that line and the route differ.
    """
    named = SEP.fullmatch(next(iter(lines), ""))
    if not named:
        return (DELIMITERS if wanted == FIND else wanted), False
    if wanted not in (FIND, named[1]):
        raise TableUnclear(
            f"The first line says that {named[1]!r} separates the columns, and the route's "
            f"delimiter is {wanted!r}. Mend the route and redrive the run, or mend the file "
            "and drop it again. Nothing was uploaded."
        )
    return named[1], True


def rows_of(
    lines: Iterator[str], delimiter: str, *, skips_first: bool = False, whole: bool = True
) -> Iterator[Row]:
    """Read the rows that have a cell; the last one only where the text is `whole`.

    Raises TableUnclear where quotes do not close, or a cell is too long.
    """
    if skips_first:
        next(lines, None)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    number, line, before = 0, 0, list[Row]()
    while True:
        number += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if not whole and "unexpected end" in str(error):
                return
            raise TableUnclear(
                f"Row {number} cannot be read with {delimiter!r} between its columns ({error}). "
                "Look whether its quotes close, and each quote within a value is doubled; mend "
                "the file and drop it again. Nothing was uploaded."
            ) from None
        if cells and cells[0].startswith("\ufeff") and number > 1:
            raise TableUnclear(
                f"Row {number} begins with the mark that stands at the start of a file: several "
                "files may have been put together. Mend the file, or drop each by itself. Nothing "
                "was uploaded."
            )
        if reader.line_num > line + 1:
            _require_closed(number, cells, delimiter)
        line = reader.line_num
        if cells and whole:
            yield number, cells
        elif cells:
            yield from before
            before = [(number, cells)]


def _require_closed(number: int, cells: list[str], delimiter: str) -> None:
    """Raise TableUnclear where a value of several lines may be rows between two lone quotes."""
    for at, cell in enumerate(cells):
        lines = cell.splitlines()
        if len(lines) < 2 or len(cells) < 2:
            continue
        # Its lines would be rows as wide as this one.
        before, after = lines[0].count(delimiter), lines[-1].count(delimiter)
        if at + before + 1 == len(cells) and after == at:
            raise TableUnclear(
                f"Row {number} has a value of {len(lines):,} lines which may be rows between two "
                "quotes that do not belong together. Look whether the quotes in it are right: "
                "each quote within a value is doubled. Mend the file and drop it again. Nothing "
                "was uploaded."
            )


def _utf_16_of(start: bytes) -> str:
    """Return which UTF-16 a text without a mark is, "" for none. Raises WrongFormat for bytes."""
    if b"\0" not in start:
        return ""
    half = max(len(start) // 2, 1)
    even, odd = start[::2].count(0) / half, start[1::2].count(0) / half
    if odd > 0.3 and even < 0.05:
        return "utf-16-le"
    if even > 0.3 and odd < 0.05:
        return "utf-16-be"
    raise WrongFormat(
        "The file is no text: it has bytes that are zero. Drop it again as CSV or as a workbook, "
        "under a name that fits it. Nothing was uploaded."
    )


def _decodes(opens: Opens, encoding: str, *, whole: bool) -> bool:
    """Whether a text has this encoding to its end."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with opens() as stream:
            while piece := stream.read(PIECE):
                if "\0" in decoder.decode(piece):
                    return False
        decoder.decode(b"", final=whole)
    except UnicodeDecodeError:
        return False
    return True


def _windows_1252(opens: Opens, *, whole: bool) -> str:
    """Return "windows-1252" where a text that is not UTF-8 reads well as such."""
    name = "windows-1252"
    if not _decodes(opens, name, whole=whole):
        raise TableUnclear(
            "The text's encoding cannot be told: it is neither UTF-8 nor UTF-16 nor "
            'Windows-1252. Save it as UTF-8 and drop it again, or say its "encoding" in the '
            "route's field 'table' and redrive the run. Nothing was uploaded."
        )
    for line in lines_of(opens, name):
        if strange := STRANGE.search(line):
            begin = max(strange.start() - 12, 0)
            raise TableUnclear(
                "The text's encoding cannot be told: it is not UTF-8, and read as Windows-1252 it "
                f"has {line[begin : strange.end() + 12].strip()!r}, which looks like another one. "
                'Save it as UTF-8 and drop it again, or say its "encoding" in the route\'s field '
                "'table' and redrive the run. Nothing was uploaded."
            )
    return name


def _not_in(encoding: str) -> str:
    """Say that a text has another encoding."""
    return (
        f"The text is not {encoding.upper()} throughout. Save it as UTF-8 and drop it again, or "
        "mend the \"encoding\" of the route's field 'table' and redrive the run. Nothing was "
        "uploaded."
    )
