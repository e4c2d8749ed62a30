"""A dataset and a pipeline belong to one queue: whoever enters a turn binds them to it."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import cast

from straight_through.attempts import Attempt
from straight_through.errors import (
    NoRoute,
    PipelineBusy,
    RouteConflict,
    RouteInvalid,
    TurnLost,
)
from straight_through.queue.items import Binding, Post
from straight_through.queue.table import Key, Refused, Table, Write, check, update
from straight_through.queue.turns import Turn, Turns, queue_key
from straight_through.routes import Route, Routes

WAITED_FOR = "waited for"  # how a route uses a dataset that it does not upload to
LOOK_AGAIN = 10  # seconds until a queue that is about to lose a dataset is looked at again


class Unsettled(Exception):
    """A queue that a route has left has a last POST, and perhaps nobody takes turns there again."""

    def __init__(self, queue: str, post: Post) -> None:
        """Keep both: whoever asks Quantemplate finds out what became of it."""
        super().__init__(f"The last POST of queue {queue} is open.")
        self.queue = queue
        self.post = post


def binding_key(kind: str, organisation_id: str, bound_id: str) -> Key:
    """Return the key of a dataset's or a pipeline's binding."""
    return f"{kind}#{organisation_id}/{bound_id}", "binding"


def bindings(route: Route) -> list[Write]:
    """Return the writes that bind the route's datasets and pipeline to its queue.

    A dataset is uploaded to, or waited for, and never both: an event does not say whose update it
    was, so that our own uploads would be taken for others'.
    """
    return [_bind(key, route) for key in _keys(route)]


def _bind(key: Key, route: Route) -> Write:
    """Return the write that binds one of them."""
    mine = "attribute_not_exists(#queue) OR (#queue = :queue AND {})"
    names = {"queue": route.queue, "route": route.name}
    if _is_waited_for(key, route):
        change = "SET #queue = :queue, #route = :route, #use = :use"
        return update(key, change, mine.format("#use = :use"), **names, use=WAITED_FOR)
    change = "SET #queue = :queue, #route = :route"
    return update(key, change, mine.format("attribute_not_exists(#use)"), **names)


def enter_bound(
    turns: Turns,
    turn: Turn,
    attempt: Attempt,
    route: Route,
    until: datetime,
    routes: Routes,
) -> str:
    """Enter the turn and bind what the route uses to its queue; return the mark's id.

    Raises TurnLost, also where the route has another queue by now; PipelineBusy, RouteConflict; and
    Unsettled, after which it is called again.
    """
    if route.queue != turn.queue:
        turns.pass_on(turn.queue, attempt.execution_arn, attempt.redrive_count)
        raise TurnLost(f"The route {route.name!r} has left queue {turn.queue} for {route.queue}.")
    while True:
        try:
            return turns.enter(turn, attempt, until, *bindings(route))
        except Refused as refused:
            unbind_stale(turns.table, route, refused, routes)


def unbind_stale(table: Table, route: Route, refused: Refused, routes: Routes) -> None:
    """Take what refused to be bound from a queue whose route no longer uses it.

    Raises RouteConflict where it does, and PipelineBusy while that queue's last run may go on.
    """
    for key, binding in zip(_keys(route), refused.items, strict=True):
        if binding:
            _unbind(table, route, key, cast("Binding", binding), routes)


def _unbind(table: Table, route: Route, key: Key, binding: Binding, routes: Routes) -> None:
    """Take one of them from the queue that it is bound to, as `unbind_stale` does."""
    if _still_used(binding, key, routes):
        raise RouteConflict(_conflict(route, binding, key))
    use = _is_waited_for(key, route)
    values = {"queue": route.queue, "route": route.name, "stale": binding["route"]}
    rebound = update(
        key,
        "SET #queue = :queue, #route = :route" + (", #use = :use" if use else " REMOVE #use"),
        "#queue = :from AND #route = :stale",
        **values,
        **({"use": WAITED_FOR} if use else {}),
        **{"from": binding["queue"]},
    )
    free = check(
        queue_key(binding["queue"]),
        "attribute_not_exists(#holder) AND attribute_not_exists(#last_post)",
    )
    # In our own queue nobody else is at work: the turn is ours.
    writes = [rebound] if binding["queue"] == route.queue else [free, rebound]
    try:
        table.together(*writes)
    except Refused as refusal:
        left = refusal.items[0] if len(writes) > 1 else None
        if left is None:
            return  # somebody else has bound it meanwhile: the caller sees to whom
        if "holder" not in left:
            # Nobody may ever take a turn there again, who would find out what it has made.
            raise Unsettled(binding["queue"], left["last_post"]) from None
        raise PipelineBusy(
            f"{key[0].replace('#', ' ', 1)} is still in use in queue {binding['queue']!r}, "
            f"which route {route.name!r} has left. The run waits until it is free.",
            retry_after=LOOK_AGAIN,
        ) from None


def _conflict(route: Route, binding: Binding, key: Key) -> str:
    """Say which two routes use what, and what to do."""
    what = key[0].replace("#", " ", 1)
    if _is_waited_for(key, route) != ("use" in binding):
        waits, uploads = route.name, binding["route"]
        if "use" in binding:
            waits, uploads = uploads, waits
        return (
            f"Route {waits!r} waits for updates of {what}, and route {uploads!r} uploads to it: "
            "our own uploads would be taken for others' updates. Let the one follow the other by "
            '"then", or take the dataset out of "when"; then redrive the run.'
        )
    return (
        f"Route {route.name!r} (queue {route.queue!r}) and route {binding['route']!r} "
        f"(queue {binding['queue']!r}) both use {what}. Files of two queues would mix "
        'there: give both routes the same "queue", or one of them another dataset and '
        "pipeline; then redrive the run."
    )


def forget(table: Table, unsettled: "Unsettled") -> None:
    """Take a queue's last POST away, once it is known what became of it."""
    with suppress(Refused):  # somebody takes turns there again
        table.update(
            queue_key(unsettled.queue),
            "REMOVE #last_post",
            "#last_post.#id = :id",
            id=unsettled.post["id"],
        )


def _keys(route: Route) -> list[Key]:
    """Return the keys of what the route uses."""
    datasets = [*route.datasets, *_waited_for(route)]
    return [
        *(binding_key("dataset", route.organisation_id, dataset) for dataset in datasets),
        binding_key("pipeline", route.organisation_id, route.pipeline_id),
    ]


def _waited_for(route: Route) -> Sequence[str]:
    """Return the datasets whose updates start the route's runs."""
    return route.when.updated if route.when else ()


def _is_waited_for(key: Key, route: Route) -> bool:
    """Whether what the route uses is a dataset that it waits for."""
    return any(
        key == binding_key("dataset", route.organisation_id, dataset)
        for dataset in _waited_for(route)
    )


def _still_used(binding: Binding, key: Key, routes: Routes) -> bool:
    """Whether the route that a binding names still uses what is bound, so, in the same queue."""
    try:
        route = routes.named(binding["route"])
    except (NoRoute, RouteInvalid):
        return False
    so = _is_waited_for(key, route) == ("use" in binding)
    return key in _keys(route) and so and route.queue == binding["queue"]
