"""What the pipelines do to the CSV they are given: row by row, in constant memory."""

from __future__ import annotations

import csv
import gzip
import os
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import TextIO

SPREADSHEETS = {b"PK\x03\x04": "XLSX", b"\xd0\xcf\x11\xe0": "XLS"}
GZIP = b"\x1f\x8b"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class CannotTransform(ValueError):
    """The pipeline cannot read its input: the run fails."""


@dataclass(frozen=True)
class Column:
    """A canonical column, the headers that are mapped to it, and how its values are read."""

    name: str
    headers: tuple[str, ...]
    kind: str = "text"  # or "date", "amount"
    required: bool = False


CLAIMS = (
    Column("Claim Reference", ("claim ref", "claim no", "claim number"), required=True),
    Column("Policy Number", ("policy no", "policy ref", "policy"), required=True),
    Column("Insured", ("insured name", "assured")),
    Column("Loss Date", ("date of loss", "dol"), "date", required=True),
    Column("Notification Date", ("date notified", "notified"), "date"),
    Column("Cause", ("cause of loss", "peril")),
    Column("Country", ("territory",)),
    Column("Currency", ("ccy", "orig ccy")),
    Column("Paid", ("paid amount", "paid to date"), "amount"),
    Column("Outstanding", ("os reserve", "outstanding amount", "reserve"), "amount"),
    Column("Incurred", ("total incurred", "incurred amount"), "amount"),
    Column("Status", ("claim status",)),
)
PREMIUMS = (
    Column("Policy Number", ("policy no", "policy ref", "policy"), required=True),
    Column("Insured", ("insured name", "assured")),
    Column("Inception Date", ("inception", "start date"), "date", required=True),
    Column("Expiry Date", ("expiry", "end date"), "date"),
    Column("Currency", ("ccy", "orig ccy")),
    Column("Gross Premium", ("gwp", "gross written premium"), "amount", required=True),
    Column("Brokerage", ("commission",), "amount"),
)
DATE_FORMATS = ("%Y-%m-%d", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%d %B %Y", "%d %b %Y", "%d-%b-%y")
ENGLISH = re.compile(r"\d{1,3}(,\d{3})+(\.\d+)?|\d+(\.\d+)?|\.\d+")
CONTINENTAL = re.compile(r"\d{1,3}(\.\d{3})+(,\d+)?|\d+,\d+")


def claims(source: Path, targets: Sequence[Path]) -> None:
    """Clean rows, a validation report (the rows that failed) and a mapping report."""
    with ExitStack() as stack:
        clean, report, mapping = (_table(stack, target) for target in targets)
        header, rows = stack.enter_context(_opened(source))
        columns = [_mapped(name, CLAIMS) for name in header]
        mapping(["Source Column", "Canonical Column", "Type"])
        for name, column in zip(header, columns, strict=True):
            mapping([name, column.name, column.kind])
        report(["Row", "Column", "Value", "Problem"])
        clean([column.name for column in columns])
        for number, row in enumerate(rows, start=2):  # the header is row 1
            values, problems = _read(row, columns)
            for problem in problems:
                report([str(number), *problem])
            if not problems:
                clean(values)


def premiums(source: Path, targets: Sequence[Path]) -> None:
    """Every row with its values put right where they can be; nothing is left out."""
    with ExitStack() as stack:
        (table,) = (_table(stack, target) for target in targets)
        header, rows = stack.enter_context(_opened(source))
        columns = [_mapped(name, PREMIUMS) for name in header]
        table([column.name for column in columns])
        for row in rows:
            table(_read(row, columns)[0])


def copy(source: Path, targets: Sequence[Path]) -> None:
    """The bytes of the input, unchanged, whatever they are."""
    for target in targets:
        os.link(source, target)


KINDS: dict[str, tuple[Callable[[Path, Sequence[Path]], None], tuple[str, ...]]] = {
    "claims": (
        claims,
        ("Clean claims: Sheet 1", "Validation report: Sheet 1", "Mapping report: Sheet 1"),
    ),
    "premiums": (premiums, ("Premium register: Sheet 1",)),
    "copy": (copy, ("Copy: Sheet 1",)),
}


@contextmanager
def _opened(source: Path) -> Iterator[tuple[list[str], Iterator[list[str]]]]:
    """The header and the rows of a CSV file, gzipped or not; raises CannotTransform."""
    try:
        with _text(source) as text:
            rows = (row for row in csv.reader(text, strict=True) if any(map(str.strip, row)))
            header = next(rows, None)
            if header is None:
                raise CannotTransform("the input has no header")
            yield [name.strip() for name in header], rows
    except UnicodeDecodeError as error:
        raise CannotTransform("the input is not UTF-8") from error
    except (csv.Error, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise CannotTransform(f"the input is not a CSV file: {error}") from error


@contextmanager
def _text(source: Path) -> Iterator[TextIO]:
    with source.open("rb") as file:
        start = file.read(4)
    if start in SPREADSHEETS:
        raise CannotTransform(f"{SPREADSHEETS[start]} cannot be read here: send CSV")
    if not start.startswith(GZIP):
        with source.open(encoding="utf-8-sig", newline="") as text:
            yield text
        return
    with gzip.open(source) as packed:
        if packed.read(3) == BYTE_ORDER_MARK:
            raise CannotTransform("a gzipped file with a byte-order mark cannot be read")
    with gzip.open(source, "rt", encoding="utf-8", newline="") as text:
        yield text


def _table(stack: ExitStack, target: Path) -> Callable[[Sequence[str]], object]:
    file = stack.enter_context(target.open("x", encoding="utf-8", newline=""))
    return csv.writer(file, lineterminator="\n").writerow


def _mapped(header: str, columns: Sequence[Column]) -> Column:
    key = re.sub(r"[^a-z ]", "", header.lower()).strip()
    for column in columns:
        if key == column.name.lower() or key in column.headers:
            return column
    return Column(header, ())


def _read(
    row: Sequence[str], columns: Sequence[Column]
) -> tuple[list[str], list[tuple[str, str, str]]]:
    """The values as they should be, and (column, value, problem) for those that cannot be."""
    if len(row) != len(columns):
        problem = f"expected {len(columns)} columns, found {len(row)}"
        return list(row), [("", "", problem)]
    values, problems = [], []
    for column, given in zip(columns, row, strict=True):
        value, problem = _value(given.strip(), column)
        values.append(value)
        if problem:
            problems.append((column.name, given, problem))
    return values, problems


def _value(given: str, column: Column) -> tuple[str, str]:
    if not given:
        return given, "required" if column.required else ""
    if column.kind == "date":
        return (found, "") if (found := _iso_date(given)) else (given, "not a date")
    if column.kind == "amount":
        return (found, "") if (found := _amount(given)) else (given, "not a number")
    return given, ""


@lru_cache(maxsize=4096)
def _iso_date(given: str) -> str:
    for form in DATE_FORMATS:
        try:
            found: date = datetime.strptime(given, form).date()  # noqa: DTZ007 - a date has no zone
        except ValueError:
            continue
        return found.isoformat()
    return ""


def _amount(given: str) -> str:
    negative = given.startswith("-") or (given.startswith("(") and given.endswith(")"))
    digits = given.strip("-()£$€ ").replace("\u00a0", "")
    if ENGLISH.fullmatch(digits):
        plain = digits.replace(",", "")
    elif CONTINENTAL.fullmatch(digits):
        plain = digits.replace(".", "").replace(",", ".")
    else:
        return ""
    return f"-{plain}" if negative else plain
