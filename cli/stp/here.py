"""What every command gets: where to speak, and the stack that it is about."""

from dataclasses import dataclass, field
from functools import cached_property

import typer

from stp.said import Said
from stp.stack import Stack, open_stack


@dataclass(frozen=True)
class Here:
    """The options that every command has."""

    said: Said = field(default_factory=Said)
    stack_name: str = "straight-through"
    profile: str | None = None
    region: str | None = None

    @cached_property
    def stack(self) -> Stack:
        """The stack, looked up when it is first needed. Raises Stop."""
        with self.said.doing(f"Looking for stack {self.stack_name}"):
            return open_stack(self.stack_name, self.profile, self.region)


def here_of(context: typer.Context) -> Here:
    """Return what the options before the command have set."""
    found = context.find_object(Here)
    assert found is not None  # noqa: S101 - the application's callback has set it
    return found
