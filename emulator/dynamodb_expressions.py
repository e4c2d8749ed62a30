"""Expressions that DynamoDB refuses and ministack takes."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import dynamodb

from emulator.seams import replace, seam

Fields = dict[str, Any]
WORDS = {"AND", "OR", "NOT", "IN", "BETWEEN"}


def install() -> None:
    """Refuse them, too."""
    replace(dynamodb, "_apply_update_expression", without_overlaps)
    replace(dynamodb, "_query", filtering_no_keys)


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


def filtering_no_keys(query: Callable[[Fields], Any]) -> Callable[[Fields], Any]:
    """Filter a query of a table by attributes that are not in its key.

    AWS documentation: "Filter expressions for the Query operation" (Amazon DynamoDB developer
    guide).
    """
    tables, name_of = seam(dynamodb, "_tables"), seam(dynamodb, "_normalize_table_name")

    def query_table(request: Fields) -> Any:
        table = tables.get(name_of(request.get("TableName", "")))
        if table and not request.get("IndexName"):
            keys = {key["AttributeName"] for key in table["KeySchema"]}
            for attribute in attributes_in(request):
                if attribute in keys:
                    message = (
                        "Filter Expression can only contain non-primary key attributes: "
                        f"Primary key attribute: {attribute}"
                    )
                    return error_response_json("ValidationException", message, 400)
        return query(request)

    return query_table


def attributes_in(request: Fields) -> Iterator[str]:
    """The attributes, without what is nested in them, that a filter is about."""
    names = request.get("ExpressionAttributeNames") or {}
    tokens = seam(dynamodb, "_tokenize")(request.get("FilterExpression") or "")
    before = [("", ""), *tokens]
    for (previous, _), (kind, text), (following, _) in zip(
        before, tokens, tokens[1:], strict=False
    ):
        word = text.upper() in WORDS or following == "LPAREN"  # an operator or a function
        if previous != "DOT" and kind in ("NAME_REF", "IDENT") and not word:
            yield names.get(text, text)


def shown(path: tuple[str | int, ...]) -> str:
    """A path as the message shows it."""
    parts = (f"[{part}]" if isinstance(part, int) else part for part in path)
    return f"[{', '.join(parts)}]"
