"""The one clean table of a dropped file: a UTF-8 CSV with one header row, made by its route.

`find` looks where the table stands, `prepare` makes the whole of it. The CSV has no byte-order
mark, commas, CRLF and quotes as RFC 4180 has them; the same file and route give the same bytes.
"""

import csv
import errno
import io
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypedDict

from quantemplate.bodies import CHUNK, Body, File, FileBody
from straight_through.errors import FileTooLarge, HeaderMismatch, TableUnclear
from straight_through.measuring import Measuring
from straight_through.names import LONGEST_FILE_NAME, prepared_key
from straight_through.reading.csv_text import delimiters_of, encoding_of, lines_of, rows_of
from straight_through.reading.delimited import Row
from straight_through.reading.sheets import Sheet, Unpacked, chosen, unpacked
from straight_through.reading.table_finding import LOOK, Cut, Place, count_of, place_of, rows_shown
from straight_through.reading.unzipping import Limits
from straight_through.reading.xlsx import letters_of
from straight_through.routes import Route
from straight_through.run_state import Measures
from straight_through.table_spec import FIND, TableSpec
from straight_through.time_left import Left, Pace, unhurried

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FIRST_ROWS = 5  # of the table, that a person is shown


class Where(TypedDict):
    """Where a table stands in its file; None is what its kind of file does not have."""

    member: str | None  # of a zip
    sheet: str | None
    encoding: str | None
    delimiter: str | None
    header_row: int  # counted from 1
    first_column: str  # its letters


class LeftOut(TypedDict):
    """How much of a file is not in its table."""

    rows_above: int
    rows_below: int
    blank_rows: int  # between the header and the last row
    blank_columns: int  # between the first column and the last


class PreparedFacts(TypedDict):
    """What a run's record and manifest tell of the table that was made of its file."""

    key: str  # in the outbox
    bytes: int
    sha256: str
    rows: int
    columns: int
    where: Where
    left_out: LeftOut
    source_sha256: str


class _PreparedMeasures(Measures):
    """What is kept of the dropped file, and of the table that was made of it."""

    prepared: PreparedFacts


@dataclass(frozen=True)
class Found:
    """Where a table stands, its columns, and its first rows as the dataset would see them."""

    where: Where
    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Made:
    """What was made: `rows` of data, `size` in bytes, and both hashes."""

    where: Where
    names: tuple[str, ...]
    left_out: LeftOut
    rows: int
    size: int
    sha256: str
    source_sha256: str


@dataclass(frozen=True)
class _Source:
    """A place in a file, and how its rows are read anew."""

    where: Where
    place: Place
    rows: Callable[[], Iterator[Row]]
    sheet: Sheet | None = None  # None for a text


def find(file: File, spec: TableSpec, header: Sequence[str], limits: Limits) -> Found:
    """Return where a file's table stands; of a text, only the first megabyte is read.

    Raises TableUnclear, HeaderMismatch, WrongFormat, FileTooLarge, and what reading it raises.
    """
    with unpacked(file, limits, whole=False) as opened:
        source = _located(opened, spec, header)
        window = _window(source.rows(), source.place.header_row + LOOK)
        whole = opened.whole and len(window) < source.place.header_row + LOOK
        cut = Cut(source.place, spec, is_text=source.sheet is None)
        rows = list(cut.rows_of(window, whole=whole))
    first = tuple(tuple(row) for row in rows[:FIRST_ROWS])
    return Found(source.where, source.place.names, first)


def prepare(
    body: Body,
    spec: TableSpec,
    header: Sequence[str],
    limits: Limits,
    out: IO[bytes],
    left: Left = unhurried,
) -> Made:
    """Write the table of a file as CSV; the file is copied to the temporary folder first.

    Raises TableUnclear, HeaderMismatch, WrongFormat, FileTooLarge, TransferTooSlow, and what
    reading it raises.
    """
    with tempfile.NamedTemporaryFile() as spool, Measuring() as dropped, Measuring() as made:
        for piece in body:
            dropped.passed(piece)
            spool.write(piece)
        spool.flush()
        with unpacked(FileBody(Path(spool.name)), limits, whole=True) as opened:
            source = _located(opened, spec, header)
            cut = Cut(source.place, spec, is_text=source.sheet is None)
            written = _Written(out, made, left)
            written.write([source.place.names])
            written.write(cut.rows_of(source.rows()))
            _require_unmerged(source, cut.last_row)
    columns = source.place.columns
    left_out: LeftOut = {
        "rows_above": cut.rows_above,
        "rows_below": cut.rows_below,
        "blank_rows": cut.blank_rows,
        "blank_columns": columns[-1] - columns[0] + 1 - len(columns),
    }
    return Made(
        source.where,
        source.place.names,
        left_out,
        cut.rows,
        made.size,
        made.sha256,
        dropped.sha256,
    )


class PreparedBody:
    """The table of a file as the body of an upload, kept in the temporary folder."""

    def __init__(
        self, route: Route, run: str, body: Body, limits: Limits, left: Left = unhurried
    ) -> None:
        """Make it, within the seconds `left`. Raises what `prepare` raises."""
        assert route.table is not None  # noqa: S101 - for the types
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this object
        weakref.finalize(self, self._file.close)
        with _room():
            made = prepare(body, route.table, route.header, limits, self._file, left)
        self.facts: PreparedFacts = {
            "key": prepared_key(route.name, run),
            "bytes": made.size,
            "sha256": made.sha256,
            "rows": made.rows,
            "columns": len(made.names),
            "where": made.where,
            "left_out": made.left_out,
            "source_sha256": made.source_sha256,
        }
        # The file that was dropped is known by its own bytes, its rows are those that went up.
        self.measures: _PreparedMeasures = {
            "sha256": made.source_sha256,
            "rows": made.rows,
            "prepared": self.facts,
        }

    def __len__(self) -> int:
        """Return the size in bytes."""
        return self.facts["bytes"]

    def __iter__(self) -> Iterator[bytes]:
        """Read from the start."""
        self._file.seek(0)
        while piece := self._file.read(CHUNK):
            yield piece

    def store(self, s3: "S3Client", bucket: str) -> None:
        """Write it to the outbox. Raises OutboxUnavailable, OutboxDenied."""
        from straight_through.buckets.outbox_refusals import refusals_at  # noqa: PLC0415
        from straight_through.buckets.s3_objects import write_object  # noqa: PLC0415 - seldom needed

        key = self.facts["key"]
        self._file.seek(0)
        metadata = {"sha256": self.facts["sha256"], "source-sha256": self.facts["source_sha256"]}
        with refusals_at(bucket, key):
            write_object(s3, bucket, key, self._file.read, "text/csv; charset=utf-8", metadata)


def stored_table(
    s3: "S3Client", bucket: str, route: Route, run: str, file: Body, limits: Limits, left: Left
) -> PreparedBody:
    """Make the table of a file and put it into the outbox, where everybody sees what is sent.

    Raises what `prepare` and `PreparedBody.store` raise.
    """
    table = PreparedBody(route, run, file, limits, left)
    table.store(s3, bucket)
    return table


class _Written:
    """A CSV that is measured while it is written."""

    def __init__(self, out: IO[bytes], measuring: Measuring, left: Left) -> None:
        self._out = out
        self._measuring = measuring
        self._pace = Pace("Making the table", None, left)

    def write(self, rows: Iterable[Sequence[str]]) -> None:
        """Write rows."""
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        for row in rows:
            writer.writerow(row)
            if text.tell() > CHUNK:
                self._flush(text)
        self._flush(text)

    def _flush(self, text: io.StringIO) -> None:
        piece = text.getvalue().encode()
        text.seek(0)
        text.truncate()
        self._measuring.passed(piece)
        self._out.write(piece)
        self._pace.passed(len(piece))


@contextmanager
def _room() -> Iterator[None]:
    """Raise FileTooLarge where the temporary folder is full."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise FileTooLarge(
            "The file and the table that is made of it do not fit into the function's temporary "
            "folder (its EphemeralStorage). Send it in parts, or let who looks after the stack "
            "allow more and redrive the run. Nothing was uploaded."
        ) from None


def _located(opened: Unpacked, spec: TableSpec, header: Sequence[str]) -> _Source:
    """Return where the table stands in a text or a workbook."""
    if opened.text is None:
        sheet = chosen(opened.sheets, spec.sheet)
        where: Where = {
            **_NOWHERE,
            "member": _legible(opened.member),
            "sheet": _legible(sheet.name),
        }
        return replace(_placed(where, sheet.rows, spec, header), sheet=sheet)
    return _located_in_text(opened, spec, header)


def _located_in_text(opened: Unpacked, spec: TableSpec, header: Sequence[str]) -> _Source:
    """Return where the table stands in a text, by the one separator with which there is one.

    Raises TableUnclear where there is one with two, or where another makes more columns.
    """
    opens, whole = opened.text, opened.whole
    assert opens is not None  # noqa: S101 - for the types
    encoding = encoding_of(opens, spec.encoding, whole=whole)
    lines = lines_of(opens, encoding, whole=whole)
    delimiters, named = delimiters_of(lines, spec.delimiter)
    found: list[_Source] = []
    refused: list[tuple[int, TableUnclear | HeaderMismatch]] = []
    for delimiter in delimiters:
        rows = partial(_text_rows, opens, encoding, delimiter, named, whole)
        where: Where = {
            **_NOWHERE,
            "member": _legible(opened.member),
            "encoding": encoding,
            "delimiter": delimiter,
        }
        try:
            found.append(_placed(where, rows, spec, header))
        except (TableUnclear, HeaderMismatch) as error:
            refused.append((_width(rows), error))
    single = all(len(source.place.columns) == 1 for source in found)
    if not found or (single and any(width > 1 for width, _ in refused)):
        raise max(refused, key=lambda refusal: refusal[0])[1]
    if not single:  # a separator that makes one column of all is none
        found = [source for source in found if len(source.place.columns) > 1]
    likeness = [_window(source.rows(), LOOK) for source in found]
    widest = max((width for width, _ in refused), default=0)
    if likeness.count(likeness[0]) < len(found) or widest > len(found[0].place.columns):
        raise TableUnclear(
            "It cannot be told what separates the columns. With "
            + "; with ".join(
                f"{source.where['delimiter']!r} {rows_shown(rows[:2])}"
                for source, rows in zip(found, likeness, strict=True)
            )
            + ". Say the \"delimiter\" in the route's field 'table' and redrive the run. "
            "Nothing was uploaded."
        )
    return found[0]


def _require_unmerged(source: _Source, last_row: int) -> None:
    """Raise TableUnclear where several cells of the table are shown as one: one has its value."""
    columns = source.place.columns
    for first, last, left, right in source.sheet.merged() if source.sheet else []:
        of_table = [at for at in columns if left <= at <= right]
        within = last + 1 > source.place.header_row and first < last_row
        if within and of_table and (first < last or len(of_table) > 1):
            name = f"{letters_of(left)}{first + 1}:{letters_of(right)}{last + 1}"
            raise TableUnclear(
                f"The cells {name} of the table are merged: only the first of them has the value, "
                "and it cannot be told what belongs into the others. Split them, fill each, and "
                "drop the file again. Nothing was uploaded."
            )


def _legible(name: str | None) -> str | None:
    """Return a name as records and manifests have it: no longer than a file's name may be."""
    return name and name[:LONGEST_FILE_NAME]


def _text_rows(
    opens: Callable[[], IO[bytes]],
    encoding: str,
    delimiter: str,
    named: bool,  # noqa: FBT001 - whether the first line names the separator
    whole: bool,  # noqa: FBT001
) -> Iterator[Row]:
    """Read the rows of a text from its start."""
    lines = lines_of(opens, encoding, whole=whole)
    return rows_of(lines, delimiter, skips_first=named, whole=whole)


def _placed(
    where: Where, rows: Callable[[], Iterator[Row]], spec: TableSpec, header: Sequence[str]
) -> _Source:
    """Return where the table stands among rows."""
    last = LOOK if spec.header_row == FIND else int(spec.header_row) + LOOK
    place = place_of(_window(rows(), last), spec, header)
    column = letters_of(place.columns[0])
    return _Source({**where, "header_row": place.header_row, "first_column": column}, place, rows)


def _window(rows: Iterator[Row], last: int) -> list[Row]:
    """Return the rows up to the number of one, and no more than so many with cells."""
    window: list[Row] = []
    for row in rows:
        if count_of(row[1]):
            window.append(row)
        if len(window) >= last:
            break
    return window


def _width(rows: Callable[[], Iterator[Row]]) -> int:
    """Return how many cells most of the first rows have that can be read."""
    counts: list[int] = []
    with suppress(TableUnclear):
        for _, cells in islice(rows(), LOOK):
            counts += filter(None, [count_of(cells)])
    return max(set(counts), key=counts.count, default=0)


_NOWHERE: Where = {
    "member": None,
    "sheet": None,
    "encoding": None,
    "delimiter": None,
    "header_row": 0,
    "first_column": "",
}
