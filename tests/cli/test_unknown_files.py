"""`stp doctor --inbox`: files that no run knows, and what starts them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stp.said import FAILED, USAGE
from stp.stack import Stack
from straight_through.names import run_name
from tests.cli.conftest import Stp

ROLE = "arn:aws:iam::123456789012:role/any"
DEFINITION = {"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}


@pytest.fixture
def inbox(deployed: Stack) -> Stack:
    """A stack with a state machine, whose inbox keeps versions."""
    s3, states = deployed.client("s3"), deployed.client("stepfunctions")
    s3.put_bucket_versioning(Bucket="inbox", VersioningConfiguration={"Status": "Enabled"})
    made = states.create_state_machine(
        name=deployed.name, definition=json.dumps(DEFINITION), roleArn=ROLE
    )
    assert made["stateMachineArn"] == deployed.machine
    return deployed


def dropped(stack: Stack, key: str, *, known: bool = False) -> str:
    """Put a file into the inbox, and start its run where it is to be known; return the run."""
    version = stack.client("s3").put_object(Bucket="inbox", Key=key, Body=b"x")["VersionId"]
    run = run_name("inbox", key, version)
    if known:
        states = stack.client("stepfunctions")
        states.start_execution(stateMachineArn=stack.machine, name=run, input="{}")
    return run


def runs(stack: Stack) -> dict[str, Any]:
    """What each run was started with."""
    states = stack.client("stepfunctions")
    listed = states.list_executions(stateMachineArn=stack.machine)["executions"]
    described = [states.describe_execution(executionArn=each["executionArn"]) for each in listed]
    return {each["name"]: json.loads(each["input"]) for each in described}


def test_a_file_without_a_run_is_listed_and_started_if_wanted(stp: Stp, inbox: Stack) -> None:
    # Given a file with a run, one without, and what starts none
    dropped(inbox, "claims/known.csv", known=True)
    lost = dropped(inbox, "claims/lost.csv")
    dropped(inbox, "claims/may.csv.filepart")
    dropped(inbox, "claims/notes.txt")
    inbox.client("s3").delete_object(Bucket="inbox", Key="claims/gone.csv")
    # When nobody can be asked
    asked = stp("doctor", "--inbox")
    # Then it is told and nothing is started
    assert asked.code == USAGE
    assert "s3://inbox/claims/lost.csv has no run" in asked.err
    assert "Start 1 run?" in asked.err
    assert lost not in runs(inbox)
    # And as JSON
    listed = stp("doctor", "--inbox", "--json")
    assert (listed.code, [each["key"] for each in listed.json]) == (FAILED, ["claims/lost.csv"])
    # When it is wanted
    done = stp("doctor", "--inbox", "--yes")
    # Then the run has the name that its drop would have given it, and its place among the others
    assert (done.code, done.out) == (0, "1 run started. See them: stp runs\n")
    started = runs(inbox)[lost]
    assert (started["bucket"], started["key"]) == ("inbox", "claims/lost.csv")
    assert started.keys() == {"bucket", "key", "version_id", "dropped_at"}
    # And after it no file is unknown
    again = stp("doctor", "--inbox")
    assert (again.code, again.out) == (0, "Each file that was dropped since 14d has a run.\n")


def test_only_the_inboxs_prefix_is_looked_at(stp: Stp, inbox: Stack) -> None:
    # Given an inbox that is used for other things
    vars(inbox)["parameters"] = {**inbox.parameters, "InboxPrefix": "qt/"}
    ours, _ = dropped(inbox, "qt/claims/may.csv"), dropped(inbox, "photos/cat.jpg")
    # Then theirs is left alone
    assert stp("doctor", "--inbox", "--yes").code == 0
    assert runs(inbox).keys() == {ours}


def test_what_runs_may_have_been_forgotten_of_is_not_asked(stp: Stp, inbox: Stack) -> None:
    # Given a file of long ago
    dropped(inbox, "claims/old.csv")
    # When it is looked back further than executions are kept
    done = stp("doctor", "--inbox", "--since", "91d", "--yes")
    # Then nothing is started, that may have been processed
    assert (done.code, runs(inbox)) == (USAGE, {})
    # And what was dropped before the time that is asked for is left alone
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds")
    assert stp("doctor", "--inbox", "--since", tomorrow, "--yes").code == 0
    assert runs(inbox) == {}


def test_a_file_whose_event_comes_meanwhile_is_not_started_twice(
    stp: Stp, inbox: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a file that no run knows, until just before it is started
    run = dropped(inbox, "claims/may.csv")
    monkeypatch.setattr(
        "stp.said.Said.confirm",
        lambda *_, **__: inbox.client("stepfunctions").start_execution(
            stateMachineArn=inbox.machine, name=run, input='{"bucket": "inbox"}'
        ),
    )
    # When it is to be started
    done = stp("doctor", "--inbox")
    # Then the drop's own run stays as it is
    assert (done.code, done.out) == (0, "0 runs started. See them: stp runs\n")
    assert runs(inbox) == {run: {"bucket": "inbox"}}
