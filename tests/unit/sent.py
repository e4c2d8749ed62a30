"""Files as people send them: texts, archives, workbooks, and what only looks like one."""

import io
import struct
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import xlwt

from quantemplate.bodies import CHUNK

CASES = Path(__file__).parent / "cases"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


class Pieces:
    """A file that comes in pieces of one size."""

    def __init__(self, content: bytes, size: int = CHUNK, name: str = "a.csv") -> None:
        """Take all of it."""
        self._content, self._size, self.name = content, size, name
        self.read = 0  # bytes that were asked for

    def part(self, start: int, size: int) -> bytes:
        """Give a part of it."""
        part = self._content[start : start + size]
        self.read += len(part)
        return part

    def __len__(self) -> int:
        """Return its size."""
        return len(self._content)

    def __iter__(self) -> Iterator[bytes]:
        """Give piece after piece."""
        for at in range(0, len(self._content), self._size):
            piece = self._content[at : at + self._size]
            self.read += len(piece)
            yield piece


def case(name: str) -> Pieces:
    """One of the files that were sent, or might be."""
    return Pieces((CASES / name).read_bytes(), name=name)


def archive(members: Mapping[str, bytes]) -> bytes:
    """A ZIP archive."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    return made.getvalue()


def workbook(
    rows: Sequence[Sequence[Any]], at: int = 1, beside: Mapping[str, bytes] | None = None
) -> bytes:
    """An XLSX workbook whose first sheet has these rows, from row `at` on."""
    book, made = openpyxl.Workbook(), io.BytesIO()
    sheet: Any = book.active
    for number, row in enumerate(rows, at):
        for column, cell in enumerate(row, 1):
            sheet.cell(number, column, cell)
    book.create_sheet("Other")["A1"] = "other"
    book.save(made)
    with zipfile.ZipFile(made, "a") as zipped:
        for name, content in (beside or {}).items():
            zipped.writestr(name, content)
    return made.getvalue()


def old_workbook(rows: Sequence[Sequence[Any]]) -> bytes:
    """An XLS workbook whose first sheet has these rows."""
    book, made = xlwt.Workbook(), io.BytesIO()
    sheet = book.add_sheet("Sheet")
    for number, row in enumerate(rows):
        for column, cell in enumerate(row):
            sheet.write(number, column, cell)
    book.save(made)
    return made.getvalue()


def ole(*streams: str) -> bytes:
    """An OLE container with streams of these names: its header and its directory."""
    header = bytearray(OLE + bytes(504))
    struct.pack_into("<H", header, 30, 9)
    directory = bytearray(128 * 8)
    for number, name in enumerate(("Root Entry", *streams)):
        encoded = name.encode("utf-16-le")
        directory[128 * number : 128 * number + len(encoded)] = encoded
        struct.pack_into("<H", directory, 128 * number + 64, len(encoded) + 2)
    struct.pack_into("<I", header, 48, 3)
    return bytes(header) + bytes(512 * 3) + bytes(directory)


def locked() -> bytes:
    """A workbook with a password, as Excel writes one since 2007."""
    return ole("EncryptionInfo", "EncryptedPackage", "\x06DataSpaces")


def locked_old_workbook() -> bytes:
    """A workbook with a password, as Excel wrote one until 2003: FILEPASS follows the beginning."""
    content = bytearray(ole("Workbook"))
    begin = b"\x09\x08\x10\x00\x00\x06\x05\x00" + bytes(12)
    record = begin + b"\x2f\x00\x36\x00"
    content[512 : 512 + len(record)] = record
    return bytes(content)
