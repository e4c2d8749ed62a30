"""One attempt to get a file through its pipeline: exactly one execution made, or found again.

The API has no idempotency key. So before Execute is sent its POST is noted with the highest run
number that was listed, and until it is known what became of the last POST nothing is uploaded.
"""

import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from straight_through.attempts import Attempt, iso
from straight_through.bindings import enter_bound
from straight_through.bodies import Body
from straight_through.errors import (
    ApiUnavailable,
    ExecuteUncertain,
    FunctionKilled,
    NotFound,
    PipelineBusy,
    StraightThroughError,
)
from straight_through.polling import moment_of
from straight_through.progress import durations_of
from straight_through.quantemplate import Execution, Quantemplate
from straight_through.records import Records
from straight_through.routes import FIELDS, Route
from straight_through.table import Item
from straight_through.turns import Turn, Turns

CLOCKS_DIFFER = timedelta(seconds=5)  # at most, ours and Quantemplate's
NOT_MEASURED = {"sha256": None, "rows": None}
MOST_KILLS = 5  # functions in a row that died while they held a turn


class Runs:
    """Uploads and executes, within a turn that has been entered."""

    def __init__(
        self,
        client: Quantemplate,
        turns: Turns,
        records: Records,
        late_list: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take the parts; a new run may be missing from the list for `late_list` seconds."""
        self._client = client
        self._turns = turns
        self._records = records
        self._late_list = late_list
        self._now = now
        self.durations: list[float] = []  # of the pipeline's earlier runs, once they were listed

    def make(
        self,
        turn: Turn,
        attempt: Attempt,
        route: Route,
        body: Body,
        until: datetime,
        current: Callable[[str], Route],
    ) -> Item:
        """Enter the turn, return the execution as `upload_and_execute` does, and leave it again.

        `until` is when this function must have ended, `current` reads a route as it is now.

        Raises RouteConflict too, and TurnLost where the route has another queue by now.
        """
        settle = lambda post: self.settle(post, attempt)  # noqa: E731 - one short line
        mark = enter_bound(self._turns, turn, attempt, route, until, current, settle)
        made = None
        try:
            made = self.upload_and_execute(turn, mark, attempt, route, body)
        finally:
            self._turns.unmark(turn, mark, attempt.execution_arn, executed=made is not None)
        return made

    def upload_and_execute(
        self, turn: Turn, mark: str, attempt: Attempt, route: Route, body: Body
    ) -> Item:
        """Return the execution that this file's Execute has made, now or in an earlier attempt.

        Raises PipelineBusy while another run may use the pipeline or the dataset, ApiUnavailable,
        ApiThrottled and SourceUnavailable where trying again may help, TurnLost, ExecuteUncertain.
        """
        queue = self._turns.state(turn.queue)
        if queue["holder"]["kills"] > MOST_KILLS:
            raise FunctionKilled(
                f"The function died {MOST_KILLS} times in a row while it uploaded {len(body):,} "
                "bytes: too little memory or time for this file. Look at its log, then redrive."
            )
        record = self._records.get(attempt.run)
        for post in _open_posts(queue.get("last_post"), record):
            self.settle(post, attempt)
            record = self._records.get(attempt.run)
        if "execution" in record:
            return dict(record["execution"])
        if "uncertain" in record:
            raise ExecuteUncertain(record["uncertain"])
        listed = self._client.list_executions(route.organisation_id, route.pipeline_id)
        _require_free(listed, route.pipeline_id)
        self.durations = durations_of(listed)
        self._client.upload_dataset(route.organisation_id, route.dataset_id, body)
        post = {
            "id": uuid.uuid4().hex,
            "run": attempt.run,
            **_ids(route),
            "after": max((execution.run_number for execution in listed), default=0),
            "at": iso(self._now()),
            "until": queue["holder"]["mark"]["until"],  # a killed function sends nothing later
            "user": self._known_user(queue),
            "granted_at": queue["holder"]["granted_at"],
            "measures": getattr(body, "measures", NOT_MEASURED),
        }
        self._turns.post(turn, mark, attempt.run, post)
        return self._execute(turn, post)

    def attach(self, route: Route, execution_id: str) -> Item:
        """Return a run that exists already. Raises NotFound."""
        listed = self._client.list_executions(route.organisation_id, route.pipeline_id)
        found = next((e for e in listed if e.id == execution_id), None)
        if found is None:
            raise NotFound(
                f"Pipeline {route.pipeline_id} has no run {execution_id!r}. Start a new execution "
                'with an "execution_id" that Quantemplate shows for this pipeline.'
            )
        return made_by(_ids(route), found)

    def _known_user(self, queue: Item) -> str | None:
        """Return the user id by which Quantemplate names us, where an earlier reply told it."""
        known = queue.get("api_user", {})
        same = known.get("client_id") == self._client.credentials.client_id
        return known["user"] if same else None

    def _execute(self, turn: Turn, post: Item) -> Item:
        """Send Execute once, and note what came of it."""
        ids = post["organisation_id"], post["pipeline_id"]
        try:
            execution = self._client.execute_pipeline(*ids)
        except ApiUnavailable as lost:
            if not lost.sent:
                self._records.not_executed(post)
                raise
            # It may have been executed: never again before the list has told.
            self._records.lost(post, iso(self._now()))
            found = runs_of(post, self._client.list_executions(*ids))
            if len(found) != 1:
                raise
            made = made_by(post, found[0])
        except StraightThroughError:
            self._records.not_executed(post)  # it was refused
            raise
        else:
            made = made_by(post, execution)
            if execution.created_by and execution.created_by != post["user"]:
                client_id = self._client.credentials.client_id
                self._turns.know_user(turn.queue, client_id, execution.created_by)
        self._records.executed(post, made)
        return made

    def settle(self, post: Item, attempt: Attempt) -> None:
        """Find out what became of the last Execute of a queue. Raises PipelineBusy.

        Only then may the next one be sent: two open ones could not be told apart.
        """
        mine = post["run"] == attempt.run
        noted = self._records.get(post["run"])
        if noted.get("posted", {}).get("id") != post["id"] or "uncertain" in noted:
            return  # it made no run, or nobody can tell
        listed = self._client.list_executions(post["organisation_id"], post["pipeline_id"])
        if "execution" in noted:
            found = [e for e in listed if e.id == noted["execution"]["execution_id"]]
        else:
            found = runs_of(post, listed)
        # Since the last moment at which it may have been sent.
        sent = noted["posted"].get("lost_at", post["until"])
        age = (self._now() - datetime.fromisoformat(sent)).total_seconds()
        whose = f"Execute of pipeline {post['pipeline_id']} at {post['at']} (run {post['run']})"
        if not found and age < self._late_list:
            raise PipelineBusy(
                f"The {whose} has shown no run in the list yet; it may still do so for "
                f"{self._late_list - age:.0f} seconds.",
                retry_after=self._late_list - age,
            )
        if not found:
            self._records.not_executed(post)
        elif len(found) > 1:
            self._records.uncertain(
                post,
                f"The reply to the {whose} was lost, and after run {post['after']} there are "
                f"{len(found)} newer runs: {', '.join(e.id for e in found)}. Look at them in "
                "Quantemplate. If one of them is this file's, start a new execution with the same "
                'input and "execution_id"; if none is, start one with the same input.',
            )
        else:
            self._records.executed(post, made_by(post, found[0]))
        if not mine:
            _require_free(found, post["pipeline_id"])


def runs_of(post: Item, listed: Sequence[Execution]) -> list[Execution]:
    """Return the runs that an Execute may have made: newer ones, made since, and by our user."""
    earliest = datetime.fromisoformat(post["at"]) - CLOCKS_DIFFER
    return [
        execution
        for execution in listed
        if execution.run_number > post["after"]
        and (moment_of(execution.created_at) or earliest) >= earliest
        and (post["user"] is None or execution.created_by in (None, post["user"]))
    ]


def made_by(ids: Item, execution: Execution) -> Item:
    """Return what a run's record keeps of its execution, with the ids of what it was made with."""
    return {
        **{field: ids[field] for field in (*FIELDS, "route")},
        "execution_id": execution.id,
        "run_number": execution.run_number,
        "created_at": execution.created_at,
        "measures": ids.get("measures", NOT_MEASURED),
        "after": ids.get("after", 0),
    }


def _ids(route: Route) -> Item:
    """Return the ids of a route, which stay with the run when the route changes."""
    return {"route": route.name} | {field: getattr(route, field) for field in FIELDS}


def _open_posts(last: Item | None, record: Item) -> list[Item]:
    """Return the queue's last POST and this run's own, if that is another."""
    posts = [last] if last else []
    own = record.get("posted")
    if own and "execution" not in record and own["id"] not in [post["id"] for post in posts]:
        posts.append(own)
    return posts


def _require_free(listed: Sequence[Execution], pipeline_id: str) -> None:
    """Raise PipelineBusy if any of the runs is going on: an upload could change its data."""
    for execution in listed:
        if not execution.ended and not execution.finished_at:
            raise PipelineBusy(
                f"Run {execution.run_number} ({execution.id}) of pipeline {pipeline_id}, made by "
                f"{execution.created_by or 'an unknown user'} at {execution.created_at}, is going "
                f"on (status {execution.status!r}). The file waits for its end."
            )
