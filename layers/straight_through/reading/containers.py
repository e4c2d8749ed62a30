"""What is in a container, told without reading all of it: an OLE file, a ZIP archive."""

import struct
import zipfile

from quantemplate.bodies import File

OLE_HEADER = 512  # bytes
ENTRY = 128  # bytes of an entry of an OLE directory; the first 64 are its name
SECTORS = (9, 12)  # powers of two that an OLE sector's size may have
DIRECTORY = 16 * 1024  # bytes of an OLE directory that are read: 128 entries
MOST_NAMES = 100_000  # members of an archive that is looked into
MOST_LISTED = 32 * 1024 * 1024  # bytes of an archive's list of members
END_OF_ZIP = 22  # bytes, before its comment
LONGEST_COMMENT = 65_535
# A BIFF workbook begins with this record; one with a password goes on with another (0x002F).
BIFF_BEGIN, FILEPASS = b"\x09\x08\x10\x00", b"\x2f\x00"


def ole_names(file: File, start: bytes) -> set[str] | None:
    """Return the names of an OLE container's streams, None where its directory cannot be read.

    Source: [MS-CFB], 2.2 and 2.6.
    """
    if len(start) < OLE_HEADER:
        return None
    power, first = struct.unpack_from("<H", start, 30)[0], struct.unpack_from("<I", start, 48)[0]
    if power not in SECTORS:
        return None
    at = (first + 1) << power
    if at >= len(file):
        return None
    directory = file.part(at, DIRECTORY)
    names = set()
    for begin in range(0, len(directory) - ENTRY + 1, ENTRY):
        length = struct.unpack_from("<H", directory, begin + 64)[0]
        if 2 <= length <= 64:
            name = directory[begin : begin + length - 2]
            names.add(name.decode("utf-16-le", errors="replace"))
    return names


def has_biff_password(start: bytes) -> bool:
    """Whether an XLS workbook says, at its begin, that it is encrypted."""
    at = start.find(BIFF_BEGIN)
    while at >= 0:
        if start[at + 20 : at + 22] == FILEPASS:
            return True
        at = start.find(BIFF_BEGIN, at + 1)
    return False


def zip_names(file: File) -> list[str] | None:
    """Return the names of an archive's members in their order, None where its end is missing."""
    from straight_through.reading.sheets import seekable  # noqa: PLC0415 - not of a text

    end = file.part(max(len(file) - END_OF_ZIP - LONGEST_COMMENT, 0), END_OF_ZIP + LONGEST_COMMENT)
    at = end.rfind(b"PK\x05\x06")
    if at < 0 or len(end) - at < END_OF_ZIP:
        return None
    listed = struct.unpack_from("<I", end, at + 12)[0]
    if listed != 0xFFFFFFFF and listed > MOST_LISTED:
        return [f"member {number}" for number in range(MOST_NAMES)]
    try:
        with zipfile.ZipFile(seekable(file)) as archive:
            return archive.namelist()[:MOST_NAMES]
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error):
        return None
