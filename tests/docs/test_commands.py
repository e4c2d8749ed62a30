"""What the documents tell readers to type exists: targets, commands, options, outputs."""

import re
import shlex
from pathlib import Path

import pytest

from local.process import ROOT
from tests.build.test_make_up import EXPORTED
from tests.docs.commands import commands
from tests.docs.pages import PAGES, blocks, name_of
from tests.unit.test_state_machine import TEMPLATE

MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
TARGETS = set(re.findall(r"(?m)^([\w./-]+):", MAKEFILE))
# Of variables in blocks that are run, those that are the reader's own.
THEIRS = {"PWD", "ROLE_ARN"}


def code(page: Path) -> list[str]:
    """All that a page shows as code, a line or a span each; continued lines are joined."""
    text = page.read_text("utf-8")
    lines = [line for block in blocks(text) for line in block.replace("\\\n", "").splitlines()]
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"(?ms)^ *```.*?^ *```$", "", text))
    return [*lines, *spans]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_make_has_each_target(page: Path) -> None:
    named = {target for line in code(page) for target in re.findall(r"\bmake ([a-z][\w-]*)", line)}
    assert named - TARGETS == set()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_stp_has_each_command_with_its_options(page: Path) -> None:
    wrong = []
    for line in code(page):
        for typed in re.findall(r"(?<![\w./-])stp ([^|&`)]+)", line):
            words = [w for w in typed.split() if w not in ("--json",)]
            if words in (["--version"], ["--install-completion"]):
                continue  # of the command itself, as tests/cli shows
            if words[:1] == ["--stack"]:
                words = words[2:]
            whole = next(
                (name for n in (2, 1) if (name := " ".join(["stp", *words[:n]])) in commands()),
                None,
            )
            options = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", typed))
            groups = {name.rpartition(" ")[0] for name in commands()}
            misspelt = whole in groups and words[1:2] and words[1].isalpha()
            if whole is None or misspelt or options - commands()[whole]:
                wrong.append(f"stp {typed}")
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_stack_has_each_output_and_parameter(page: Path) -> None:
    text = page.read_text("utf-8")
    outputs = set(re.findall(r"OutputKey=='(\w+)'", text))
    assert outputs - TEMPLATE["Outputs"].keys() == set()
    overridden = {
        word.partition("=")[0]
        for line in code(page)
        for word in re.findall(r"(?<= )[A-Z]\w+=[^ ]", line.partition("--parameter-overrides")[2])
    }
    assert overridden - TEMPLATE["Parameters"].keys() == set()
    spoken_of = set(re.findall(r"(?:parameters?|outputs?) `([A-Z]\w+)`", text))
    assert spoken_of - TEMPLATE["Outputs"].keys() - TEMPLATE["Parameters"].keys() == set()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_variables_of_commands_are_those_of_stack_env_or_set_before(page: Path) -> None:
    for block in blocks(page.read_text("utf-8"), "sh"):
        used = set(re.findall(r"\$\{?([A-Za-z_]+)", block))
        made = set(re.findall(r"(?m)^(\w+)=", block))
        assert used - made - EXPORTED - THEIRS <= {"detail"}  # `$.detail` is EventBridge's


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_blocks_that_are_run_are_commands_of_a_shell(page: Path) -> None:
    for block in blocks(page.read_text("utf-8"), "sh"):
        assert shlex.split(block, comments=True)
