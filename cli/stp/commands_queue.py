"""`stp queue`: who holds a turn and who waits; pause and resume."""

from typing import Annotated, Any

import typer
from rich.console import RenderableType
from typer.core import TyperGroup

from stp.here import here_of
from stp.how_long import HowLong
from stp.queues import name_files, queue_items, routes_of, set_pause, view
from stp.route_files import deployed_documents
from stp.said import UNKNOWN, Stop
from stp.shown_queues import QueueShown
from stp.stack import Stack

PATIENCE = 60.0  # seconds for an answer of Quantemplate


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
Name = Annotated[
    str,
    typer.Argument(metavar="QUEUE", help="The queue: a pipeline's id, or the name in the route."),
]


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
        if name:
            _require_known(stack, name)
            items = {name: items.get(name, {})}
        typical = HowLong(stack, lambda why: here.said.note(why, "yellow"), PATIENCE)
        found = [view(stack, queue, item, typical) for queue, item in items.items()]
        name_files(stack, found)
    shown: list[RenderableType] = [QueueShown(each) for each in found]
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
