"""What is done with a dropped file: pin, find, note, judge; and within its turn, make it ready.

CheckFile does the first four before anybody waits, and TakeTurn for executions that were begun by a
definition without CheckFile.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from quantemplate.bodies import Body, File
from straight_through.attempts import Attempt
from straight_through.buckets.inbox import Source, SourceBody, newest, pin_source
from straight_through.errors import EmptyFile, StraightThroughError, concerning
from straight_through.expected import period_of
from straight_through.files.checks import Checked, as_it_goes_up, check_file, known_check
from straight_through.gathering.sets import judged_by, member_of
from straight_through.measuring import Measured, MeasuredBody
from straight_through.moments import from_iso
from straight_through.queue.arrivals import Arrivals
from straight_through.queue.items import GatheredSet, RunRecord
from straight_through.queue.records import Records
from straight_through.queue.table import Table
from straight_through.reading.formats import is_text
from straight_through.reading.unzipping import Limits
from straight_through.routes import Route, Routes, require_fit
from straight_through.run_state import Measures, MeasuresOfUpload, named, of_any_release
from straight_through.time_left import Left, unhurried

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SOON = 15  # seconds until a look at what may replace an empty version; then twice as many


@dataclass(frozen=True)
class Intake:
    """The parts that take a file in, and by which limits it is judged."""

    s3: "S3Client"
    routes: Routes
    table: Table
    limits: Limits

    @property
    def records(self) -> Records:
        """What is known of all runs."""
        return Records(self.table)

    def found(self, attempt: Attempt, now: datetime) -> tuple[Source | None, Route]:
        """Return the version that the first attempt has pinned, whatever was dropped since.

        None for a run without a file. What is found is noted before anything is judged: so a
        refused file's message names it. Raises InputInvalid, SourceNotFound, SourceDenied,
        SourceUnavailable, NotInSet, and what `routed` does.
        """
        named = attempt.input
        record = self.records.get(attempt.run)
        if attempt.redrive_count or not attempt.was_dropped or "queue" in record:
            self.routes.forget()  # a person may have mended it, or it has left that queue
        if named.route:
            return None, self._noted(attempt, record, now)
        source = source_of(record)
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
        with concerning(named_of(attempt, route, source)):
            require_fit(route, has_file=True)
            if (route.set or named.incomplete) and not named.execution_id:
                member_of(route, source.key)
        return source, route

    def _noted(self, attempt: Attempt, record: RunRecord, now: datetime) -> Route:
        """Return the route of a run without a file; note it, and what has caused the run."""
        with concerning(f"run {attempt.run}"):
            route = self.routes.named(attempt.input.route or "")
        known = {"route": route.name, "cause": attempt.input.cause}
        if any(record.get(name) != value for name, value in known.items()):
            self.records.note(attempt.run, now, **known)
        with concerning(named_of(attempt, route)):
            require_fit(route, has_file=False)
        return route

    def routed(self, attempt: Attempt, source: Source | None) -> Route:
        """Return the route of a run's file, or of a run without one. Raises NoRoute, RouteInvalid.

        Whether it takes a file is for `require_fit` to tell.
        """
        if source:
            return self.routes.of(source.key)
        return self.routes.named(attempt.input.route or "")

    def judge(self, attempt: Attempt, source: Source, route: Route, left: Left) -> Checked:
        """Judge the file by its route's settings, and note which and whether it was read whole.

        `left` tells for how many seconds yet it may be read. Raises what `check_file` does.
        """
        file = SourceBody(self.s3, source, unhurried)
        with concerning(f"file s3://{source.bucket}/{source.key}, route {route.name}"):
            checked = check_file(judged_by(route, source.key), file, self.limits, left)
        self.records.checked(attempt.run, checked.facts)
        expect = route.expect
        if expect and (period := period_of(expect, route.name, source.key)):
            Arrivals(self.table).came(attempt.run, route.name, period, source.facts)
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
        return self._judged(record, attempt.run, route, file)

    def _judged(self, record: RunRecord, run: str, route: Route, file: File) -> Body:
        """Return a file as it may go up that the run of this record has brought."""
        checked = known_check(record, route)
        if checked is None:
            checked = check_file(route, file, self.limits)
            self.records.checked(run, checked.facts)
        return as_it_goes_up(file, checked)

    def members(
        self, attempt: Attempt, gathered: GatheredSet, route: Route, left: Left, outbox: str
    ) -> "SetBody":
        """Return the files of a set, within its turn, as `judged` and `to_send` do one."""
        by = {each.dataset_id: each for each in route.set.members} if route.set else {}
        uploads: list[tuple[str, Measured]] = []
        for member in gathered["members"]:
            source, dataset_id = of_any_release(Source, member["source"]), member["dataset_id"]
            # A dataset that the route has lost gets nothing: ExecuteOnce refuses it.
            rules = route.by_member(by[dataset_id]) if dataset_id in by else route
            about = f"member {member['file']}: s3://{source.bucket}/{source.key}"
            with concerning(about):
                file = SourceBody(self.s3, source, left)
                body = self._judged(self.records.get(member["run"]), member["run"], rules, file)
            # Of each version of the set, since the route may have changed in between.
            stem = f"{attempt.run}/{member['run']}"
            uploads.append((dataset_id, self._to_send(stem, rules, file, body, outbox, about)))
        return SetBody(uploads)

    def to_send(
        self, attempt: Attempt, route: Route, file: SourceBody, judged: Body, outbox: str
    ) -> Measured:
        """Return what is sent of a judged file: its bytes, or the table that is made of them.

        The table is made, and stored in the outbox, at its first use: a busy pipeline may be looked
        at hundreds of times until then.
        """
        return self._to_send(attempt.run, route, file, judged, outbox)

    def _to_send(
        self, stem: str, route: Route, file: SourceBody, judged: Body, outbox: str, about: str = ""
    ) -> Measured:
        """Return what is sent of a file; `stem` names its table in the outbox."""
        if not route.table:
            return MeasuredBody(judged, is_text=is_text(file.name))
        return _LaterBody(lambda: self._table(stem, route, file, outbox, about))

    def _table(
        self, stem: str, route: Route, file: SourceBody, outbox: str, about: str
    ) -> Measured:
        """Make the table that a route asks for, and store it."""
        from straight_through.files.prepared import stored_table  # noqa: PLC0415 - by such routes only

        with concerning(about) if about else nullcontext():
            return stored_table(self.s3, outbox, route, stem, file, self.limits, file.left)

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


def named_of(attempt: Attempt, route: Route, source: Source | None = None) -> str:
    """Name a run in a message."""
    return named(attempt.run, route.name, source.facts if source else None)


def source_of(record: RunRecord) -> Source | None:
    """Return the version that a run's record has pinned, None where it has none."""
    found = record.get("source")
    return of_any_release(Source, found) if found else None


@dataclass(frozen=True)
class SetBody:
    """The bodies of a set's files, each with the dataset that it goes to."""

    uploads: list[tuple[str, Measured]]

    @property
    def measures(self) -> MeasuresOfUpload:
        """Return what was measured of all of them."""
        members = [body.measures for _, body in self.uploads]
        return {"sha256": None, "rows": None, "members": members}


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
