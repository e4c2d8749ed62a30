"""Changes the code a little, again and again, and lists the changes that its tests do not notice.

`make mutants` looks at the code whose faults would lose, mix or double a file, or let a bad one
pass; `MUTANTS="routes formats"` names some of its areas.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRATCH = ROOT / ".local/mutants"
# Each area: what is changed, and the tests that are to notice.
AREAS = {
    "routes": ("routes.py", "routes route_documents"),
    "formats": ("reading/formats.py", "formats check_file"),
    "publishing": ("publishing/*", "publishing publish_run chain destinations"),
    "executing": ("executing/*", "execute_once waits polling progress check_status connection"),
    "queue": (
        "queue/*",
        "turns execute_once queue_functions standing take_turn records table notices",
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
FATE = re.compile(r"^\s*(\S+): (survived|no tests|suspicious|segfault|timeout)$", re.MULTILINE)
SETTINGS = """
[tool.mutmut]
source_paths = ["src/"]
only_mutate = ["src/straight_through/{changed}"]
also_copy = [{copied}, "template.yaml", "README.md"]
pytest_add_cli_args_test_selection = [{tests}]
pytest_add_cli_args = ["-p", "no:randomly", "-p", "no:cacheprovider"]
"""


def laid_out(changed: str, tests: str) -> None:
    """Lay a copy of the project out as mutmut wants it: what it changes lies under src/."""
    shutil.rmtree(SCRATCH, ignore_errors=True)
    SCRATCH.mkdir(parents=True)
    for name in COPIED:
        shutil.copytree(ROOT / name, SCRATCH / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("template.yaml", "README.md"):
        shutil.copy(ROOT / name, SCRATCH / name)
    for package in ("quantemplate", "straight_through"):
        shutil.copytree(SCRATCH / "layers" / package, SCRATCH / "src" / package)
    settings = (ROOT / "pyproject.toml").read_text("utf-8")
    assert 'pythonpath = ["layers", ' in settings
    settings = settings.replace('pythonpath = ["layers", ', 'pythonpath = ["src", ')
    files = [f"tests/unit/test_{name}.py" for name in tests.split()]
    assert all((ROOT / file).exists() for file in files), files
    settings += SETTINGS.format(changed=changed, copied=quoted(COPIED), tests=quoted(files))
    (SCRATCH / "pyproject.toml").write_text(settings, "utf-8")


def quoted(names: Iterable[str]) -> str:
    """Return names as a list's content in TOML."""
    return ", ".join(f'"{name}"' for name in names)


def mutmut(*arguments: str, shown: bool = False) -> str:
    """Run mutmut in the copy; return what it says, or show it as it comes."""
    done = subprocess.run(
        [sys.executable, "-m", "mutmut", *arguments],
        cwd=SCRATCH,
        stdout=None if shown else subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout or ""


def survivors() -> Iterator[str]:
    """Return each change that no test has noticed, as a difference."""
    for name, fate in FATE.findall(mutmut("results")):
        yield f"# {name}: {fate}\n{mutmut('show', name)}\n"


def main() -> None:
    """Make the mutants of each area, run its tests on each, and list the survivors."""
    for area in (os.environ.get("MUTANTS") or " ".join(AREAS)).split():
        print(f"\n== {area}", flush=True)
        laid_out(*AREAS[area])
        mutmut("run", shown=True)
        found = list(survivors())
        listed = SCRATCH.with_name(f"mutants-{area}.txt")
        listed.write_text("".join(found), "utf-8")
        print(f"\n{area}: {len(found)} survived; {listed.relative_to(ROOT)} shows each.")


if __name__ == "__main__":
    main()
