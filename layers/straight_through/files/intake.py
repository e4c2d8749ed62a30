"""What is done with a dropped file: pin, find, note, judge; and within its turn, make it ready.

CheckFile does the first four before anybody waits, and TakeTurn for executions that were begun by a
definition without CheckFile.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from quantemplate.bodies import Body, File
from straight_through.attempts import Attempt
from straight_through.buckets.inbox import Source, SourceBody, newest, pin_source
from straight_through.errors import EmptyFile, StraightThroughError, concerning
from straight_through.files.checks import Checked, as_it_goes_up, check_file, known_check
from straight_through.measuring import Measured, MeasuredBody
from straight_through.moments import from_iso
from straight_through.queue.items import RunRecord
from straight_through.queue.records import Records
from straight_through.reading.formats import is_text
from straight_through.reading.unzipping import Limits
from straight_through.routes import Route, Routes
from straight_through.run_state import Measures, of_any_release
from straight_through.time_left import Left, unhurried

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SOON = 15  # seconds until a look at what may replace an empty version; then twice as many


@dataclass(frozen=True)
class Intake:
    """The parts that take a file in, and by which limits it is judged."""

    s3: "S3Client"
    routes: Routes
    records: Records
    limits: Limits

    def found(self, attempt: Attempt, now: datetime) -> tuple[Source, Route]:
        """Return the version that the first attempt has pinned, whatever was dropped since.

        Both are noted before anything is judged: so a refused file's message names them.
        Raises InputInvalid, SourceNotFound, SourceDenied, SourceUnavailable, NoRoute, RouteInvalid.
        """
        named = attempt.input
        record = self.records.get(attempt.run)
        if attempt.redrive_count or not attempt.was_dropped or "queue" in record:
            self.routes.forget()  # a person may have mended it, or it has left that queue
        source = of_any_release(Source, record["source"]) if "source" in record else None
        route: Route | None = None
        refused: StraightThroughError | None = None
        try:
            with concerning(f"file s3://{named.bucket}/{named.key}"):
                route = self.routes.of(named.key)
        except StraightThroughError as error:
            refused = error
        try:
            source = source or pin_source(self.s3, named)
        except StraightThroughError as error:
            refused = error
        known = {"source": source and source.facts, "route": route and route.name}
        if any(value and record.get(name) != value for name, value in known.items()):
            self.records.note(attempt.run, now, **known)
        if refused or not source or not route:
            raise refused or AssertionError("neither found nor refused")
        return source, route

    def judge(self, attempt: Attempt, source: Source, route: Route, left: Left) -> Checked:
        """Judge the file by its route's settings, and note which and whether it was read whole.

        `left` tells for how many seconds yet it may be read. Raises what `check_file` does.
        """
        file = SourceBody(self.s3, source, unhurried)
        with concerning(f"file s3://{source.bucket}/{source.key}, route {route.name}"):
            checked = check_file(route, file, self.limits, left)
        self.records.checked(attempt.run, checked.facts)
        return checked

    def judge_before_turn(
        self, attempt: Attempt, source: Source, route: Route, left: Left
    ) -> Checked:
        """Judge a file for which no replacement is waited for. Raises EmptyFile too."""
        if not source.size:
            raise EmptyFile(empty(source))
        return self.judge(attempt, source, route, left)

    def judged(self, record: RunRecord, attempt: Attempt, route: Route, file: File) -> Body:
        """Return a file, within its turn, as it may go up.

        What was not judged whole, or by other settings, is judged now, once. Raises what
        `check_file` does.
        """
        if "execution" in record or attempt.input.execution_id:
            return file  # nothing goes up
        checked = known_check(record, route)
        if checked is None:
            checked = check_file(route, file, self.limits)
            self.records.checked(attempt.run, checked.facts)
        return as_it_goes_up(file, checked)

    def to_send(
        self, attempt: Attempt, route: Route, file: SourceBody, judged: Body, outbox: str
    ) -> Measured:
        """Return what is sent of a judged file: its bytes, or the table that is made of them.

        The table is made, and stored in the outbox, at its first use: a busy pipeline may be looked
        at hundreds of times until then.
        """
        if not route.table:
            return MeasuredBody(judged, is_text=is_text(file.name))
        return _LaterBody(lambda: self._table(attempt, route, file, outbox))

    def _table(self, attempt: Attempt, route: Route, file: SourceBody, outbox: str) -> Measured:
        """Make the table that a route asks for, and store it."""
        from straight_through.files.prepared import stored_table  # noqa: PLC0415 - by such routes only

        return stored_table(self.s3, outbox, route, attempt.run, file, self.limits, file.left)

    def wait_for_replacement(self, source: Source, patience: timedelta, now: datetime) -> int:
        """Return how many seconds to wait for a version that replaces an empty one, 0 if it came.

        The wait ends when the empty version is as old as `patience`. Raises EmptyFile then, and
        what reading the newest version raises: where the file was deleted, SourceNotFound.
        """
        dropped = from_iso(source.dropped_at)
        later = newest(self.s3, source) if patience else None
        if later and from_iso(later.dropped_at) - dropped <= patience:
            return 0
        age = now - dropped
        left = (patience - age).total_seconds()
        if later or left <= 0:
            raise EmptyFile(empty(source))
        return math.ceil(min(left, max(SOON, age.total_seconds())))


class _LaterBody:
    """A body that is made at its first use, since making it may take long and may be for nothing.

    Its first use raises what making it raises.
    """

    def __init__(self, make: Callable[[], Measured]) -> None:
        """Make nothing yet."""
        self._make = make

    @cached_property
    def _made(self) -> Measured:
        """Make it, once."""
        return self._make()

    @property
    def measures(self) -> Measures:
        """Return what was measured of it."""
        return self._made.measures

    def __len__(self) -> int:
        """Return the size in bytes."""
        return len(self._made)

    def __iter__(self) -> Iterator[bytes]:
        """Read from the start."""
        return iter(self._made)


def empty(source: Source) -> str:
    """Say that a file is empty, and what to do."""
    return (
        f"s3://{source.bucket}/{source.key} is empty (0 bytes, version {source.version_id}): "
        "nothing was uploaded. Look why where it was made, then drop the file again."
    )
