"""Whether a dropped file may go up: what can be known of its bytes, by its route's settings.

The same check runs before the turn (for a minute at most), within it, and on a person's machine.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import islice

from quantemplate.bodies import Body, File
from straight_through.queue.items import CheckedFile
from straight_through.reading import delimited
from straight_through.reading.formats import XLS, XLSX, check_kind, check_unzipped, kind_of
from straight_through.reading.headers import LONGEST_HEADER, check_header, check_header_row
from straight_through.reading.unzipping import MARK, Limits, WithoutMark, unzipped
from straight_through.routes import Route
from straight_through.run_state import of_any_release
from straight_through.time_left import Left, unhurried

# The fields of a route by which its files are judged; where they change, a file is judged anew.
FIELDS = ("header", "table")
RULES = 1  # of this module: what was judged by other ones is judged anew


@dataclass(frozen=True)
class Checked:
    """What was found right with a file, as its run's record keeps it."""

    settings: str  # a hash of those of its route, by which it was judged
    whole: bool  # whether all was read that needs to be
    mark: bool = False  # whether its gzipped text begins with a byte-order mark

    @property
    def facts(self) -> CheckedFile:
        """What the record keeps."""
        return {"settings": self.settings, "whole": self.whole, "mark": self.mark}


def settings_of(route: Route) -> str:
    """Return a hash of the route's settings by which files are judged."""
    settings = asdict(route)
    judged_by = [RULES, *(settings[field] for field in FIELDS)]
    return hashlib.sha256(json.dumps(judged_by).encode()).hexdigest()[:16]


def known_check(record: Mapping[str, object], route: Route) -> Checked | None:
    """Return what a run's record says of its file, None where it must be judged anew."""
    noted = record.get("checked")
    if not isinstance(noted, dict) or not noted.get("whole"):
        return None
    if noted.get("settings") != settings_of(route):
        return None
    return of_any_release(Checked, noted)


def check_file(route: Route, file: File, limits: Limits, left: Left = unhurried) -> Checked:
    """Judge a file by its name, its bytes and its route; read it for as long as `left` tells.

    Raises WrongFormat, HeaderMismatch, TableUnclear, FileTooLarge, and what reading it raises.
    """
    name, settings = file.name.lower(), settings_of(route)
    start = file.part(0, LONGEST_HEADER)
    if route.table:
        _check_table(route, file, limits)
        return Checked(settings, whole=True)
    kind = kind_of(file, start)
    check_kind(name, kind)
    if name.endswith(".gz"):
        whole, mark = _check_gzip(route, file, limits, left)
        return Checked(settings, whole, mark)
    if route.header and kind in (XLSX, XLS):
        _check_sheet(route, file, start, limits)
    elif route.header:
        check_header(name, start, route.header)
    return Checked(settings, whole=True)


def rows_seen(route: Route, file: File, limits: Limits, most: int) -> list[tuple[str, ...]]:
    """Return the header and first rows of a file that was found right, as its dataset sees them.

    Raises what reading it raises.
    """
    if route.table:
        from straight_through.files.prepared import find  # noqa: PLC0415 - only where a route asks for it

        found = find(file, route.table, route.header, limits)
        return [found.names, *found.rows][:most]
    start = file.part(0, LONGEST_HEADER)
    if kind_of(file, start) in (XLSX, XLS):
        from straight_through.reading.first_rows import first_rows  # noqa: PLC0415 - seldom needed

        with first_rows(file, start, limits) as found_rows:
            return [tuple(cells) for _, cells in islice(found_rows, most)]
    if file.name.lower().endswith(".gz"):
        start = b"".join(islice(unzipped(file, limits), 1))[:LONGEST_HEADER]
    rows = delimited.first_rows(delimited.text_of(start), delimited.delimiter_of(file.name), most)
    return [tuple(cells) for _, cells in rows]


def as_it_goes_up(file: Body, checked: Checked) -> Body:
    """Return a file that was found right as it is to go up."""
    return WithoutMark(file) if checked.mark else file


def _check_table(route: Route, file: File, limits: Limits) -> None:
    """Find the route's table in the first rows of a file, or refuse it."""
    from straight_through.files.prepared import find  # noqa: PLC0415 - only where a route asks for it

    assert route.table  # noqa: S101 - for the types
    find(file, route.table, route.header, limits)


def _check_sheet(route: Route, file: File, start: bytes, limits: Limits) -> None:
    """Check the header of a workbook's first sheet."""
    from straight_through.reading.first_rows import first_rows  # noqa: PLC0415 - seldom needed

    with first_rows(file, start, limits) as rows:
        check_header_row(rows, route.header)


def _check_gzip(route: Route, file: File, limits: Limits, left: Left) -> tuple[bool, bool]:
    """Unzip a file once; return whether all of it was, and whether its text begins with a mark."""
    text, judged = b"", False
    for piece in unzipped(file, limits):
        text += piece[: max(LONGEST_HEADER - len(text), 0)]
        if not judged and len(text) >= LONGEST_HEADER:
            _check_unzipped(route, file.name, text)
            judged = True
        if left() <= 0:
            return False, False
    if not judged:
        _check_unzipped(route, file.name, text)
    return True, text.startswith(MARK)


def _check_unzipped(route: Route, name: str, text: bytes) -> None:
    """Check what was gzipped, by its first bytes."""
    check_unzipped(name, text)
    if route.header:
        check_header(name.lower(), text, route.header)
