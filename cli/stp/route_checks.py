"""Whether routes are sound: each by itself, with each other, and for Quantemplate."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from quantemplate.client import Quantemplate
from stp.route_files import LARGEST, Document
from straight_through.errors import (
    AccessDenied,
    NotFound,
    OutputIncomplete,
    RouteInvalid,
    StraightThroughError,
)
from straight_through.expecting.calendar import require_known
from straight_through.publishing.chain import starts_inside
from straight_through.routes import Route, parse_route, routable_folders
from straight_through.starting.ticks import next_of

ERROR, WARNING, HINT = "error", "warning", "hint"


@dataclass(frozen=True)
class Problem:
    """What is wrong with a route, or worth knowing."""

    level: str
    route: str
    text: str


def problems_of(
    documents: Mapping[str, Document], prefix: str = "", *, takes_events: bool = True
) -> list[Problem]:
    """Return the problems of routes that are to be deployed together.

    `prefix` is how the keys of the inbox begin that the stack takes; `takes_events`, whether it
    takes those of Quantemplate.
    """
    found: list[Problem] = []
    routes: dict[str, Route] = {}
    for name, document in documents.items():
        try:
            routes[name] = route_of(document)
        except RouteInvalid as error:
            found.append(Problem(ERROR, name, str(error)))
    found += shared(routes)
    found += waited_for(routes)
    found += [] if takes_events else unheard(routes)
    found += schedules(routes)
    found += expectations(routes)
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
            for each in route.datasets if field == "dataset_id" else (route.pipeline_id,):
                users[each].append(route)
        for what, sharing in users.items():
            if len({route.queue for route in sharing}) > 1:
                names = ", ".join(f"{r.name} (queue {r.queue})" for r in sharing)
                for route in sharing:
                    text = (
                        f"{field} {what} is used from different queues: {names}. The second run "
                        'would end as RouteConflict. Give the routes one "queue", or other ids.'
                    )
                    yield Problem(ERROR, route.name, text)


def waited_for(routes: Mapping[str, Route]) -> Iterator[Problem]:
    """Find datasets whose updates start runs, and that a route uploads to or another queue has."""
    uploaded = {(r.organisation_id, each): r for r in routes.values() for each in r.datasets}
    waiting: dict[tuple[str, str], Route] = {}
    for route in routes.values():
        for dataset in route.when.updated if route.when else ():
            key = (route.organisation_id, dataset)
            if key in uploaded:
                text = (
                    f'"when" waits for updates of {dataset}, which route {uploaded[key].name} '
                    "uploads to: our own uploads would be taken for others'. Its runs would end as "
                    'RouteConflict. Let the one follow the other by "then".'
                )
                yield Problem(ERROR, route.name, text)
            other = waiting.setdefault(key, route)
            if other.queue != route.queue:
                text = (
                    f'"when" waits for updates of {dataset}, as route {other.name} of another '
                    f"queue ({other.queue}) does. The second run would end as RouteConflict. Give "
                    'both routes one "queue".'
                )
                yield Problem(ERROR, route.name, text)


def unheard(routes: Mapping[str, Route]) -> Iterator[Problem]:
    """Find routes that wait for updates, of which nobody tells a stack that takes no events."""
    for route in routes.values():
        if route.when and route.when.updated:
            text = (
                '"when" waits for updates, and the stack takes no events that tell of them: none '
                "will start a run. Deploy it with QuantemplateEvents=on (docs/events.md)."
            )
            yield Problem(WARNING, route.name, text)


def schedules(routes: Mapping[str, Route]) -> Iterator[Problem]:
    """Find schedules that are none, or that never come."""
    for route in routes.values():
        if route.when and route.when.at:
            try:
                moment = next_of(route.when, datetime.now(UTC))
            except RouteInvalid as error:
                yield Problem(ERROR, route.name, f'"when": {error}')
                continue
            if moment is None:
                yield Problem(ERROR, route.name, f'"when": {route.when.at!r} never comes.')


def expectations(routes: Mapping[str, Route]) -> Iterator[Problem]:
    """Find what is expected by a zone or by holidays that nobody knows."""
    for route in routes.values():
        if route.expect:
            try:
                require_known(route.expect)
            except RouteInvalid as error:
                yield Problem(ERROR, route.name, f'"expect": {error}')


def chains(routes: Mapping[str, Route], known: Iterable[str]) -> Iterator[Problem]:
    """Find links to routes that do not exist, and chains that go round for ever."""
    names = set(known)
    for route in routes.values():
        for link in route.then:
            if link.route not in names:
                text = f'"then" leads to {link.route}, which is no route. Add it or take it out.'
                yield Problem(ERROR, route.name, text)
            elif link.route in routes and not routes[link.route].datasets:
                text = (
                    f'"then" leads to {link.route}, which has no dataset_id and takes no file. '
                    "Take the link out, or give that route a dataset_id."
                )
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
    """Ask Quantemplate for the route's pipeline and datasets; nothing is changed there.

    What the API user may not see is a warning too: a run then lacks its data, and may succeed.
    """
    found = []
    ids = [route.pipeline_id, *route.datasets]
    ids += route.when.updated if route.when else ()
    for each in ids:
        try:
            if each == route.pipeline_id:
                client.list_executions(route.organisation_id, route.pipeline_id)
            else:
                with client.download_dataset(route.organisation_id, each) as download:
                    download.read(1)
        except OutputIncomplete:
            continue  # a dataset that has no data yet is reachable all the same
        except StraightThroughError as error:
            found.append(Problem(ERROR, route.name, f"{type(error).__name__}: {error}"))
            if isinstance(error, AccessDenied | NotFound):
                found.append(Problem(WARNING, route.name, unseen(each)))
    return found


def unseen(what: str) -> str:
    """Say what it means that the API user does not see a dataset or a pipeline."""
    return (
        f"{what} is not visible to the API user. Quantemplate hides from an execution what its "
        "user may not see, so that a run may lack data and succeed: share it with the API user, "
        "and with the whole organisation if its events are to come."
    )
