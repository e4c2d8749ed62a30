"""Whether routes are sound: each by itself, with each other, and for Quantemplate."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from quantemplate.client import Quantemplate
from stp.route_files import LARGEST, Document
from straight_through.errors import OutputIncomplete, RouteInvalid, StraightThroughError
from straight_through.publishing.chain import starts_inside
from straight_through.routes import Route, parse_route, routable_folders

ERROR, WARNING, HINT = "error", "warning", "hint"


@dataclass(frozen=True)
class Problem:
    """What is wrong with a route, or worth knowing."""

    level: str
    route: str
    text: str


def problems_of(documents: Mapping[str, Document], prefix: str = "") -> list[Problem]:
    """Return the problems of routes that are to be deployed together.

    `prefix` is how the keys of the inbox begin that the stack takes.
    """
    found: list[Problem] = []
    routes: dict[str, Route] = {}
    for name, document in documents.items():
        try:
            routes[name] = route_of(document)
        except RouteInvalid as error:
            found.append(Problem(ERROR, name, str(error)))
    found += shared(routes)
    found += chains(routes, documents)
    found += inside(routes)
    found += unreached(routes, prefix)
    return found


def route_of(document: Document) -> Route:
    """Return the route of a document. Raises RouteInvalid."""
    name = document.route
    if document.trouble:
        raise RouteInvalid(f"{document.where}: {document.trouble}")
    if routable_folders(f"{name}/")[-1:] != [name]:
        raise RouteInvalid(
            f"{name!r} is no folder that can have a route: at most ten deep, and of letters, "
            "digits, '.', '_' and '-'. Rename the file."
        )
    size = len(document.text.encode())
    if size > LARGEST:
        raise RouteInvalid(
            f"The document has {size:,} bytes; a parameter holds {LARGEST:,}. Shorten it."
        )
    return parse_route(name, document.text)


def shared(routes: Mapping[str, Route]) -> Iterator[Problem]:
    """Find datasets and pipelines that routes of different queues share."""
    for field in ("dataset_id", "pipeline_id"):
        users = defaultdict(list)
        for route in routes.values():
            users[getattr(route, field)].append(route)
        for what, sharing in users.items():
            if len({route.queue for route in sharing}) > 1:
                names = ", ".join(f"{r.name} (queue {r.queue})" for r in sharing)
                for route in sharing:
                    text = (
                        f"{field} {what} is used from different queues: {names}. The second run "
                        'would end as RouteConflict. Give the routes one "queue", or other ids.'
                    )
                    yield Problem(ERROR, route.name, text)


def chains(routes: Mapping[str, Route], known: Iterable[str]) -> Iterator[Problem]:
    """Find links to routes that do not exist, and chains that go round for ever."""
    names = set(known)
    for route in routes.values():
        for link in route.then:
            if link.route not in names:
                text = f'"then" leads to {link.route}, which is no route. Add it or take it out.'
                yield Problem(ERROR, route.name, text)
        cycle = cycle_from(route.name, routes)
        if cycle:
            text = f'"then" goes round for ever: {" → ".join(cycle)}. Take one of the links out.'
            yield Problem(ERROR, route.name, text)


def cycle_from(name: str, routes: Mapping[str, Route]) -> list[str]:
    """Return a way through the chain from a route back to itself, empty if there is none."""
    ways, seen = [[name]], set()
    while ways:
        way = ways.pop()
        for link in routes[way[-1]].then if way[-1] in routes else ():
            if link.route == name:
                return [*way, name]
            if link.route not in seen:
                seen.add(link.route)
                ways.append([*way, link.route])
    return []


def inside(routes: Mapping[str, Route]) -> Iterator[Problem]:
    """Find routes inside the folder of another."""
    for name in routes:
        above = [folder for folder in routable_folders(f"{name}/")[:-1] if folder in routes]
        if above:
            text = f"lies inside route {above[-1]}, which does not get the files of this folder."
            yield Problem(HINT, name, text)


def unreached(routes: Mapping[str, Route], prefix: str) -> Iterator[Problem]:
    """Find routes, and links to them, whose keys the stack does not take."""
    taken = f"The stack takes keys that begin with {prefix!r} alone (InboxPrefix)"
    for name, route in routes.items():
        if not (starts_inside(name, prefix) or prefix.startswith(f"{name}/")):
            yield Problem(
                WARNING, name, f"{taken}: what is dropped into this folder starts nothing."
            )
        for link in route.then:
            if not starts_inside(link.route, prefix):
                text = f'{taken}: "then" leads to {link.route}, where nothing would start.'
                yield Problem(ERROR, name, text)


def online(client: Quantemplate, route: Route) -> list[Problem]:
    """Ask Quantemplate for the route's pipeline and dataset; nothing is changed there."""
    found = []
    for field in ("pipeline_id", "dataset_id"):
        try:
            if field == "pipeline_id":
                client.list_executions(route.organisation_id, route.pipeline_id)
            else:
                with client.download_dataset(route.organisation_id, route.dataset_id) as download:
                    download.read(1)
        except OutputIncomplete:
            continue  # a dataset that has no data yet is reachable all the same
        except StraightThroughError as error:
            found.append(Problem(ERROR, route.name, f"{type(error).__name__}: {error}"))
    return found
