"""`make up`: the local stack, until Ctrl-C."""

import time
from collections.abc import Mapping
from typing import NoReturn

from rich.console import Console

from local.console.served import PATH as CONSOLE
from local.live import consoles, print_news, progress_on
from local.process import shown
from local.runs import RunWatch
from local.stack import (
    AWS_CLIENT,
    LOCAL,
    Stack,
    chosen_port,
    chosen_server,
    refuse_second,
    remove_environment,
    running,
    shell_lines,
    stack_environment,
    write_environment,
)

LOOK_EVERY = 0.3  # seconds, or five times what a look took: watching must not slow the runs
ENVIRONMENT = LOCAL / "stack.env"


def up(environment: Mapping[str, str]) -> int:
    """Start everything, say `ready`, show runs; return 0 when asked to stop."""
    out, err = consoles()
    refuse_second(ENVIRONMENT)
    remove_environment(ENVIRONMENT)
    port, server = chosen_port(environment), chosen_server(environment)
    try:
        with progress_on(err) as progress, running(LOCAL, port, server, progress) as stack:
            try:
                write_environment(ENVIRONMENT, shell_lines(stack_environment(stack), AWS_CLIENT))
                progress.end()
                out.print(
                    f"ready in {progress.seconds():.1f} s at {stack.endpoint}, until Ctrl-C."
                    f" In another shell: . {shown(ENVIRONMENT)}",
                    markup=False,
                )
                out.print(
                    f"To drop files and see their runs: {stack.endpoint}{CONSOLE}", markup=False
                )
                show_runs(out, stack)
            finally:
                remove_environment(ENVIRONMENT)
    except KeyboardInterrupt:
        err.print("stopped")
        return 0


def show_runs(out: Console, stack: Stack) -> NoReturn:
    """Print what runs do as they do it. Raises PartFailed when a part has ended."""
    watch = RunWatch(stack.client("stepfunctions"), stack.outputs["StateMachineArn"])
    while True:
        stack.check()
        began = time.monotonic()
        for before, now in watch.changes():
            print_news(out, before, now)
        time.sleep(max(LOOK_EVERY, 5 * (time.monotonic() - began)))
