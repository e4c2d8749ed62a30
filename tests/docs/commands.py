"""The commands of `stp`, as its application has them."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import typer.main

from stp.app import app

EVERYWHERE = {"--json", "--stack", "--profile", "--region", "--help"}


@cache
def commands() -> dict[str, set[str]]:
    """Each command, such as `stp routes list`, with the options that it knows."""
    return dict(_below("stp", typer.main.get_command(app)))


def _below(above: str, group: Any) -> Iterator[tuple[str, set[str]]]:
    """The commands of a group, and of the groups in it."""
    for name, command in group.commands.items():
        options = {option for each in command.params for option in each.opts}
        yield f"{above} {name}", options | EVERYWHERE
        if hasattr(command, "commands"):
            yield from _below(f"{above} {name}", command)
