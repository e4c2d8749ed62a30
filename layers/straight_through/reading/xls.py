"""The records of an XLS workbook, as they are: its cells, how far they are spread, their errors.

Source: [MS-CFB] 2.2 to 2.6 for the container, [MS-XLS] 2.1.4 and 2.3 for the records.
"""

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

END = 0xFFFF_FFFA  # of a chain of sectors; numbers from here on are no sectors
IN_HEADER = 109  # numbers of sectors of the table of sectors, that the header has
DIRECTORY_ENTRY = 128  # bytes
SMALLEST = 4096  # bytes; a smaller stream lies elsewhere, and no program writes a workbook so
NAMES = {"Workbook", "Book"}
NUMBER, LABEL, BOOLERR, RK, LABELSST, MULRK, FORMULA, RSTRING = (
    0x0203, 0x0204, 0x0205, 0x027E, 0x00FD, 0x00BD, 0x0006, 0x00D6,
)  # fmt: skip
CELLS = {NUMBER, LABEL, BOOLERR, RK, LABELSST, MULRK, FORMULA, RSTRING, 0x0206, 0x0406}
DIMENSIONS, BEGIN = 0x0200, 0x0809


@dataclass(frozen=True)
class Spread:
    """How many cells the largest sheet spans, and whether any cell has an error such as #N/A."""

    cells: int
    errors: bool


def spread_of(data: bytes) -> Spread:
    """Return how far the cells of an XLS are spread. Raises ValueError, struct.error."""
    most, errors = 0, False
    rows, columns = [0, 0], [0, 0]  # the first and the one after the last
    empty = True
    for kind, at, size in _records(stream := _workbook(data)):
        if kind == BEGIN:
            empty = True
        elif kind == DIMENSIONS and size >= 12:
            first, last, left, right = struct.unpack_from("<IIHH", stream, at)
            most = max(most, (last - first) * (right - left))
        elif kind in CELLS and size >= 6:
            row, column = struct.unpack_from("<HH", stream, at)
            end = struct.unpack_from("<H", stream, at + size - 2)[0] if kind == MULRK else column
            if empty:
                rows, columns, empty = [row, row + 1], [column, end + 1], False
            else:
                rows = [min(rows[0], row), max(rows[1], row + 1)]
                columns = [min(columns[0], column), max(columns[1], end + 1)]
            most = max(most, (rows[1] - rows[0]) * (columns[1] - columns[0]))
            errors |= _is_error(kind, stream[at : at + size])
    return Spread(most, errors)


def _is_error(kind: int, record: bytes) -> bool:
    """Whether a cell has an error, of itself or as what its formula gave."""
    if kind == BOOLERR:
        return record[7:8] == b"\x01"
    return kind == FORMULA and record[6:7] == b"\x02" and record[12:14] == b"\xff\xff"


def _records(stream: bytes) -> Iterator[tuple[int, int, int]]:
    """Return the kind of each record, and where its data begin and how long they are."""
    at = 0
    while at + 4 <= len(stream):
        kind, size = struct.unpack_from("<HH", stream, at)
        yield kind, at + 4, size
        at += 4 + size


def _workbook(data: bytes) -> bytes:
    """Return the stream of the workbook out of its container."""
    power, directory = struct.unpack_from("<H", data, 30)[0], struct.unpack_from("<I", data, 48)[0]
    if power not in (9, 12):
        raise ValueError("its sectors have no known size")

    def sector(number: int) -> bytes:
        return data[(number + 1) << power : (number + 2) << power]

    numbers = list(struct.unpack_from(f"<{IN_HEADER}I", data, 76))
    more = struct.unpack_from("<I", data, 68)[0]
    while more < END and len(numbers) <= len(data) >> power:
        part = array("I", sector(more))
        numbers += part[:-1]
        more = part[-1]
    table = array("I", b"".join(sector(number) for number in numbers if number < END))

    def chain(number: int) -> bytes:
        found: list[bytes] = []
        while number < END:
            found.append(sector(number))
            if len(found) > len(table):
                raise ValueError("its sectors go round in a circle")
            number = table[number]
        return b"".join(found)

    entries = chain(directory)
    for begin in range(0, len(entries) - DIRECTORY_ENTRY + 1, DIRECTORY_ENTRY):
        length = struct.unpack_from("<H", entries, begin + 64)[0]
        name = entries[begin : begin + max(length - 2, 0)].decode("utf-16-le", errors="replace")
        if name in NAMES:
            first, size = struct.unpack_from("<II", entries, begin + 116)
            if size < SMALLEST:
                raise ValueError("its workbook is smaller than any")
            return chain(first)[:size]
    raise ValueError("it has no workbook")
