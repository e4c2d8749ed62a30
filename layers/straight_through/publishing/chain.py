"""The next stages of a chain: outputs that are dropped into other routes' folders of the inbox."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from straight_through.buckets.outbox_refusals import refusals_at
from straight_through.buckets.s3_objects import copy_if_absent
from straight_through.errors import ChainCycle, NoRoute, RouteInvalid
from straight_through.names import LONGEST_LINEAGE, chained_key, quoted
from straight_through.routes import Route, Routes
from straight_through.run_state import Chained, RunState, inbox_of, key_of, named_key, stored
from straight_through.selection import matches

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def path_of(state: RunState) -> list[str]:
    """Return the routes that a run's file has come through before."""
    parent = state["source"]["parent"] if state["source"] else None
    return list(parent["path"]) if parent else []


def require_no_cycle(route: Route, path: Sequence[str], routes: Routes) -> None:
    """Follow the chain from a route to its ends, before it is entered. Raises ChainCycle, NoRoute,
    and RouteInvalid where it leads to a route that takes no file.

    `path` names the routes that the file has come through before.
    """
    here = [*path, route.name]
    for link in route.then:
        if link.route in here:
            hops = " → ".join([*here, link.route])
            raise ChainCycle(
                f"The chain would go round for ever: {hops}. Nothing was chained or exported. "
                'Take one of these links out of its route\'s "then", then redrive the run.'
            )
        try:
            following = routes.named(link.route)
        except NoRoute:
            raise NoRoute(
                f"Route {route.name!r} chains on to {link.route!r}, which has no route. Add it, or "
                'take the link out of "then"; then redrive the run. Nothing was chained or '
                "exported."
            ) from None
        if not following.datasets:
            raise RouteInvalid(
                f"Route {route.name!r} chains on to {link.route!r}, which has no dataset_id and "
                'takes no file. Take the link out of "then", or give that route a dataset_id; then '
                "redrive the run. Nothing was chained or exported."
            )
        require_no_cycle(following, here, routes)


def require_inside(route: Route, prefix: str) -> None:
    """Raise RouteInvalid where a route chains on to keys of the inbox that start nothing.

    `prefix` is how the keys begin that the stack takes.
    """
    for link in route.then:
        if not starts_inside(link.route, prefix):
            raise RouteInvalid(
                f"Route {route.name!r} chains on to {link.route!r}, and of the inbox only keys "
                f"that begin with {prefix!r} (InboxPrefix) start a run. Nothing was chained or "
                "exported. Name a route below it, or widen the stack's parameter; then redrive the "
                "run."
            )


def starts_inside(route: str, prefix: str) -> bool:
    """Whether whatever lies in a route's folder begins with the inbox's prefix."""
    return f"{route}/".startswith(prefix)


def _joined(path: Sequence[str]) -> str:
    """Return a path as metadata can hold it; of a long one the routes that were gone through last.

    A cycle is found without the others too, since the chain is followed to its ends.
    """
    joined = ",".join(path)
    while len(joined) > LONGEST_LINEAGE and "," in joined:
        joined = joined.partition(",")[2]
    return joined


def chain_on(s3: "S3Client", outbox: str, state: RunState, route: Route) -> list[Chained]:
    """Drop the outputs that the route chains on into the inbox; return where.

    The key is fixed by run and output, and written only if it does not exist: repeated, it starts
    nothing more.
    """
    dropped: list[Chained] = []
    path = [*path_of(state), route.name]
    for link in route.then:
        for output in stored(state):
            if not matches(output["name"], (link.output,)):
                continue
            file_name = output["key"].rpartition("/")[2]
            key = chained_key(
                link.route, named_key(route.name, state["source"]), file_name, state["run"]
            )
            lineage = {
                "parent-run": state["run"],
                "parent-key": quoted(key_of(state) or ""),
                "parent-output": quoted(output["name"]),
                "path": _joined(path),
            }
            inbox = inbox_of(state)
            with refusals_at(inbox, key):
                copy_if_absent(s3, (outbox, output["key"]), (inbox, key), lineage)
            dropped.append({"route": link.route, "output": output["name"], "key": key})
    return dropped
