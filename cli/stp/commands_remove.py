"""`stp remove`."""

from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError

from stp.here import here_of
from stp.removal import (
    Stopped,
    delete,
    kept,
    made_anew,
    not_started,
    require_unprotected,
    running,
    stop_all,
    stop_intake,
    told,
)
from straight_through.text import counted, shown


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("remove")(remove)


def remove(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Take the stack away, with all that runs; the buckets stay."""
    here = here_of(context)
    stack, said = here.stack, here.said
    with said.doing("Reading what there is"):
        stack_id, left = require_unprotected(stack), kept(stack)
        going = sum(1 for _ in running(stack))
    runs = counted(going, "run")
    said.note(
        f"This stops {runs} under way and deletes stack {stack.name} with its secret, table and "
        "logs. What Quantemplate has begun goes on there. The buckets and the routes stay."
    )
    if left.held:
        said.note(
            f"A gate holds outputs in s3://{left.outbox}/held/: they stay there, and stp release "
            "knows them no more."
        )
    said.confirm(f"Remove stack {stack.name}?", yes=yes)
    stopped: dict[str, Stopped] = {}
    unstarted: list[str] = []
    try:
        with said.doing("Stopping the intake"):
            stop_intake(stack)
        with said.progress("Stopping runs") as tell:
            stop_all(stack, tell, stopped)
        with said.doing("Looking for files that wait to be started"):
            unstarted = not_started(stack)
        with said.progress(f"Deleting stack {stack.name}") as tell:
            delete(stack, stack_id, tell)
    except (KeyboardInterrupt, BotoCoreError, ClientError):
        said.note(f"The intake stays stopped. Go on with: stp remove --stack {stack.name}", "red")
        raise
    groups = made_anew(stack)
    data = {
        "stack": stack.name,
        "stopped": [{"run": run, **vars(each)} for run, each in stopped.items()],
        "not_started": unstarted,
        **vars(left),
        "log_groups": groups,
    }
    lines = [f"Stopped: {run}  {shown(each.key)}{_goes_on(each)}" for run, each in stopped.items()]
    lines += [f"Never started: {shown(key)}: drop it again" for key in unstarted]
    said.result(data, *lines, f"Stack {stack.name} is gone.", *told(stack, left, groups))


def _goes_on(stopped: Stopped) -> str:
    """Say what Quantemplate still does of a stopped run: dropped again, its file would go twice."""
    if not stopped.execution_id:
        return ""
    if stopped.execution_id == "unknown":
        return "; it may have been executed: look in Quantemplate before you drop it again"
    return f"; its execution {stopped.execution_id} goes on in Quantemplate: do not drop it again"
