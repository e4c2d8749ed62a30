"""Declared shapes of data, read from a module's source: their fields, types and comments."""

import ast
from collections.abc import Iterator
from pathlib import Path

from docs.tables import code, table

Field = tuple[str, str, str]  # name, type, comment


def shapes_page(path: Path) -> str:
    """Return each shape of a module with what is said of it, in their order there."""
    parts = []
    for name, told, bases, fields in shapes(path):
        above = f" Has the fields of {', '.join(map(code, bases))} too." if bases else ""
        rows = [(code(field), code(kind), comment) for field, kind, comment in fields]
        parts.append(f"### {name}\n\n{told}{above}")
        if rows:
            parts.append(table(["field", "type", "meaning"], rows))
    return "\n\n".join(parts)


def shapes(path: Path) -> Iterator[tuple[str, str, list[str], list[Field]]]:
    """Yield each shape's name, what is said of it, the shapes that it extends, and its fields."""
    source = path.read_text("utf-8")
    lines = source.splitlines()
    for node in ast.parse(source).body:
        match node:
            case ast.ClassDef():
                bases = [ast.unparse(base) for base in node.bases]
                told = " ".join((ast.get_docstring(node) or "").split())
                fields = [
                    (ast.unparse(each.target), ast.unparse(each.annotation), _comment(lines, each))
                    for each in node.body
                    if isinstance(each, ast.AnnAssign)
                ]
                yield node.name, told, [b for b in bases if b != "TypedDict"], fields
            case ast.Assign(value=ast.Call(args=[_, ast.Dict() as whole])):
                fields = [
                    (str(ast.literal_eval(key)), ast.unparse(kind), _comment(lines, kind))
                    for key, kind in zip(whole.keys, whole.values, strict=True)
                    if key
                ]
                above = lines[node.lineno - 2].removeprefix("# ")
                yield ast.unparse(node.targets[0]), above, [], fields


def _comment(lines: list[str], node: ast.AST) -> str:
    """Return the comment that ends a field's line, as a sentence's part."""
    line = lines[node.end_lineno - 1]  # type: ignore[attr-defined]
    return line.partition("  # ")[2]
