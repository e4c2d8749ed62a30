"""What is known of each run beyond its turn; it outlives the turn and every redrive."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from straight_through.attempts import Attempt
from straight_through.errors import ReleaseRefused, StraightThroughError
from straight_through.moments import iso
from straight_through.queue.items import Answered, CheckedFile, MadeExecution, Post, RunRecord
from straight_through.queue.pipelines import claim
from straight_through.queue.table import Key, Refused, Table, Write, update
from straight_through.run_state import SCHEMA

# Redrive ends 14 days after an execution's end, and names are kept 90 days.
LIFETIME = timedelta(days=180)
# The last second of the year 9999: what a gate holds is known until it is released. A time, and not
# none, since whatever is noted later gives a record a time that has none.
NEVER = 253_402_300_799
# After which the execution that was to release a run can come to it no more: it was begun, or
# redriven within 14 days of its end, before.
RELEASE_GIVEN_UP = timedelta(days=16)
# Nobody has noted yet what became of this Execute.
UNSETTLED = (
    "#posted.#id = :post AND attribute_not_exists(#execution) AND attribute_not_exists(#uncertain)"
)


def record_key(run: str) -> Key:
    """Return the key of a run's record."""
    return f"run#{run}", "record"


def record_update(run: str, seen_stamp: str | None, values: dict[str, Any], now: datetime) -> Write:
    """Return the write that notes a run's request for a turn, if no other has noted one since."""
    unchanged = "#stamp = :seen" if seen_stamp else "attribute_not_exists(#stamp)"
    return update(
        record_key(run),
        "SET #execution_arn = :arn, #queue = :queue, #ticket = :ticket, #stamp = :stamp,"
        " #source = :source, #route = :route, #expires_at = :expires_at, #schema = :schema",
        unchanged,
        expires_at=_expiry(now),
        schema=SCHEMA,
        **values,
        **({"seen": seen_stamp} if seen_stamp else {}),
    )


def noted(run: str, mark: str, now: datetime) -> Write:
    """Return the write that notes something of a run, if it was not noted before."""
    return update(
        record_key(run),
        f"SET #{mark} = :yes, #expires_at = if_not_exists(#expires_at, :expires_at)",
        f"attribute_not_exists(#{mark})",
        yes=True,
        expires_at=_expiry(now),
    )


class Records:
    """The records of all runs."""

    def __init__(self, table: Table) -> None:
        """Take the table."""
        self._table = table

    def get(self, run: str) -> RunRecord:
        """Return a run's record, empty where it has none."""
        return cast("RunRecord", self._table.get(record_key(run)) or {})

    def note(self, run: str, now: datetime, **known: Any) -> None:
        """Note what is known of a run's file: its `source`, its `route`, by which it is told of."""
        values = {name: value for name, value in known.items() if value is not None}
        settings = "".join(f", #{name} = :{name}" for name in values)
        self._table.update(
            record_key(run),
            f"SET #expires_at = :expires_at{settings}",
            **values,
            expires_at=_expiry(now),
        )

    def checked(self, run: str, checked: CheckedFile) -> None:
        """Note by which settings a run's file was judged, and whether it was read whole."""
        self._table.update(record_key(run), "SET #checked = :checked", checked=checked)

    def lost(self, post: Post, at: str, answered: Answered | None = None) -> None:
        """Note when the reply to an Execute was given up: nothing was sent later.

        `answered` is the `id` and `number` of an execution that it told and that cannot be its own.
        """
        change, values = "SET #posted.#lost_at = :at", dict[str, Any](at=at)
        if answered:
            change += ", #posted.#answered = :answered"
            values["answered"] = answered
        self._settle(post, change, **values)

    def executed(self, post: Post, execution: MadeExecution) -> bool:
        """Note which run an Execute has made, and that it is nobody else's.

        False where another Execute has made it; what is noted already stays as it is.
        """
        try:
            self._table.together(
                update(
                    record_key(post["run"]),
                    "SET #execution = :execution",
                    UNSETTLED,
                    post=post["id"],
                    execution=execution,
                ),
                claim(post, execution["execution_id"], _expiry(datetime.now(UTC))),
            )
        except Refused as refused:
            settled, claimed = refused.items
            return settled is not None or claimed is None
        return True

    def not_executed(self, post: Post) -> bool:
        """Note that an Execute has made no run; False where what became of it is noted already."""
        return self._settle(post, "REMOVE #posted")

    def uncertain(self, post: Post, why: str) -> bool:
        """Note that it cannot be told what an Execute has made."""
        return self._settle(post, "SET #uncertain = :why", why=why)

    def told_before(self, run: str, execution_id: str, redrive_count: int) -> bool:
        """Whether an earlier attempt told of the run's bad end, and a person has redriven since.

        Then the run is forgotten, so that the file is processed anew; else it is told by this one.
        """
        known = self.get(run)
        if known.get("abandoned") == execution_id:
            return True
        raised = known.get("raised", {})
        told = raised.get("execution_id") == execution_id
        if told and raised["redrive_count"] < redrive_count:
            self._table.update(
                record_key(run),
                "SET #abandoned = :id REMOVE #execution, #posted",
                id=execution_id,
            )
            return True
        self._table.update(
            record_key(run),
            "SET #raised = :raised",
            raised={"execution_id": execution_id, "redrive_count": redrive_count},
        )
        return False

    @contextmanager
    def noting(self, attempt: Attempt) -> Iterator[None]:
        """Note at which call of Quantemplate's API an attempt ends: its event knows a name only."""
        try:
            yield
        except StraightThroughError as error:
            if error.call:
                self._table.update(
                    record_key(attempt.run),
                    "SET #trouble = :trouble",
                    trouble={
                        "error": type(error).__name__,
                        "call": error.call,
                        "redrive_count": attempt.redrive_count,
                    },
                )
            raise

    def hold(self, run: str, manifest: str, order: str) -> None:
        """Note that a run is held, where its manifest lies, and the run's place among others.

        It is kept until it is released, however long that takes.
        """
        self._table.update(
            record_key(run),
            "SET #held = :manifest, #order = :order, #expires_at = :never",
            manifest=manifest,
            order=order,
            never=NEVER,
        )

    def release(self, run: str, execution_arn: str, now: datetime) -> RunRecord | None:
        """Return a held run's record to the one execution that releases it; None if it has none.

        Raises ReleaseRefused.
        """
        try:
            held = self._table.update(
                record_key(run),
                "SET #released_by = :arn, #release_began = :now",
                "attribute_exists(#held) AND (attribute_not_exists(#released_by)"
                " OR #released_by = :arn"
                " OR (attribute_not_exists(#released_at) AND #release_began < :given_up))",
                arn=execution_arn,
                now=iso(now),
                given_up=iso(now - RELEASE_GIVEN_UP),
            )
        except Refused as refused:
            (seen,) = refused.items
        else:
            return cast("RunRecord", held)
        if not seen or "held" not in seen:
            return None
        by = seen["released_by"].rpartition(":")[2]
        if "released_at" in seen or "release_began" not in seen:  # release 1.0.0 noted neither
            raise ReleaseRefused(f"Run {run!r} was released by run {by!r} already.")
        raise ReleaseRefused(
            f"Run {run!r} is being released by run {by!r}. If that has failed, redrive that one."
        )

    def released(self, run: str, now: datetime) -> None:
        """Note that a held run was released: its record is kept for as long as any other."""
        self._table.update(
            record_key(run),
            "SET #released_at = :now, #expires_at = :expires_at",
            now=iso(now),
            expires_at=_expiry(now),
        )

    def _settle(self, post: Post, change: str, **values: Any) -> bool:
        """Note what became of one Execute, once, whoever finds out first."""
        try:
            self._table.update(
                record_key(post["run"]),
                change,
                UNSETTLED,
                post=post["id"],
                **values,
            )
        except Refused:
            return False
        return True


def releasing(record: RunRecord, now: datetime) -> str:
    """Return the ARN of the execution that has released a held run or may yet, "" if none."""
    given_up = record.get("release_began", "9") < iso(now - RELEASE_GIVEN_UP)
    return "" if given_up and "released_at" not in record else record.get("released_by", "")


def _expiry(now: datetime) -> int:
    """Return when the table may forget what was noted now, in seconds since 1970."""
    return int((now + LIFETIME).timestamp())
