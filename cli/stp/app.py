"""The commands of `stp`, and how they end."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError
from typer.core import TyperGroup

from quantemplate import __version__
from stp import (
    commands_drop,
    commands_events,
    commands_expected,
    commands_logs,
    commands_queue,
    commands_remove,
    commands_replay,
    commands_rerun,
    commands_routes,
    commands_runs,
    commands_sets,
    commands_when,
)
from stp.here import Here
from stp.said import (
    FAILED,
    INTERRUPTED,
    NO_STACK,
    NOT_NOW,
    OK,
    PipeClosed,
    Said,
    Stop,
    as_json,
    going_on,
)
from stp.stack import trouble_with_aws
from straight_through.errors import AwsDenied, AwsUnavailable, StraightThroughError

WITH_VALUE = ("--stack", "--profile", "--region")
EVERYWHERE = (
    "Every command also takes: --json, --stack NAME, --profile NAME, --region NAME. Times are "
    "those of this machine's time zone."
)

GOES_ON = "What has begun in AWS goes on without this: stp runs"


@contextmanager
def _ends() -> Iterator[None]:
    """Give Ctrl-C and a closed pipe their meaning before Typer does. Raises Stop, PipeClosed."""
    try:
        with going_on(GOES_ON):
            yield
    except BrokenPipeError:
        raise PipeClosed from None


class Commands(TyperGroup):
    """All commands."""

    def make_context(self, *given: Any, **options: Any) -> Any:
        """Read the command line; that may print the help, too."""
        with _ends():
            return super().make_context(*given, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        with _ends():
            return super().invoke(ctx)


app = typer.Typer(
    name="stp",
    cls=Commands,
    help="Straight-Through Processing: drop files, see their runs, mend what went wrong.",
    epilog=EVERYWHERE,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _told_version(wanted: bool) -> None:  # noqa: FBT001 - as typer calls it
    """Print the version and end, where it is asked for."""
    if wanted:
        sys.stdout.write(f"straight-through {__version__}\n")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Print results as JSON.")] = False,
    stack: Annotated[
        str, typer.Option(envvar="STACK_NAME", help="The stack's name.")
    ] = "straight-through",
    profile: Annotated[str | None, typer.Option(help="The profile of your AWS settings.")] = None,
    region: Annotated[str | None, typer.Option(help="The region of the stack.")] = None,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_told_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Keep the options that all commands share."""
    context.obj = Here(Said(json), stack, profile, region)


for commands in (commands_drop, commands_runs, commands_logs, commands_rerun, commands_remove):
    commands.register(app)
app.add_typer(commands_queue.app, name="queue")
app.add_typer(commands_routes.app, name="routes")
app.add_typer(commands_when.app, name="when")
app.add_typer(commands_sets.app, name="sets")
app.add_typer(commands_events.app, name="events")
app.command()(commands_replay.replay)
app.command()(commands_expected.expected)


def main(arguments: Sequence[str]) -> int:
    """Run one command; return its exit code."""
    given = shared_first(arguments)
    try:
        code = _code(given)
        sys.stdout.flush()
    except (PipeClosed, BrokenPipeError):  # whoever read it has seen enough
        _write_no_more()
        return OK
    except OSError as error:  # a full disk, perhaps, or a file that may not be read
        code = _said(Stop(f"It failed on this machine: {error}"), json="--json" in given)
        try:
            sys.stdout.flush()
        except OSError:
            _write_no_more()
    return code


def _code(given: list[str]) -> int:
    """Run one command and say what it failed of; return its exit code. Raises PipeClosed."""
    try:
        app(args=given, prog_name="stp")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except (Stop, StraightThroughError, BotoCoreError, ClientError) as error:
        return _said(error, json="--json" in given)
    return OK


def _write_no_more() -> None:
    """Let what is left to be written go nowhere: Python would complain of it as it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())


def shared_first(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with the options that all commands share before the command."""
    shared: list[str] = []
    rest: list[str] = []
    left = list(arguments)
    while left:
        argument = left.pop(0)
        if argument == "--":
            rest += [argument, *left]
            break
        if argument in WITH_VALUE and left:
            shared += [argument, left.pop(0)]
        elif argument == "--json" or argument.startswith(tuple(f"{o}=" for o in WITH_VALUE)):
            shared.append(argument)
        else:
            rest.append(argument)
    return shared + rest


def _said(error: Exception, *, json: bool) -> int:
    """Say why the command ended, on stderr; return its exit code."""
    if isinstance(error, BotoCoreError | ClientError):
        error = trouble_with_aws(error)
    codes: dict[type[Exception], int] = {AwsUnavailable: NOT_NOW, AwsDenied: NO_STACK}
    code = error.code if isinstance(error, Stop) else codes.get(type(error), FAILED)
    said = Said(json)
    if json:
        said.err.file.write(as_json({"error": str(error), "exit_code": code}) + "\n")
    else:
        said.note(str(error), "red")
    return code
