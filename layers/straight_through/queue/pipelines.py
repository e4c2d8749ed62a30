"""What the table knows of each pipeline, whichever run has seen it, and of our own users.

The numbers and ids of executions are the other side's, and so is the list's age: what was seen once
is kept here, so that no older copy of a list makes an execution look new.
"""

import hashlib
from contextlib import suppress
from typing import cast

from straight_through.queue.items import (
    Claim,
    KnownUser,
    MadeExecution,
    PipelineIds,
    Post,
    RouteExecution,
    SeenEnd,
    SeenPipeline,
)
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


def version_before(known: SeenPipeline | None, route: str, run: str) -> int | None:
    """Return by which of the pipeline's revisions the route's run before this one was processed.

    None where that is not known: there was none, or it used another pipeline.
    """
    of_routes = cast("dict[str, RouteExecution]", known or {})
    last = of_routes.get(_last_of(route))
    if last is None:
        return None
    return last["before"] if last["run"] == run else last["version"]


def _last_of(route: str) -> str:
    """Return the name of the attribute with a route's last execution: names may hold any sign."""
    return f"last_of_{hashlib.sha256(route.encode()).hexdigest()[:20]}"


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
        known = self.known(ids)
        return known["highest"] if known else None

    def known(self, ids: PipelineIds) -> SeenPipeline | None:
        """Return what was seen of a pipeline, None where it was never looked for."""
        return cast("SeenPipeline | None", self._table.get(pipeline_key(ids)))

    def executed(self, run: str, made: MadeExecution) -> None:
        """Keep what a route's run has made, unless that or a later one is kept.

        Its number is kept too if it is the highest, by the same write where nobody has seen it.
        """
        name, key = _last_of(made["route"]), pipeline_key(made)
        number = made["run_number"]
        entry: RouteExecution = {
            "run": run,
            "number": number,
            "version": made.get("pipeline_version"),
            "before": made.get("pipeline_version_before"),
        }
        newer = f"(attribute_not_exists(#{name}) OR #{name}.#number < :number)"
        unseen = "(attribute_not_exists(#highest) OR #highest < :number)"
        try:
            self._table.update(
                key,
                f"SET #highest = :number, #{name} = :made",
                f"{unseen} AND {newer}",
                number=number,
                made=entry,
            )
        except Refused:
            with suppress(Refused):
                self._table.update(key, f"SET #{name} = :made", newer, number=number, made=entry)

    def seen(self, ids: PipelineIds, number: int) -> None:
        """Keep a run number that was seen, if it is the highest."""
        with suppress(Refused):
            self._table.update(
                pipeline_key(ids),
                "SET #highest = :number",
                "attribute_not_exists(#highest) OR #highest < :number",
                number=number,
            )

    def ends_announced(self, ids: PipelineIds) -> tuple[int, SeenEnd | None]:
        """Return how many ends in a row events have announced, but for the last; and the last."""
        known = cast("SeenPipeline | None", self._table.get(pipeline_key(ids)))
        return (known.get("announced", 0), known.get("last_end")) if known else (0, None)

    def ended(self, ids: PipelineIds, end: SeenEnd, before: int) -> None:
        """Keep an end that was seen, and how many in a row before it were announced."""
        self._table.update(
            pipeline_key(ids),
            "SET #last_end = :end, #announced = :before",
            end=end,
            before=before,
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
