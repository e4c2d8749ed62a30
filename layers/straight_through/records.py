"""What is known of each run beyond its turn; it outlives the turn and every redrive."""

from datetime import datetime, timedelta
from typing import Any

from straight_through.table import Item, Key, Refused, Table, Write, update

# Redrive ends 14 days after an execution's end, and names are kept 90 days.
LIFETIME = timedelta(days=180)


def record_key(run: str) -> Key:
    """Return the key of a run's record."""
    return f"run#{run}", "record"


def record_update(run: str, seen_stamp: str | None, values: dict[str, Any], now: datetime) -> Write:
    """Return the write that notes a run's request for a turn, if no other has noted one since."""
    unchanged = "#stamp = :seen" if seen_stamp else "attribute_not_exists(#stamp)"
    return update(
        record_key(run),
        "SET #execution_arn = :arn, #queue = :queue, #ticket = :ticket, #stamp = :stamp,"
        " #source = :source, #expires_at = :expires_at",
        unchanged,
        expires_at=int((now + LIFETIME).timestamp()),
        **values,
        **({"seen": seen_stamp} if seen_stamp else {}),
    )


class Records:
    """The records of all runs."""

    def __init__(self, table: Table) -> None:
        """Take the table."""
        self._table = table

    def get(self, run: str) -> Item:
        """Return a run's record, empty where it has none."""
        return self._table.get(record_key(run)) or {}

    def keep_source(self, run: str, source: Item, now: datetime) -> None:
        """Note the version that a run without a turn is about."""
        self._table.update(
            record_key(run),
            "SET #source = :source, #expires_at = :expires_at",
            source=source,
            expires_at=int((now + LIFETIME).timestamp()),
        )

    def lost(self, post: Item, at: str) -> None:
        """Note when the reply to an Execute was given up: nothing was sent later."""
        self._settle(post, "SET #posted.#lost_at = :at", at=at)

    def executed(self, post: Item, execution: Item) -> bool:
        """Note which run an Execute has made; False where what became of it is noted already."""
        return self._settle(post, "SET #execution = :execution", execution=execution)

    def not_executed(self, post: Item) -> bool:
        """Note that an Execute has made no run; False where what became of it is noted already."""
        return self._settle(post, "REMOVE #posted")

    def uncertain(self, post: Item, why: str) -> bool:
        """Note that it cannot be told what an Execute has made."""
        return self._settle(post, "SET #uncertain = :why", why=why)

    def raised(self, run: str, execution_id: str, redrive_count: int) -> None:
        """Note that this attempt tells of the run's bad end."""
        self._table.update(
            record_key(run),
            "SET #raised = :raised",
            raised={"execution_id": execution_id, "redrive_count": redrive_count},
        )

    def abandon(self, run: str, execution_id: str) -> None:
        """Forget a run that ended badly, so that the file is processed anew."""
        self._table.update(
            record_key(run),
            "SET #abandoned = :id REMOVE #execution, #posted",
            id=execution_id,
        )

    def _settle(self, post: Item, change: str, **values: Any) -> bool:
        """Note what became of one Execute, once, whoever finds out first."""
        try:
            self._table.update(
                record_key(post["run"]),
                change,
                "#posted.#id = :post AND attribute_not_exists(#execution)"
                " AND attribute_not_exists(#uncertain)",
                post=post["id"],
                **values,
            )
        except Refused:
            return False
        return True
