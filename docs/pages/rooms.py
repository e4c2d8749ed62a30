"""The rooms of the layer and what imports what, from the code's own imports."""

import ast
from collections import defaultdict
from pathlib import Path

from docs.sources import ROOT
from docs.tables import code, table

LAYERS = ROOT / "layers"
ABOUT = """# The rooms

The folders of `layers/`, and what imports what: an arrow leads from a room to one that it uses. None leads
back up, and no two rooms use each other. Every room stands on the ground, the files that lie flat in
`straight_through/`, and the ground on the client; those arrows are left out.
"""


def page() -> str:
    """Return the page."""
    used = arrows()
    drawn = [f"    {one} --> {other}" for one, other in sorted(used)]
    picture = "\n".join(["```mermaid", "flowchart TD", *drawn, "```"])
    rows = [
        (
            code(room),
            told(path),
            ", ".join(code(each.stem) for each in modules(path)),
        )
        for room, path in rooms().items()
    ]
    return "\n\n".join([ABOUT.strip(), picture, table(["room", "what lies there", "files"], rows)])


def rooms() -> dict[str, Path]:
    """Return the folders of the layer by their names: the client, the rooms and the ground."""
    package = LAYERS / "straight_through"
    inner = {path.parent.name: path.parent for path in sorted(package.glob("*/__init__.py"))}
    return {"quantemplate": LAYERS / "quantemplate", **inner, "ground": package}


def modules(room: Path) -> list[Path]:
    """Return the files of a room."""
    return sorted(path for path in room.glob("*.py") if path.stem != "__init__")


def told(room: Path) -> str:
    """Return what a room's docstring says of it."""
    docstring = ast.get_docstring(ast.parse((room / "__init__.py").read_text("utf-8"))) or ""
    return " ".join(docstring.split())


def arrows(*, all_of_them: bool = False) -> set[tuple[str, str]]:
    """Return which room imports which; those to the ground and the client only if asked for."""
    found: dict[str, set[str]] = defaultdict(set)
    for room, path in rooms().items():
        for module in modules(path):
            for node in ast.walk(ast.parse(module.read_text("utf-8"))):
                if isinstance(node, ast.ImportFrom) and node.module:
                    found[room].add(_room_of(node.module))
    pairs = {(one, other) for one, others in found.items() for other in others if other}
    pairs = {(one, other) for one, other in pairs if one != other}
    if all_of_them:
        return pairs
    return {(one, other) for one, other in pairs if other not in ("ground", "quantemplate")}


def _room_of(module: str) -> str:
    """Return the room that a module of ours lies in, "" for one of others."""
    package, _, rest = module.partition(".")
    if package == "quantemplate":
        return package
    if package != "straight_through":
        return ""
    room = rest.partition(".")[0]
    return room if room in rooms() else "ground"
