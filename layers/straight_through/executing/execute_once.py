"""One attempt to get a file through its pipeline: exactly one execution made, or found again.

The API has no idempotency key. So before Execute is sent its POST is noted with the highest number
that an execution ever had, and until it is known what became of the last POST nothing is uploaded.
Numbers, and who has made an execution, tell which is ours; the other side's times may only make us
wait.
"""

import itertools
import uuid
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime

from quantemplate.bodies import Body
from quantemplate.client import Quantemplate
from quantemplate.executions import Execution
from quantemplate.listing import ABOVE_ALL, Listing
from quantemplate.times import moment_of
from straight_through.attempts import Attempt
from straight_through.errors import (
    ApiUnavailable,
    ExecuteUncertain,
    FunctionKilled,
    NotFound,
    NotInSet,
    PipelineBusy,
    StraightThroughError,
)
from straight_through.executing.waits import vanished
from straight_through.files.intake import SetBody
from straight_through.moments import from_iso, iso
from straight_through.queue.bindings import Unsettled, enter_bound, forget
from straight_through.queue.items import (
    Answered,
    Holder,
    MadeExecution,
    PipelineIds,
    Post,
    QueueItem,
    RouteIds,
    RunRecord,
)
from straight_through.queue.pipelines import NONE_SEEN, Pipelines, version_before
from straight_through.queue.records import Records
from straight_through.queue.turns import Turn, Turns
from straight_through.routes import Route, Routes
from straight_through.run_state import MeasuresOfUpload
from straight_through.starting.updates import absorbed

MOST_NAMED = 10  # executions that a message names
LOOK_AGAIN = 10  # seconds
BEHIND = 3600  # seconds for which a list may be older than one that was seen
MOST_KILLS = 5  # functions in a row that died while they held a turn


class ExecuteOnce:
    """Uploads and executes, within a turn that has been entered."""

    def __init__(
        self,
        client: Quantemplate,
        turns: Turns,
        records: Records,
        late_list: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take the parts; a new execution may be missing from the list for `late_list` seconds."""
        self._client = client
        self._turns = turns
        self._records = records
        self._late_list = late_list
        self._now = now
        self._pipelines = Pipelines(turns.table)
        self.durations: Sequence[float] = ()  # of the pipeline's earlier executions, once listed
        self.uploaded = 0  # bytes

    def make(
        self,
        turn: Turn,
        attempt: Attempt,
        route: Route,
        body: Body | SetBody | None,
        until: datetime,
        routes: Routes,
    ) -> MadeExecution:
        """Enter the turn, return the execution as `upload_and_execute` does, and leave it again.

        `body` is the file, or the files of a set; None for a run without one: nothing is uploaded.
        `until` is when this function must have ended.

        Raises RouteConflict too, and TurnLost where the route has another queue by now.
        """
        while True:
            try:
                mark = enter_bound(self._turns, turn, attempt, route, until, routes)
                break
            except Unsettled as open_post:
                self.settle(open_post.post, attempt)
                forget(self._turns.table, open_post)
        made = None
        try:
            made = self.upload_and_execute(turn, mark, attempt, route, body)
        finally:
            self._turns.unmark(turn, mark, attempt.execution_arn, executed=made is not None)
        return made

    def upload_and_execute(
        self, turn: Turn, mark: str, attempt: Attempt, route: Route, body: Body | SetBody | None
    ) -> MadeExecution:
        """Return the execution that this run's Execute has made, now or in an earlier attempt.

        Raises PipelineBusy while another may use the pipeline or the dataset, ApiUnavailable,
        ApiThrottled and SourceUnavailable where trying again may help, TurnLost, ExecuteUncertain.
        """
        queue = self._turns.state(turn.queue)
        if queue["holder"]["kills"] > MOST_KILLS:
            raise FunctionKilled(
                f"The function died {MOST_KILLS} times in a row while it uploaded the file or "
                "executed the pipeline: too little memory or time for it. Look at its log, then "
                "redrive the run."
            )
        record = self._records.get(attempt.run)
        for earlier in _open_posts(queue.get("last_post"), record):
            self.settle(earlier, attempt)
            record = self._records.get(attempt.run)
        if "execution" in record:
            made = record["execution"]  # whoever noted it may not have come to this
            self._pipelines.executed(attempt.run, made)
            return made
        if "uncertain" in record:
            raise ExecuteUncertain(record["uncertain"])
        ids = _ids(route)
        known = self._pipelines.known(ids)
        seen = known["highest"] if known else None
        # Before the first execution is known, old ones need not be whole.
        listing = self._list(ids, seen, above=seen or ABOVE_ALL)
        self._require_newest(listing, seen or NONE_SEEN, queue["holder"], route.pipeline_id)
        _require_free(listing.going_on, route.pipeline_id)
        self.durations = listing.durations
        uploads = _uploads(route, body)
        # What is made of the files is made here: where one is refused, none has gone up.
        sizes = [len(part) for _, part in uploads]
        for (dataset_id, part), size in zip(uploads, sizes, strict=True):
            self._client.upload_dataset(route.organisation_id, dataset_id, part)
            self.uploaded += size
        post: Post = {
            "id": uuid.uuid4().hex,
            "run": attempt.run,
            "route": ids["route"],
            "organisation_id": ids["organisation_id"],
            "dataset_id": ids["dataset_id"],
            "pipeline_id": ids["pipeline_id"],
            "after": max(seen or NONE_SEEN, listing.highest),
            "at": iso(self._now()),
            "until": queue["holder"]["mark"]["until"],  # a killed function sends nothing later
            "user": self._known_user(queue),
            "granted_at": queue["holder"]["granted_at"],
            "measures": getattr(body, "measures", not_measured()),
            "pipeline_version_before": version_before(known, route.name, attempt.run),
        }
        takes_in = [absorbed(route.name, post["at"])] if route.when and route.when.updated else []
        self._turns.post(turn, mark, attempt.run, post, *takes_in)
        return self._execute(post)

    def attach(self, route: Route, execution_id: str) -> MadeExecution:
        """Return an execution that exists already. Raises NotFound."""
        ids = _ids(route)
        found = self._list(ids, self._pipelines.highest(ids), ours=[execution_id])
        execution = found.find(execution_id)
        if execution is None:
            raise NotFound(
                f"Pipeline {route.pipeline_id} has no execution {execution_id!r}. Start a new run "
                'with an "execution_id" that Quantemplate shows for this pipeline.'
            )
        return attached(ids, execution)

    def _list(
        self,
        ids: PipelineIds,
        seen: int | None,
        *,
        above: int = ABOVE_ALL,
        ours: Collection[str] = (),
    ) -> Listing:
        """Return what the pipeline's list shows, and keep its highest number where it is new.

        `seen` is the highest number that is known to be kept, None where there is none. Raises
        NotFound, but ApiUnavailable for a pipeline that was listed before.
        """
        try:
            listing = self._client.list_executions(
                ids["organisation_id"], ids["pipeline_id"], after=above, ours=ours
            )
        except NotFound as error:
            if seen is None:
                raise
            raise vanished(error) from None
        if seen is None or listing.highest > seen:
            self._pipelines.seen(ids, listing.highest)
        return listing

    def _require_newest(
        self, listing: Listing, seen: int, holder: Holder, pipeline_id: str
    ) -> None:
        """Raise PipelineBusy while the list is older than one before: it may hide what goes on.

        Where it stays so for an hour of this turn, numbers are counted anew there.
        """
        held = (self._now() - from_iso(holder["granted_at"])).total_seconds()
        if listing.highest < seen and held < BEHIND:
            raise PipelineBusy(
                f"The list of pipeline {pipeline_id} shows no execution above {listing.highest}, "
                f"although {seen} was seen before: it is an older copy, and may hide one that is "
                "going on. It is looked at again.",
                retry_after=LOOK_AGAIN,
            )

    def _known_user(self, queue: QueueItem) -> str | None:
        """Return the user id by which Quantemplate names us, where an earlier reply told it."""
        client_id = self._client.credentials.client_id
        before = queue.get("api_user", {})  # where release 1.0.0 has kept it
        return self._pipelines.user(client_id) or (
            before["user"] if before.get("client_id") == client_id else None
        )

    def _execute(self, post: Post) -> MadeExecution:
        """Send Execute once, and note what came of it."""
        try:
            execution = self._client.execute_pipeline(post["organisation_id"], post["pipeline_id"])
        except ApiUnavailable as lost:
            if not lost.sent:
                self._records.not_executed(post)
                raise
            return self._lost(post, lost)
        except StraightThroughError:
            self._records.not_executed(post)  # it was refused
            raise
        made = made_by(post, execution)
        if execution.number <= post["after"] or not self._records.executed(post, made):
            odd = ApiUnavailable(
                f"Execute of pipeline {post['pipeline_id']} was answered with execution "
                f"{execution.number} ({execution.id}), which is no new one: number "
                f"{post['after']} was seen before. The list is to tell what it has made."
            )
            odd.call = "execute_pipeline"
            return self._lost(post, odd, answered=execution)
        self._pipelines.executed(post["run"], made)
        if execution.created_by and execution.created_by != post["user"]:
            self._pipelines.know_user(self._client.credentials.client_id, execution.created_by)
        return made

    def _lost(
        self, post: Post, lost: ApiUnavailable, answered: Execution | None = None
    ) -> MadeExecution:
        """Return the execution that the list shows beyond doubt; raise `lost` where it does not.

        Execute may have made one: it is never sent again before the list has told.
        """
        told: Answered | None = {"id": answered.id, "number": answered.number} if answered else None
        self._records.lost(post, iso(self._now()), told)
        asked_at = self._now()
        listing = self._list(post, post["after"], above=post["after"])
        found = self._candidates(post, listing)
        if len(found) != 1 or not surely_made(post, found[0], listing, asked_at):
            raise lost
        made = made_by(post, found[0])
        if not self._records.executed(post, made):
            raise lost
        return made

    def settle(self, post: Post, attempt: Attempt) -> None:
        """Find out what became of the last Execute of a queue. Raises PipelineBusy.

        Only then may the next one be sent: two open ones could not be told apart.
        """
        mine = post["run"] == attempt.run
        noted = self._records.get(post["run"])
        if noted.get("posted", {}).get("id") != post["id"] or "uncertain" in noted:
            return  # it made no execution, or nobody can tell
        known = noted["execution"]["execution_id"] if "execution" in noted else None
        asked_at = self._now()
        listing = self._list(
            post, post["after"], above=post["after"], ours=[known] if known else ()
        )
        if known:
            found = [each for each in [listing.find(known)] if each]
        else:
            found = self._candidates(post, listing)
        # Since the last moment at which it may have been sent.
        sent = noted["posted"].get("lost_at", post["until"])
        left = self._late_list - (self._now() - from_iso(sent)).total_seconds()
        whose = f"Execute of pipeline {post['pipeline_id']} at {post['at']} (run {post['run']})"
        if not found and left > 0:
            raise PipelineBusy(
                f"The {whose} has shown no execution in the list yet; it may still do so for "
                f"{left:.0f} s.",
                retry_after=left,
            )
        if known:
            pass
        elif not found:
            self._made_nothing(post, whose, noted["posted"].get("answered"), listing, left)
        elif len(found) > 1:
            self._records.uncertain(post, _several(post, whose, found))
        elif left > 0 and not surely_made(post, found[0], listing, asked_at):
            raise PipelineBusy(
                f"Execution {found[0].number} ({found[0].id}) may be what the {whose} has made: "
                f"its reply was lost, and its own time ({found[0].created_at or 'none'}) does not "
                f"tell. If no other shows for {left:.0f} s, it is taken for it.",
                retry_after=left,
            )
        elif not self._records.executed(post, made_by(post, found[0])):
            raise PipelineBusy(
                f"Execution {found[0].number} ({found[0].id}) was taken by another run meanwhile. "
                "The list is looked at once more.",
                retry_after=LOOK_AGAIN,
            )
        if not mine:
            _require_free([each for each in found if each.goes_on], post["pipeline_id"])

    def _made_nothing(
        self, post: Post, whose: str, answered: Answered | None, listing: Listing, left: float
    ) -> None:
        """Note that no new execution has shown, which says that none was made, with two exceptions.

        Where a reply told one, or the list stays behind what was seen, a person has to look, and
        numbers count from there: else each next file met the same. `left` is minus the seconds
        since the list should show one. Raises PipelineBusy while the list may be an older copy.
        """
        seen = self._pipelines.highest(post) or NONE_SEEN
        if answered:
            why = (
                f"The {whose} was answered with execution {answered['number']} ({answered['id']}), "
                f"which is no new one: number {post['after']} was seen before, and the list shows "
                "no newer. Look at it in Quantemplate."
            )
        elif listing.highest < seen:
            why = (
                f"The reply to the {whose} was lost, and the list shows no execution above "
                f"{listing.highest}, although {seen} was seen before. Look in Quantemplate for a "
                "newer one."
            )
            if left > -BEHIND:
                raise PipelineBusy(f"{why} The list is looked at again.", retry_after=LOOK_AGAIN)
        else:
            self._records.not_executed(post)
            return
        self._records.uncertain(
            post,
            f"{why} If it is this run's, start a new run with the same input and "
            '"execution_id"; if it is not, start one with the same input.',
        )
        number = answered["number"] if answered else NONE_SEEN
        self._pipelines.count_anew(post, max(number, listing.highest))

    def _candidates(self, post: Post, listing: Listing) -> list[Execution]:
        """Return the first of the executions that an Execute may have made."""
        mine = (
            execution
            for execution in possible(post, listing)
            if self._pipelines.claimed_by(post, execution.id) in (None, post["id"])
        )
        return list(itertools.islice(mine, MOST_NAMED))


def possible(post: Post, listing: Listing) -> list[Execution]:
    """Return the executions above the highest number seen before the POST, by our user."""
    found = (
        execution
        for execution in listing.above(post["after"])
        if post["user"] is None or execution.created_by in (None, post["user"])
    )
    return sorted(found, key=lambda execution: execution.number)


def surely_made(post: Post, execution: Execution, listing: Listing, asked_at: datetime) -> bool:
    """Whether an execution was made after the POST by our own clock, as far as theirs can tell.

    `asked_at` is when the listing was asked for, which has the server's time at its answer.
    """
    made = moment_of(execution.created_at)
    if made is None or listing.date is None:
        return False
    return made + (asked_at - listing.date) >= from_iso(post["at"])


def made_by(post: Post, execution: Execution) -> MadeExecution:
    """Return what a run's record keeps of the execution that its Execute has made."""
    return {
        **attached(post, execution),
        "executed_at": post["at"],
        "measures": post["measures"],
        "after": post["after"],
        "pipeline_version_before": post.get("pipeline_version_before"),
    }


def not_measured() -> MeasuresOfUpload:
    """Return the measures of what nobody has measured."""
    return {"sha256": None, "rows": None}


def attached(ids: RouteIds, execution: Execution) -> MadeExecution:
    """Return what a run's record keeps of an execution that somebody else has made."""
    return {
        "route": ids["route"],
        "organisation_id": ids["organisation_id"],
        "dataset_id": ids["dataset_id"],
        "pipeline_id": ids["pipeline_id"],
        "execution_id": execution.id,
        "run_number": execution.number,
        "created_at": execution.created_at,
        "executed_at": None,
        "measures": not_measured(),
        "after": 0,
        "pipeline_version": execution.pipeline_version,
        "pipeline_version_before": None,
    }


def _ids(route: Route) -> RouteIds:
    """Return the ids of a route, which stay with the run when the route changes."""
    return {
        "route": route.name,
        "organisation_id": route.organisation_id,
        "dataset_id": route.dataset_id,
        "pipeline_id": route.pipeline_id,
    }


def _uploads(route: Route, body: Body | SetBody | None) -> Sequence[tuple[str, Body]]:
    """Return what goes up, each with its dataset: a file, all files of a set, or nothing.

    Raises NotInSet where the route has lost a dataset of the set: its queue is not bound to it; and
    where it takes sets by now, but this file is of none.
    """
    if isinstance(body, SetBody):
        if not {dataset for dataset, _ in body.uploads} <= {*route.datasets}:
            raise NotInSet(
                f"Route {route.name!r} has other members by now than when its set was claimed: "
                "nothing was uploaded. Start a new run with the same input."
            )
        return body.uploads
    if body is not None and not route.dataset_id:
        raise NotInSet(
            f"Route {route.name!r} has other fields by now than when this file was checked, and "
            "no dataset for it alone: nothing was uploaded. Start a new run with the same input."
        )
    return [(route.dataset_id, body)] if body is not None and route.dataset_id else []


def _open_posts(last: Post | None, record: RunRecord) -> list[Post]:
    """Return the queue's last POST and this run's own, if that is another."""
    posts = [last] if last else []
    own = record.get("posted")
    if own and "execution" not in record and own["id"] not in [post["id"] for post in posts]:
        posts.append(own)
    return posts


def _several(post: Post, whose: str, found: Sequence[Execution]) -> str:
    """Say that several executions may be an Execute's, and what to do."""
    return (
        f"The reply to the {whose} was lost, and after execution {post['after']} there are "
        f"{len(found)} newer ones: {', '.join(e.id for e in found)}. Look at them in "
        "Quantemplate. If one of them is this run's, start a new run with the same "
        'input and "execution_id"; if none is, start one with the same input.'
    )


def _require_free(going_on: Sequence[Execution], pipeline_id: str) -> None:
    """Raise PipelineBusy if there is an execution that goes on: an upload could change its data."""
    for execution in going_on:
        raise PipelineBusy(
            f"Execution {execution.number} ({execution.id}) of pipeline {pipeline_id}, made by "
            f"{execution.created_by or 'an unknown user'} at "
            f"{execution.created_at or 'an unknown time'}, is going on (status "
            f"{execution.status!r}). The run waits for its end."
        )
