"""Changes the code a little, again and again, and lists the changes that its tests do not notice.

`make mutants` looks at the code whose faults would lose, mix or double a file, or let a bad one
pass; `MUTANTS="routes formats"` names some of its areas, or `MUTANTS=queue/turns.py` a file of one.
`MUTANTS_SECONDS=3` gives a change up after so many seconds of tests: quicker, and it lists some
that the others would notice.
"""

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, cast

from mutmut.mutation import mutators
from mutmut.mutation.file_mutation import MutatedFile, mutate_file_contents

from tests.mutants.forks import NOTICED

ROOT = Path(__file__).parents[2]
SCRATCH = ROOT / ".local/mutants"
# Each area: what is changed, and the tests that are to notice.
AREAS = {
    "routes": ("routes.py", "routes route_documents"),
    "formats": ("reading/formats.py", "formats check_file"),
    "publishing": ("publishing/*", "publishing publish_run chain destinations"),
    "executing": (
        "executing/*",
        "execute_once waits polling progress check_status connection upload_and_execute listening"
        " quantemplate_errors",
    ),
    "queue": (
        "queue/*",
        "turns execute_once queue_functions standing take_turn records table notices check_status"
        " upload_and_execute publishing messages",
    ),
}
COPIED = (
    "cli",
    "docs",
    "emulator",
    "events",
    "functions",
    "layers",
    "local",
    "statemachine",
    "tests",
)
# What mutmut leaves as it is: a line of a message, since how a sentence is worded is no test's
# business.
SETTINGS = r"""
[tool.mutmut]
source_paths = ["layers"]
do_not_mutate_patterns = ['^\s+f?"[^"#]* [^"#]*"[,)]*$']
"""


def only_first_spelling() -> None:
    """Let mutmut spell each text wrongly in one way: the others tell no more, and take as long."""
    every = mutators.operator_string
    first = lambda node: list(every(node))[:1]  # noqa: E731
    operators = cast("list[Any]", mutators.mutation_operators)
    operators[:] = [(kind, first if each is every else each) for kind, each in operators]


@dataclass(frozen=True)
class Mutant:
    """A change: what it looks like, and the lines of the code as it is that it stands in."""

    told: str
    file: str
    first: int
    last: int


def laid_out(changed: str) -> dict[str, Mutant]:
    """Lay out a copy of the project that has all changes in it; return each by its name.

    Which of them counts is told by the tests' process.
    """
    shutil.rmtree(SCRATCH, ignore_errors=True)
    SCRATCH.mkdir(parents=True)
    for name in COPIED:
        shutil.copytree(ROOT / name, SCRATCH / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("template.yaml", "README.md"):
        shutil.copy(ROOT / name, SCRATCH / name)
    settings = (ROOT / "pyproject.toml").read_text("utf-8") + SETTINGS
    (SCRATCH / "pyproject.toml").write_text(settings, "utf-8")
    os.chdir(SCRATCH)  # where mutmut looks for its settings
    layers = SCRATCH / "layers"
    found: dict[str, Mutant] = {}
    for path in sorted((layers / "straight_through").rglob("*.py")):
        if fnmatch(str(path.relative_to(layers / "straight_through")), changed):
            mutated = mutate_file_contents(str(path), path.read_text("utf-8"))
            path.write_text(mutated.code, "utf-8")
            module = ".".join(path.relative_to(layers).with_suffix("").parts)
            found |= {f"{module}.{name}": mutant for name, mutant in mutants_of(path, mutated)}
    return found


def mutants_of(path: Path, mutated: MutatedFile) -> Iterator[tuple[str, Mutant]]:
    """Yield each change of a file."""
    lines, spans = mutated.code.splitlines(), mutated.line_span_by_function_name
    statements = [node for node in ast.walk(ast.parse(mutated.code)) if isinstance(node, ast.stmt)]
    for name in mutated.mutant_names:
        original = name.rpartition("__mutmut_")[0] + "__mutmut_orig"
        begin = spans[original].start
        was = lines[begin - 1 : spans[original].end]
        span = spans[name]
        now = [line.replace(name, original) for line in lines[span.start - 1 : span.end]]
        parts = [
            part for part in SequenceMatcher(None, was, now).get_opcodes() if part[0] != "equal"
        ]
        told = [
            sign + line
            for _, i, k, m, n in parts
            for sign, some in (("-", was[i:k]), ("+", now[m:n]))
            for line in some
        ]
        first, last = _statement(statements, begin + parts[0][1])
        yield name, Mutant("\n".join(told), str(path), first, last)


def _statement(statements: Iterable[ast.stmt], line: int) -> tuple[int, int]:
    """Return the lines of the innermost statement that has a line, but for those within it."""
    around = [each for each in statements if each.lineno <= line <= (each.end_lineno or 0)]
    inner = max(around, key=lambda each: each.lineno)
    body = getattr(inner, "body", None)
    if not body or isinstance(inner, ast.FunctionDef):  # a default counts in every call
        return inner.lineno, inner.end_lineno or inner.lineno
    return inner.lineno, max(inner.lineno, body[0].lineno - 1)


def fates_of(mutants: Mapping[str, Mutant], tests: str) -> dict[str, str]:
    """Play each change; return what became of it."""
    listed, fates = SCRATCH / "mutants.json", SCRATCH / "fates.json"
    listed.write_text(json.dumps({name: asdict(each) for name, each in mutants.items()}), "utf-8")
    files = [f"tests/unit/test_{name}.py" for name in tests.split()]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.mutants.forks"]
    command += ["-p", "no:randomly", "-p", "no:cacheprovider", *files]
    given = {"MUTANTS_OF": str(listed), "MUTANTS_FATES": str(fates)}
    subprocess.run(command, cwd=SCRATCH, env=os.environ | given, check=True)
    return dict(json.loads(fates.read_text("utf-8")))


def main() -> None:
    """Make the mutants of each area, run its tests on each, and list the survivors."""
    only_first_spelling()
    for area in (os.environ.get("MUTANTS") or " ".join(AREAS)).split():
        print(f"\n== {area}", flush=True)
        changed, tests = AREAS.get(area) or (area, AREAS[area.partition("/")[0]][1])
        mutants = laid_out(changed)
        left = {name: fate for name, fate in fates_of(mutants, tests).items() if fate != NOTICED}
        listed = SCRATCH.with_name(f"mutants-{area.replace('/', '-')}.txt")
        listed.write_text(
            "".join(f"# {name}: {fate}\n{mutants[name].told}\n\n" for name, fate in left.items()),
            "utf-8",
        )
        print(
            f"\n{area}: {len(left)} of {len(mutants)} were not noticed: {listed.relative_to(ROOT)}"
        )


if __name__ == "__main__":
    main()
