"""The page on the command is about this command."""

import re

import pytest

from local.process import ROOT
from stp import said
from tests.cli.conftest import Stp

SECTION = (ROOT / "docs" / "stp.md").read_text(encoding="utf-8")
REFERENCE = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")

GROUPED = (["run"], ["pause"], ["resume"], ["url"], ["rotate"], ["test"])


def commands_of(stp: Stp, *group: str) -> set[str]:
    """The commands that the help lists."""
    text = stp(*group, "--help").out
    listed = text[text.index("Commands:") :]
    return set(re.findall(r"(?m)^  ([a-z]+)  +[A-Z]", listed))


def test_every_command_has_its_line(stp: Stp) -> None:
    # Given all commands
    groups = ("queue", "routes", "events", "when", "sets")
    named = {f"stp {name}" for name in commands_of(stp) if name != "routes"}
    named |= {f"stp {group} {name}" for group in groups for name in commands_of(stp, group)}
    # Then the table names them and no other
    table = SECTION[SECTION.index("| command |") : SECTION.index("Results go")]
    words = re.findall(
        r"`stp ([a-z]+)(?: (pause|resume|list|show|check|apply|remove|url|rotate|test|run))?", table
    )
    assert {" ".join(["stp", *filter(None, each)]) for each in words} == named


def test_every_option_that_it_names_exists(stp: Stp) -> None:
    # Given the rows of the table
    for row in re.findall(r"`stp ([^`]+)`", SECTION):
        words = [word for word in row.split() if word.isalpha() and word.islower()]
        of_group = words[:1] == ["routes"] or words[1:2] in GROUPED
        depth = 2 if of_group else 1
        # Then each command knows the options that it is shown with
        text = stp(*words[:depth], "--help").out
        missing = [o for o in re.findall(r"--[a-z-]+", row) if o not in text]
        assert missing == [], row


@pytest.mark.parametrize(
    "code", ["OK", "FAILED", "USAGE", "NO_STACK", "UNKNOWN", "NOT_NOW", "INTERRUPTED"]
)
def test_every_exit_code_has_its_line(code: str) -> None:
    assert f"\n| {vars(said)[code]} | " in REFERENCE
