"""The end of a run: told to other systems, and to people where it concerns them.

Each is told once, though the event of an end may come twice; `queue/tellings.py` says how.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger

from straight_through import metrics
from straight_through.end_facts import EndTold, Facts, Row, Words
from straight_through.errors import AwsDenied, AwsUnavailable
from straight_through.queue.arrivals import Arrivals
from straight_through.queue.items import RunRecord
from straight_through.queue.records import Records, noted
from straight_through.queue.table import Refused, Table, Write, update
from straight_through.queue.tellings import Tellings, Ways
from straight_through.queue.turns import queue_key
from straight_through.telling.messages import (
    Ended,
    TellPeople,
    attributes_of,
    concerns_people,
    facts_of,
    finds_no_route,
    hour_of_folder,
    put_event,
    subject_of,
    text_of,
)
from straight_through.telling.run_rows import put_row, row_of
from straight_through.telling.tags import is_told, tag_file
from straight_through.text import shown
from straight_through.time_left import Left

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class Where:
    """Where ends are told in S3."""

    outbox_bucket: str  # which gets a line of each run
    tagged_files: str  # bucket/prefix, of dropped files that get tags; "" is nowhere


class Ends:
    """The ends of all runs."""

    def __init__(
        self,
        table: Table,
        events: "EventBridgeClient",
        tell_people: TellPeople,
        logger: Logger,
        s3: "S3Client",
        where: Where,
    ) -> None:
        """Take the parts; `tell_people` sends a message with a subject."""
        self._records, self._arrivals = Records(table), Arrivals(table)
        self._events = events
        self._tell_people = tell_people
        self._logger = logger
        self._s3, self._where = s3, where
        ways: Ways = {
            "event": self._to_systems,
            "message": self._to_people,
            "tags": self._on_file,
            "row": self._in_row,
            "words": self._in_words,
        }
        self._tellings = Tellings(table, ways)

    def tell(self, ended: Ended, pipeline_page: str = "") -> Facts:
        """Tell an end, and return what is told of it; what was noted before is not told again.

        `pipeline_page` is how the address of a pipeline's page in Quantemplate is made.

        Raises what telling raises, when all was tried.
        """
        record = self._records.get(ended.releases or ended.run)
        facts = facts_of(ended, record, pipeline_page=pipeline_page)
        what: EndTold = {"facts": facts, "release": bool(ended.releases)}
        now, errors = datetime.now(UTC), []
        self._count(ended, facts, record, now)
        for way in ("event", "message", "tags"):
            if way == "message" and not concerns_people(facts, ended.result.get("notify", "")):
                continue
            if way == "tags" and not is_told(
                facts, self._where.tagged_files, release=what["release"]
            ):
                continue
            mark, about = f"{way}_{ended.redrive_count}", ended.run
            if way == "message" and finds_no_route(facts):
                about = hour_of_folder(facts)
                if mark in self._records.get(about):
                    continue  # thousands may come at once: they read it, and do not all write it
            try:
                self._tellings.tell(f"{about}#{mark}", way, what, noted(about, mark, now), now)
            except Refused:
                continue
            except Exception as error:  # noqa: BLE001 - it is raised below
                errors.append(error)
        try:
            self._keep(row_of(facts, ended.input, record), now)
        except Exception as error:  # noqa: BLE001 - likewise
            errors.append(error)
        if errors:
            raise errors[0]
        return facts

    def _count(self, ended: Ended, facts: Facts, record: RunRecord, now: datetime) -> None:
        """Note the rows of a file that its route expects."""
        if "expected" in record and not ended.releases:
            self._arrivals.counted(ended.run, record, facts["rows_in"], now)

    def _keep(self, row: Row, now: datetime) -> None:
        """Write a run's line; what cannot be written now is noted, and written by the sweep.

        It is not noted before it is written, as what is told is: to write it twice does no harm.
        """
        try:
            self._in_row(row)
        except (AwsDenied, AwsUnavailable):
            mark = f"row_{row['attempt'] - 1}"
            with suppress(Refused):  # it is noted already
                once = noted(row["run"], mark, now)
                self._tellings.tell(f"{row['run']}#{mark}", "row", row, once, now)

    def tell_of_auto_run(self, queue: str, route: str, execution_id: str) -> None:
        """Tell once that somebody else's execution follows our uploads."""
        words: Words = {
            "subject": f"Route {route}: its pipeline also runs by itself",
            "text": f"Execution {shown(execution_id)}, which is not ours, followed our upload for "
            f"route {route}. If Auto Run is switched on for this pipeline in Quantemplate, "
            "each file is processed twice there: switch it off. This is told once.",
        }
        once = update(
            queue_key(queue),
            "SET #auto_run_told = :yes",
            "attribute_not_exists(#auto_run_told)",
            yes=True,
        )
        try:
            self._tellings.tell(f"auto run#{queue}", "words", words, once, datetime.now(UTC))
        except Refused:
            return

    def tell_once(self, name: str, words: Words, once: Write, now: datetime) -> None:
        """Tell people something by the condition of a write; what was told is not told again."""
        try:
            self._tellings.tell(name, "words", words, once, now)
        except Refused:
            return

    def tell_late(self, now: datetime, left: Left) -> None:
        """Tell what was noted and not told, while there are seconds `left`."""
        try:
            self._tellings.tell_late(now, left)
        finally:
            self._logger.set_correlation_id(None)  # the last one's

    def _to_systems(self, what: EndTold) -> None:
        """Tell the event bus; and once it has taken it, count the run and log what came of it."""
        facts = what["facts"]
        self._logger.set_correlation_id(facts["run"])
        put_event(self._events, facts)
        metrics.record_end(facts, release=what["release"])
        self._logger.info(
            "Told",
            key=facts["file"]["key"],
            cause=facts["message"],
            status=facts["status"],  # this and what follows is what the saved queries read
            error=facts["error"],
            route=facts["route"],
            attempt=facts["attempt"],
            waited_seconds=facts["waited_seconds"],
            ran_seconds=facts["ran_seconds"],
        )

    def _to_people(self, what: EndTold) -> None:
        """Tell people of an end."""
        facts = what["facts"]
        self._tell_people(subject_of(facts), text_of(facts), attributes_of(facts))

    def _on_file(self, what: EndTold) -> None:
        """Tell the file itself, unless a later attempt has, or the setting was switched off."""
        facts = what["facts"]
        self._logger.set_correlation_id(facts["run"])
        next_one = f"tags_{facts['attempt']}"  # its mark: marks count redrives, from 0 on
        if not is_told(facts, self._where.tagged_files, release=what["release"]):
            return
        if next_one in self._records.get(facts["run"]):
            return
        if why := tag_file(self._s3, facts):
            self._logger.warning("Not tagged", key=facts["file"]["key"], reason=why)

    def _in_row(self, row: Row) -> None:
        """Keep a run's line, for those who query many."""
        self._logger.set_correlation_id(row["run"])
        put_row(self._s3, self._where.outbox_bucket, row)

    def _in_words(self, what: Words) -> None:
        """Tell people something else."""
        self._tell_people(what["subject"], what["text"])
