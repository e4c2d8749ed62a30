"""`stp queue`: who holds a turn and who waits; pause and resume."""

import statistics
from typing import Annotated, Any

import typer
from botocore.exceptions import ClientError
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from stp.here import Here, here_of
from stp.moments import ago, duration, local
from stp.queues import Typical, queue_items, routes_of, set_pause, view
from stp.route_files import deployed_documents
from stp.said import UNKNOWN, Stop
from stp.stack import Stack
from straight_through.errors import StraightThroughError
from straight_through.routes import Route
from straight_through.text import shown


class NamedToo(TyperGroup):
    """Takes a queue's name where a command may stand."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["--queue", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=NamedToo, help="Queues: who holds a turn, who waits, since when, how long still."
)
Name = Annotated[str, typer.Argument(help="The queue: a pipeline's id, or the name in the route.")]


@app.callback(invoke_without_command=True)
def queues(
    context: typer.Context,
    name: Annotated[str, typer.Option("--queue", help="Only this one: also stp queue NAME.")] = "",
) -> None:
    """Show who holds each queue's turn and who waits."""
    if context.invoked_subcommand:
        return
    here = here_of(context)
    stack = here.stack
    with here.said.doing("Reading the queues"):
        items = queue_items(stack)
        routes = routes_of(deployed_documents(stack))
        if name:
            _require_known(stack, name)
            items = {name: items.get(name, {})}
        typical = _typical(here, stack, routes)
        found = [view(stack, queue, item, typical) for queue, item in items.items()]
    shown: list[RenderableType] = [_shown(each) for each in found]
    if not found:
        shown = ["No queue was used yet: no file has asked for a turn. stp drop FILE"]
    here.said.result(found, *shown)


@app.command()
def pause(
    context: typer.Context,
    queue: Name,
    reason: Annotated[str, typer.Option(help="Why, for those who see it.")] = "by hand",
) -> None:
    """Let no further file of a queue begin; a run that goes on comes to its end."""
    here = here_of(context)
    stack = here.stack
    with here.said.doing(f"Pausing {queue}"):
        _require_known(stack, queue)
        state = set_pause(stack, queue, reason)
    holder = f"Run {state['holder']} holds the turn and goes on. " if state["holder"] else ""
    here.said.result(
        state, f"Queue {queue} is paused. {holder}Let it go on: stp queue resume {queue}"
    )


@app.command()
def resume(context: typer.Context, queue: Name) -> None:
    """Let the files of a queue go on."""
    here = here_of(context)
    stack = here.stack
    with here.said.doing(f"Resuming {queue}"):
        _require_known(stack, queue)
        state = set_pause(stack, queue, None)
    holder = f"Run {state['holder']} has the turn." if state["holder"] else "Nobody waits."
    here.said.result(state, f"Queue {queue} goes on. {holder}")


def _require_known(stack: Stack, queue: str) -> None:
    """Raise Stop for a queue that nobody uses: a pause of it would do nothing."""
    routes = routes_of(deployed_documents(stack)).values()
    known = set(queue_items(stack)) | {route.queue for route in routes}
    if queue not in known:
        names = ", ".join(sorted(known)) or "none yet"
        raise Stop(f"There is no queue {queue!r}; there are {names}.", UNKNOWN)


def _typical(here: Here, stack: Stack, routes: dict[str, Route]) -> Typical:
    """Return what knows how long a route's runs take, by asking Quantemplate once for each."""
    known: dict[str, float | None] = {}
    told: list[str] = []

    def typical(name: str) -> float | None:
        if name not in routes:
            return None
        route = routes[name]
        if route.pipeline_id not in known:
            known[route.pipeline_id] = None
            try:
                listed = stack.quantemplate.list_executions(
                    route.organisation_id, route.pipeline_id
                )
                if listed.durations:
                    known[route.pipeline_id] = statistics.median(listed.durations)
            except (StraightThroughError, ClientError) as error:
                if not told:
                    here.said.note(f"How long it still takes is not known: {error}", "yellow")
                told.append(name)
        return known[route.pipeline_id]

    return typical


def _shown(queue: dict[str, Any]) -> RenderableType:
    """Return a queue as people see it."""
    table = Table.grid(padding=(0, 2))
    table.title, table.title_justify, table.title_style = f"queue {queue['queue']}", "left", "bold"
    if paused := queue["paused"]:
        what = f"‖ paused since {local(paused['since'])}"
        table.add_row(Text(what, "yellow"), Text(shown(paused["reason"])))
        table.add_row("", Text(f"stp queue resume {queue['queue']}"))
    if holder := queue["holder"]:
        since = f"since {local(holder['since'])} ({duration(ago(holder['since']))})"
        left = f"still about {duration(holder['left_seconds'])}"
        if holder["left_seconds"] is None:
            left = "how long still is not known"
        elif not holder["left_seconds"]:
            left = f"longer than the usual {duration(holder['usually_seconds'])}"
        table.add_row(Text("● holds the turn", "cyan"), Text(holder["run"]), since, left)
    else:
        table.add_row(Text("nobody holds the turn", "dim"))
    for each in queue["waiting"]:
        since = f"since {local(each['since'])} ({duration(ago(each['since']))})"
        known = each["wait_seconds"] is not None
        left = f"its turn in about {duration(each['wait_seconds'])}" if known else ""
        table.add_row(f"{each['place']}. waits", Text(each["run"]), since, left)
    return table
