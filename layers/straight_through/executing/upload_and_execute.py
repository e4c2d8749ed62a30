"""The dropped file into its route's dataset, and the pipeline set going; or the file skipped."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger

from quantemplate.bodies import Body
from straight_through import metrics
from straight_through.attempts import Attempt
from straight_through.buckets.inbox import SourceBody
from straight_through.errors import WaitedFor, concerning
from straight_through.executing.connection import Access, Connection
from straight_through.executing.execute_once import ExecuteOnce
from straight_through.executing.progress import executed_state, skipped_state
from straight_through.executing.waits import Patience, wait_out
from straight_through.files.duplicates import skipped_twin, twin_of
from straight_through.files.intake import Intake, SetBody, source_of
from straight_through.gathering.sets import claimed, in_its_place
from straight_through.queue.items import GatheredSet, MadeExecution, RunRecord
from straight_through.queue.notices import Notices
from straight_through.queue.pipelines import Pipelines
from straight_through.queue.records import Records
from straight_through.queue.table import Table
from straight_through.queue.turns import Turn, Turns
from straight_through.reading.unzipping import Limits
from straight_through.routes import Route, Routes, require_fit
from straight_through.run_state import RunState, TurnState, named, of_any_release
from straight_through.statuses import NOT_EXECUTED
from straight_through.time_left import Left

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

NO_DURATIONS: Sequence[float] = ()


@dataclass(frozen=True)
class Settings:
    """What the template tells the function; a new execution may be `late_list_seconds` late."""

    turns_table: str
    routes_path: str
    outbox_bucket: str
    largest_unzipped_gb: float
    largest_unzipped_ratio: float
    late_list_seconds: float
    patience: Patience
    access: Access


class UploadAndExecute:
    """The parts that get a file up and its pipeline executed, within its turn."""

    def __init__(
        self,
        s3: "S3Client",
        routes: Routes,
        table: Table,
        states: "SFNClient",
        quantemplate: Connection,
        settings: Settings,
        logger: Logger,
    ) -> None:
        """Take the services, and what the template tells of them."""
        limits = Limits.of(settings.largest_unzipped_gb, settings.largest_unzipped_ratio)
        self._s3 = s3
        self._routes = routes
        self._table = table
        self._turns = Turns(table, states)
        self._records = Records(table)
        self._notices = Notices(table)
        self._pipelines = Pipelines(table)
        self._quantemplate = quantemplate
        self._settings = settings
        self._logger = logger
        self._intake = Intake(s3, routes, table, limits)

    def state_after(
        self, attempt: Attempt, before: RunState, until: datetime, left: Left
    ) -> RunState:
        """Return the run's state: executed, skipped, or not executed and what it waits for.

        `until` is when the function must have ended, `left` tells the seconds until it is killed.
        Raises what `check_file` and `ExecuteOnce.make` do, and what is waited for, at its deadline.
        """
        known = self._records.get(attempt.run)
        source = source_of(known)
        file = SourceBody(self._s3, source, left) if source else None
        about = named(attempt.run, None, source.facts if source else None)
        with self._records.noting(attempt), concerning(about):
            route = self._intake.routed(attempt, source)
            about += f", route {route.name}"
            try:
                with concerning(f"route {route.name}"):
                    after = self._executed(attempt, before["turn"], known, route, file, until)
            except WaitedFor as trouble:
                patience = self._settings.patience
                waiting = wait_out(before, trouble, attempt, patience, datetime.now(UTC))
                self._logger.warning("Waiting", trouble=waiting["waiting"])
                after = waiting | {"status": NOT_EXECUTED}
        return self._notices.follow(attempt, before, after, about, datetime.now(UTC))

    def _executed(
        self,
        attempt: Attempt,
        turn: TurnState | None,
        known: RunRecord,
        route: Route,
        file: SourceBody | None,
        until: datetime,
    ) -> RunState:
        """Return the state of a run whose pipeline is executed, or whose file is skipped."""
        # What was sent may have been executed: it is never skipped, or refused.
        sent = known.keys() & {"execution", "posted"}
        gathered = claimed(known, route) if turn and not sent else known.get("set")
        attempt = in_its_place(attempt, gathered)
        judged = None
        if file is not None and not gathered:
            judged = self._intake.judged(known, attempt, route, file)
        source = None if file is None else file.source.facts
        if judged is not None and source and not sent:
            same = skipped_twin(self._table, attempt, route, judged, datetime.now(UTC))
            if same:
                self._logger.info("Skipped: the same bytes were processed before", twin=same)
                return skipped_state(attempt, turn, route.name, source, same)
        made, durations = known.get("execution"), NO_DURATIONS
        if not made:
            require_fit(route, has_file=file is not None)
            body = self._body(attempt, route, file, judged, gathered) if turn else None
            made, durations = self._made(attempt, turn, route, body, until)
        elif turn is not None:  # whoever noted it may not have come to this
            self._pipelines.executed(attempt.run, made)
        sha256 = made["measures"]["sha256"]
        twin = (
            twin_of(self._table, route, sha256, attempt.run, datetime.now(UTC)) if sha256 else None
        )
        size = None if file is None else len(file)
        self._logger.info("Executed", size=size, identical_to=twin, **made)
        return executed_state(attempt, turn, source, made, twin, durations, gathered)

    def _body(
        self,
        attempt: Attempt,
        route: Route,
        file: SourceBody | None,
        judged: Body | None,
        gathered: GatheredSet | None,
    ) -> Body | SetBody | None:
        """Return what goes up: the file, or what is made of it; the files of a set; or nothing."""
        outbox = self._settings.outbox_bucket
        if file is not None and gathered:
            return self._intake.members(attempt, gathered, route, file.left, outbox)
        if file is None or judged is None:
            return None
        return self._intake.to_send(attempt, route, file, judged, outbox)

    def _made(
        self,
        attempt: Attempt,
        turn: TurnState | None,
        route: Route,
        body: Body | SetBody | None,
        until: datetime,
    ) -> tuple[MadeExecution, Sequence[float]]:
        """Return the execution, and how many seconds each of the pipeline's earlier ones took."""
        once = ExecuteOnce(
            self._quantemplate.open(), self._turns, self._records, self._settings.late_list_seconds
        )
        if turn is None:
            return once.attach(route, attempt.input.execution_id or ""), NO_DURATIONS
        made = once.make(of_any_release(Turn, turn), attempt, route, body, until, self._routes)
        if once.uploaded:
            metrics.record({metrics.BYTES_UPLOADED: once.uploaded})
        return made, once.durations
