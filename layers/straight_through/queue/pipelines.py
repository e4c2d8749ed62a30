"""What the table knows of each pipeline, whichever run has seen it, and of our own users.

The numbers and ids of executions are the other side's, and so is the list's age: what was seen once
is kept here, so that no older copy of a list makes an execution look new.
"""

from contextlib import suppress
from typing import cast

from straight_through.queue.items import Claim, KnownUser, PipelineIds, Post, SeenPipeline
from straight_through.queue.table import Key, Refused, Table, Write, update

NONE_SEEN = 0  # run numbers count up from 1


def pipeline_key(ids: PipelineIds) -> Key:
    """Return the key of what was seen of a pipeline: `highest`, the highest run number."""
    return f"pipeline#{ids['organisation_id']}/{ids['pipeline_id']}", "seen"


def execution_key(ids: PipelineIds, execution_id: str) -> Key:
    """Return the key of the claim on an execution: the `run` it belongs to, and by which `post`."""
    return f"execution#{ids['organisation_id']}/{ids['pipeline_id']}#{execution_id}", "claim"


def user_key(client_id: str) -> Key:
    """Return the key of the `user` id by which Quantemplate names what a client id makes."""
    return f"client#{client_id}", "user"


def claim(post: Post, execution_id: str, expires_at: int) -> Write:
    """Return the write that claims an execution for one Execute of one run, and for no other."""
    return update(
        execution_key(post, execution_id),
        "SET #run = :run, #post = :post, #expires_at = :expires_at",
        "attribute_not_exists(#run) OR (#run = :run AND #post = :post)",
        run=post["run"],
        post=post["id"],
        expires_at=expires_at,
    )


class Pipelines:
    """All pipelines; `ids` has the `organisation_id` and `pipeline_id` of one."""

    def __init__(self, table: Table) -> None:
        """Take the table."""
        self._table = table

    def highest(self, ids: PipelineIds) -> int | None:
        """Return the highest run number that was ever seen, None where none was looked for."""
        known = cast("SeenPipeline | None", self._table.get(pipeline_key(ids)))
        return known["highest"] if known else None

    def seen(self, ids: PipelineIds, number: int) -> None:
        """Keep a run number that was seen, if it is the highest."""
        with suppress(Refused):
            self._table.update(
                pipeline_key(ids),
                "SET #highest = :number",
                "attribute_not_exists(#highest) OR #highest < :number",
                number=number,
            )

    def count_anew(self, ids: PipelineIds, number: int) -> None:
        """Forget higher numbers: by an execution of its own, Quantemplate counts lower."""
        self._table.update(pipeline_key(ids), "SET #highest = :number", number=number)

    def claimed_by(self, ids: PipelineIds, execution_id: str) -> str | None:
        """Return the id of the Execute whose execution this is known to be, if it is known."""
        claimed = cast("Claim | None", self._table.get(execution_key(ids, execution_id)))
        return claimed["post"] if claimed else None

    def user(self, client_id: str) -> str | None:
        """Return the user id by which Quantemplate names us, where an earlier reply told it."""
        known = cast("KnownUser | None", self._table.get(user_key(client_id)))
        return known["user"] if known else None

    def know_user(self, client_id: str, user: str) -> None:
        """Note by which user id Quantemplate names the runs that this client id makes."""
        self._table.update(user_key(client_id), "SET #user = :user", user=user)
