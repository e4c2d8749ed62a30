"""Markdown tables, and a JSON schema as one."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]
TYPES = {"string": "text", "integer": "whole number", "array": "list", "boolean": "true or false"}


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a pipe in a cell is escaped."""
    cells = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(c.replace("|", r"\|") for c in row) + " |" for row in cells)


def code(text: Any) -> str:
    """Return a text as code, anything else as JSON; nothing for nothing."""
    shown = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
    return f"`{shown}`" if shown else ""


def schema_rows(
    schema: Schema, whole: Schema, above: str = "", known: set[str] | None = None
) -> Iterator[tuple[str, Schema]]:
    """Yield each field of an object with its dotted name; `[]` stands for each item of a list.

    The fields of what several fields are alike, a definition, are yielded where it comes first.
    """
    known = set() if known is None else known
    for name, told in schema.get("properties", {}).items():
        field = resolved(told, whole)
        yield above + name, field
        if told.get("$ref") in known:
            continue
        known |= {told["$ref"]} if "$ref" in told else set()
        yield from schema_rows(field, whole, f"{above}{name}.", known)
        items = resolved(field.get("items", {}), whole)
        yield from schema_rows(items, whole, f"{above}{name}[].", known)
    for pattern, told in schema.get("patternProperties", {}).items():
        yield above + pattern.removeprefix("^") + "…", told


def resolved(schema: Schema, whole: Schema) -> Schema:
    """Return a schema with what its `$ref` names."""
    if "$ref" not in schema:
        return schema
    named = whole["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    return {**named, **{key: value for key, value in schema.items() if key != "$ref"}}


def type_of(field: Schema, whole: Schema) -> str:
    """Return a field's type in words, with its limits."""
    if "enum" in field:
        return " or ".join(code(value) for value in field["enum"])
    kinds = field.get("type", "any")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    words = " or ".join(TYPES.get(kind, kind) for kind in kinds)
    if "array" in kinds:
        items = resolved(field.get("items", {}), whole)
        words += " of " + {"string": "texts", "object": "objects"}[items["type"]]
        words += ", at least one" * (field.get("minItems", 0) > 0)
    if len(pattern := field.get("pattern", "")) in range(1, 60):
        words += f" like {code(pattern)}"
    if "maximum" in field:
        words += f" from {field['minimum']:,} to {field['maximum']:,}"
    return words


def schema_table(schema: Schema, whole: Schema, *, settings: bool = False) -> str:
    """Return the fields of a schema; with `settings`, also what is needed, default and example."""
    rows = []
    for name, field in schema_rows(schema, whole):
        cells = [code(name), type_of(field, whole)]
        if settings:
            needed = name.rpartition(".")[2] in _required(name, schema, whole)
            default = code(field["default"]) if "default" in field else ""
            cells.append("needed" if needed else default)
        cells.append(field.get("description", ""))
        if settings:
            cells.append(code(field["examples"][0]) if "examples" in field else "")
        rows.append(cells)
    titles = ["field", "type", "default", "meaning", "example"] if settings else None
    return table(titles or ["field", "type", "meaning"], rows)


def _required(name: str, schema: Schema, whole: Schema) -> Sequence[str]:
    """Return the fields that are needed beside this one."""
    *above, _ = name.split(".")
    for part in above:
        schema = resolved(schema["properties"][part.removesuffix("[]")], whole)
        if part.endswith("[]"):
            schema = resolved(schema["items"], whole)
    return list(schema.get("required", ()))
