"""`stp open` and `stp logs`, on moto's AWS with Step Functions pretended; and completion."""

import json
import webbrowser
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from local.console.served import PATH
from stp import console
from stp.commands_logs import line_of
from stp.said import OK
from stp.stack import Stack
from tests.cli.conftest import Stp
from tests.cli.states import pretend

BEGAN = datetime.now(UTC)


@dataclass
class States:
    """Executions by name, each with the statuses that it has one after the other."""

    runs: dict[str, list[str]]
    meta: Any = field(default_factory=lambda: SimpleNamespace(endpoint_url="http://127.0.0.1:9"))

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        """The execution."""
        name = executionArn.rpartition(":")[2]
        statuses = self.runs[name]
        return {
            "executionArn": executionArn,
            "name": name,
            "status": statuses.pop(0) if len(statuses) > 1 else statuses[0],
            "startDate": BEGAN,
            "input": '{"bucket": "inbox", "key": "claims/may.csv"}',
        }


def logged(stack: Stack, *lines: Any) -> None:
    """Write lines to the functions' log group, a second apart."""
    logs, group = stack.client("logs"), f"/aws/lambda/{stack.name}"
    found = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    if not found:
        logs.create_log_group(logGroupName=group)
        logs.create_log_stream(logGroupName=group, logStreamName="s")
    now = int(BEGAN.timestamp() * 1000) + 1
    logs.put_log_events(
        logGroupName=group,
        logStreamName="s",
        logEvents=[
            {
                "timestamp": now + number,
                "message": each if isinstance(each, str) else json.dumps(each),
            }
            for number, each in enumerate(lines)
        ],
    )


def line(run: str, message: str, **more: Any) -> dict[str, Any]:
    """A line as the functions log it."""
    about = {"function_name": "straight-through-check_file", "correlation_id": run}
    return {"level": "INFO", "message": message, **about, **more}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that the browser was given."""
    found: list[str] = []

    def browse(address: str) -> bool:
        found.append(address)
        return True

    monkeypatch.setattr(webbrowser, "open", browse)
    return found


@pytest.mark.usefixtures("deployed")
def test_a_runs_page_in_the_console_is_opened_and_printed(
    stp: Stp, monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    # Given a run of a stack in AWS
    pretend(monkeypatch, States({"may": ["SUCCEEDED"]}))
    # When its page is opened
    done = stp("open", "may")
    # Then it is that of its execution, and can be copied
    assert done.code == OK
    assert "console.aws.amazon.com/states" in done.out
    assert opened == [done.out.strip()]
    # And a script gets the address only
    assert stp("open", "may", "--json").json["address"] == opened.pop()
    assert opened == []


def test_a_run_of_the_local_stack_has_the_local_page_and_no_console(
    stp: Stp, deployed: Stack, monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    # Given the local AWS, whose account is nobody's
    pretend(monkeypatch, States({"may-1": ["SUCCEEDED"]}))
    machine = deployed.machine.replace("123456789012", console.LOCAL_ACCOUNT)
    local = replace(deployed, outputs={**deployed.outputs, "StateMachineArn": machine})
    monkeypatch.setattr("stp.here.open_stack", lambda *_: local)
    # When a run's page is opened
    done = stp("open", "may-1")
    # Then it is the one that the local stack serves
    assert done.out == f"http://127.0.0.1:9{PATH}#/runs/may-1\n"
    assert opened == [done.out.strip()]


@pytest.mark.usefixtures("deployed")
def test_where_no_browser_is_the_address_is_to_be_copied(
    stp: Stp, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, States({"may": ["SUCCEEDED"]}))
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    done = stp("open", "may")
    assert (done.code, "open the address" in done.err) == (OK, True)


def test_the_log_lines_of_a_run_and_of_no_other_are_shown(
    stp: Stp, deployed: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given lines of two runs, and a platform's line
    pretend(monkeypatch, States({"may-1": ["SUCCEEDED"], "june": ["SUCCEEDED"]}))
    logged(
        deployed,
        line("may-1", "Checked", size=12),
        line("may-2", "Checked"),
        '{"type": "platform.report"}',
        line("may-1", "Published", rows={"a": 1}),
    )
    # When those of one are asked for
    done = stp("logs", "may-1")
    # Then they are there with what they say, and nothing else
    told = [each.split("  ", 1)[1] for each in done.out.splitlines()]
    assert told == [
        "INFO     check_file  Checked  size=12",
        'INFO     check_file  Published  rows={"a": 1}',
    ]
    # And as they are, for a script
    assert [each["line"]["message"] for each in stp("logs", "may-1", "--json").json] == [
        "Checked",
        "Published",
    ]
    # And of a run that has logged nothing that is said
    assert "No log line of run june" in stp("logs", "june").out


def test_the_log_is_read_page_by_page(
    stp: Stp, deployed: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a log whose pages have one line each, or none, as CloudWatch may answer
    asked: list[dict[str, Any]] = []
    event: dict[str, Any] = {"eventId": "1", "timestamp": 1, "message": "may's"}
    pages: list[Any] = [{"events": [event]}, {"events": []}, {"events": [event | {"eventId": "2"}]}]

    def paginate(**given: Any) -> list[dict[str, Any]]:
        asked.append(given)
        return pages

    logs = SimpleNamespace(get_paginator=lambda _: SimpleNamespace(paginate=paginate))
    pretend(monkeypatch, States({"may": ["SUCCEEDED"]}))
    client = Stack.client
    monkeypatch.setattr(
        Stack, "client", lambda s, name: logs if name == "logs" else client(s, name)
    )
    # When it is asked for, then all of it is there, and the name was sought as it is
    assert len(stp("logs", "may").out.splitlines()) == 2
    assert asked[0]["filterPattern"] == '"may"'
    assert asked[0]["logGroupName"] == f"/aws/lambda/{deployed.name}"


def test_a_followed_log_ends_after_the_run_and_tells_each_line_once(
    stp: Stp, deployed: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a run that goes on, and ends; its last line comes late
    pretend(monkeypatch, States({"may": ["RUNNING", "RUNNING", "SUCCEEDED"]}))
    logged(deployed, line("may", "first"))
    looks = iter([["second"], [], ["third"]])

    def sleep(_: float) -> None:
        for each in next(looks, []):
            logged(deployed, line("may", each))

    monkeypatch.setattr("stp.commands_logs.time.sleep", sleep)
    # When its log is followed
    done = stp("logs", "may", "--follow")
    # Then each line is told once
    assert done.code == OK
    assert [each.split()[-1] for each in done.out.splitlines()] == ["first", "second", "third"]


@pytest.mark.usefixtures("deployed")
def test_a_log_group_that_is_not_there_is_said_to_be_so(
    stp: Stp, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, States({"may": ["SUCCEEDED"]}))
    done = stp("logs", "may")
    assert "There is no log group /aws/lambda/straight-through" in done.err


def test_a_line_with_an_exception_has_its_lines_and_forges_none() -> None:
    failed = line("may", "Failed\nForged", exception="Traceback\n  ValueError: \x1b[2J")
    told = line_of({"logged_at": "2026-05-04T08:15:30+00:00", "line": failed})
    first, *trace = told.splitlines()
    assert first.endswith(r"Failed\nForged")
    assert trace == ["    Traceback", "      ValueError: \x1b[2J"]  # `Said` shows what it is


def test_a_shell_completes_commands(stp: Stp, monkeypatch: pytest.MonkeyPatch) -> None:
    # When bash asks what a word may become
    monkeypatch.setenv("_STP_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "stp red")
    monkeypatch.setenv("COMP_CWORD", "1")
    # Then it is told, without a look at any stack
    assert stp().out.split() == ["redrive"]
