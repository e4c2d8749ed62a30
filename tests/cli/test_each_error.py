"""Of each error that may end a run: from the list to the cause and the command that mends it."""

import json
import re
from datetime import datetime

import pytest

from local.console import facts
from straight_through.telling.remedies import REMEDIES
from tests.cli.conftest import MACHINE, Stp
from tests.cli.states import States, pretend
from tests.docs.commands import commands

# Some of those that AWS itself gives.
OF_AWS = ["Lambda.Unknown", "Runtime.ImportModuleError", "Sandbox.Timedout", "States.Timeout"]
ERRORS = [*sorted(error.__name__ for error in REMEDIES), *OF_AWS]
NOTHING_TO_DO = "TurnLost"  # it ends no run
ABOUT_A_RUN = ("stp redrive", "stp rerun", "stp logs")
COMMAND = re.compile(r"stp [^),;`]*")
BUTTONS = ("Redrive", "Run again", "rop the file again", "what is held")
# What a person is shown as it is to be typed.
LITERAL = ('{"bucket": "…", "key": "…"}', "{output}")


def what_of(error: str) -> str:
    """What has happened, as the function that failed says it."""
    return f"File s3://inbox/claims/{error}.csv of route claims: {error}'s own words."


def failed(error: str) -> dict[str, str]:
    """What is special of a run that has failed, as Lambda and Step Functions tell it."""
    cause = {"errorMessage": what_of(error), "errorType": error, "stackTrace": []}
    return {"status": "FAILED", "error": error, "cause": json.dumps(cause)}


def run(error: str) -> str:
    """The name of the run that has failed of it."""
    return f"may-{error.replace('.', '-')}-1"


STATES = {run(error): failed(error) for error in ERRORS}


def bare(told: str) -> str:
    """What is left of a text without what is to be typed as it stands there."""
    for each in LITERAL:
        told = told.replace(each, "")
    return told


def told_of(given: str, name: str) -> bool:
    """Whether a command is about a run, or is but named."""
    return given in (name, f"{name} --attach", "")


def wrong_in(error: str, seen: str) -> str:
    """What a person misses who looks at a run, "" if nothing."""
    if f"  message       {what_of(error)}\n" not in seen:
        return "the cause"
    told = re.findall(r"  next +(.+)", seen)[0]
    if not (told[0].isupper() and told.endswith(".")) or re.search("[{}<>]", bare(told)):
        return f"a sentence: {told}"
    named = [each.strip() for each in COMMAND.findall(told)]
    if bool(named) is (error == NOTHING_TO_DO):
        return f"the command: {told}"
    known = sorted(commands(), key=len, reverse=True)
    for each in named:
        command = next((c for c in known if each.startswith(c)), None)
        given = each.removeprefix(command or "").strip()
        if command is None or (command in ABOUT_A_RUN and not told_of(given, run(error))):
            return f"a command that there is, with the run: {each}"
    return ""


@pytest.mark.usefixtures("deployed")
def test_the_list_leads_to_the_cause_and_to_the_command_that_mends_it(
    stp: Stp, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a run that has failed of each error, and one that has not
    pretend(monkeypatch, States({**STATES, "other": {}}))
    # When somebody lists what has failed, then each is there with its error, and nothing else
    listed = stp("runs", "--failed", "--limit", "100").out
    lines = {
        error: [line for line in listed.splitlines() if run(error) in line] for error in ERRORS
    }
    assert {error for error in ERRORS if f"Failed: {error}" not in "".join(lines[error])} == set()
    assert "other" not in listed
    # And when one is looked at, then there is its cause, and the command that mends it
    missed = {error: wrong_in(error, stp("show", run(error)).out) for error in ERRORS}
    assert {error: what for error, what in missed.items() if what} == {}


def test_the_page_tells_the_same_by_its_buttons() -> None:
    # Given what Step Functions says of such runs
    states = States(STATES)
    given = [
        {
            name: each.timestamp() if isinstance(each, datetime) else each
            for name, each in states.described(run(error)).items()
        }
        | {"stateMachineArn": MACHINE}
        for error in ERRORS
    ]
    # When the page asks for them
    found = facts.runs(given, ["claims"], {})
    # Then each has its error, what has happened, and what to do: a button, or the file
    told = [(each["error"], each["message"], each["tone"]) for each in found]
    assert told == [(error, what_of(error), "bad") for error in ERRORS]
    nexts = {each["error"]: each["next"] for each in found}
    assert {error for error in ERRORS if "{" in bare(nexts[error])} == set()
    without = {error for error in ERRORS if not any(each in nexts[error] for each in BUTTONS)}
    assert without == {NOTHING_TO_DO}
