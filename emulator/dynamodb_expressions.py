"""Update expressions that DynamoDB refuses and ministack takes."""

import itertools
from collections.abc import Callable
from typing import Any

from ministack.services import dynamodb

from emulator.seams import replace


def install() -> None:
    """Refuse them, too."""
    replace(dynamodb, "_apply_update_expression", without_overlaps)


def without_overlaps(apply: Callable[..., Any]) -> Callable[..., Any]:
    """Update no attribute together with a part of itself.

    AWS documentation: "Update expressions" (Amazon DynamoDB developer guide).
    """

    def apply_update(*arguments: Any) -> Any:
        item, paths = apply(*arguments)
        for outer, inner in itertools.permutations(paths, 2):
            if inner[: len(outer)] == outer:
                raise ValueError(
                    "Invalid UpdateExpression: Two document paths overlap with each other; must "
                    "remove or rewrite one of these paths; "
                    f"path one: {shown(outer)}, path two: {shown(inner)}"
                )
        return item, paths

    return apply_update


def shown(path: tuple[str | int, ...]) -> str:
    """A path as the message shows it."""
    parts = (f"[{part}]" if isinstance(part, int) else part for part in path)
    return f"[{', '.join(parts)}]"
