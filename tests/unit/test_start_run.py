"""Each dropped version starts one execution; what cannot be started comes again."""

import json
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from straight_through.files.ignored import why_ignored
from tests.unit.conftest import Event, lambda_context, made_once

Start = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def machine(aws: None) -> str:  # noqa: ARG001
    """A state machine that does nothing."""
    nothing = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 1, "End": True}}}
    made = made_once("stepfunctions").create_state_machine(
        name="straight-through",
        definition=json.dumps(nothing),
        roleArn="arn:aws:iam::123456789012:role/states",
    )
    return str(made["stateMachineArn"])


@pytest.fixture
def app(load: Callable[..., ModuleType], machine: str) -> ModuleType:
    """The function with patterns of its own, beside those that are built in."""
    patterns = "*.filepart,~$*, *.note,_DONE"  # some are built in by now: an older stack keeps its
    return load("start_run", STATE_MACHINE_ARN=machine, IGNORE_PATTERNS=patterns)


@pytest.fixture
def start(app: ModuleType) -> Start:
    """The function's handler."""
    return lambda batch: dict(app.handler(batch, lambda_context("start_run")))


def dropped(event: Event, *keys: str, **changed: Any) -> dict[str, Any]:
    """The sample batch with one message for each key; a field that is None is left out."""
    (sample,) = event("drops")["Records"]
    records = []
    for number, key in enumerate(keys):
        body = json.loads(sample["body"])
        body["detail"]["object"] |= {"key": key} | changed
        for field in [f for f, value in changed.items() if value is None]:
            del body["detail"]["object"][field]
        records.append(sample | {"messageId": f"m-{number}", "body": json.dumps(body)})
    return {"Records": records}


def executions(machine: str) -> list[dict[str, Any]]:
    """The executions of the state machine with their inputs, in no order."""
    states = made_once("stepfunctions")
    listed = states.list_executions(stateMachineArn=machine)["executions"]
    return [
        {"name": e["name"]}
        | json.loads(states.describe_execution(executionArn=e["executionArn"])["input"])
        for e in listed
    ]


def test_the_sample_drop_starts_a_run_of_its_pinned_version(
    start: Start, machine: str, event: Event
) -> None:
    assert start(event("drops")) == {"batchItemFailures": []}
    execution = event("take_turn")["execution"]
    assert executions(machine) == [{"name": execution["Name"]} | execution["Input"]]


@pytest.mark.parametrize(
    "key",
    [
        "claims/a+b.csv",
        "claims/a b.csv",
        "claims/100%20.csv",
        "claims/%zz&x=y.csv",
        "claims/Schäden 🚗.csv",
        "claims/" + "ü" * 440 + ".csv",
        'claims/quote"\\.csv',
    ],
)
def test_a_key_arrives_as_it_is(start: Start, machine: str, event: Event, key: str) -> None:
    assert start(dropped(event, key)) == {"batchItemFailures": []}
    (execution,) = executions(machine)
    assert execution["key"] == key


def test_the_same_event_twice_is_one_execution(start: Start, machine: str, event: Event) -> None:
    for _ in range(2):
        assert start(event("drops")) == {"batchItemFailures": []}
    assert len(executions(machine)) == 1


def test_the_same_event_after_its_run_ended_is_no_other(
    start: Start, machine: str, event: Event
) -> None:
    # Given a run that has ended
    start(event("drops"))
    states = made_once("stepfunctions")
    (listed,) = states.list_executions(stateMachineArn=machine)["executions"]
    states.stop_execution(executionArn=listed["executionArn"])
    # When its event comes again
    assert start(event("drops")) == {"batchItemFailures": []}
    # Then nothing is started and nothing fails
    assert len(executions(machine)) == 1


def test_a_new_version_of_a_key_is_another_run(start: Start, machine: str, event: Event) -> None:
    for version in ("v1", "v2"):
        start(dropped(event, "claims/may.csv", **{"version-id": version}))
    assert {e["version_id"] for e in executions(machine)} == {"v1", "v2"}


def test_without_versions_the_sequencer_tells_one_drop_from_the_next(
    start: Start, machine: str, event: Event
) -> None:
    for sequencer in ("01", "01", "02"):
        start(dropped(event, "claims/may.csv", sequencer=sequencer, **{"version-id": None}))
    found = executions(machine)
    assert len(found) == 2
    assert all("version_id" not in execution for execution in found)


@pytest.mark.parametrize(
    "key",
    [
        "claims/",
        "claims/eu/",
        "claims/may.csv.filepart",
        "claims/~$may.xlsx",
        "claims/.DS_Store",
        "_SUCCESS",
        "claims/._may.csv",
        "claims/may.note",
        "_DONE",
    ],
)
def test_what_is_ignored_starts_nothing(
    start: Start, machine: str, event: Event, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(dropped(event, key)) == {"batchItemFailures": []}
    assert executions(machine) == []
    # and the log says which it was, and why
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["message"], line["key"]) == ("Ignored", key)
    assert line["why"] == why_ignored(key, "*.note,_DONE")


@pytest.mark.parametrize("key", ["claims/may~$.csv", "_SUCCESS/may.csv", "claims/x.NOTE"])
def test_what_only_looks_like_a_pattern_is_started(
    start: Start, machine: str, event: Event, key: str
) -> None:
    start(dropped(event, key))
    assert [execution["key"] for execution in executions(machine)] == [key]


def test_without_patterns_what_is_built_in_starts_nothing(
    load: Callable[..., ModuleType], machine: str, event: Event
) -> None:
    app = load("start_run", STATE_MACHINE_ARN=machine, IGNORE_PATTERNS="")
    keys = ("claims/", "claims/x.filepart", "claims/x.note")
    app.handler(dropped(event, *keys), lambda_context("start_run"))
    assert [execution["key"] for execution in executions(machine)] == ["claims/x.note"]


@pytest.mark.parametrize(
    "body", ["", "{", "null", "[]", '"x"', "{}", '{"detail": {"bucket": {"name": "b"}}}']
)
def test_a_malformed_message_fails_alone(
    start: Start, machine: str, event: Event, body: str
) -> None:
    # Given a batch of three, the second of which is no event
    batch = dropped(event, "claims/1.csv", "claims/2.csv", "claims/3.csv")
    batch["Records"][1]["body"] = body
    # Then the others are started, and it comes again
    assert start(batch) == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}
    assert {e["key"] for e in executions(machine)} == {"claims/1.csv", "claims/3.csv"}


def test_a_message_that_could_not_be_started_comes_again(
    app: ModuleType, start: Start, machine: str, event: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a state machine that is not there
    monkeypatch.setattr(app, "settings", replace(app.settings, state_machine_arn=f"{machine}-gone"))
    batch = dropped(event, "claims/1.csv", "claims/2.csv")
    # Then each message comes again, when it is
    assert start(batch)["batchItemFailures"] == [
        {"itemIdentifier": "m-0"},
        {"itemIdentifier": "m-1"},
    ]


def test_the_log_carries_each_runs_name_and_no_other(
    start: Start, event: Event, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a good message before a malformed one
    batch = dropped(event, "claims/1.csv", "claims/2.csv")
    batch["Records"][1]["body"] = "{"
    # When they are handled
    start(batch)
    # Then the second's line does not bear the first one's name
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = {line["message"]: line.get("correlation_id") for line in lines if "message" in line}
    assert str(names["Started"]).startswith("claims-1-")
    assert names["Not started; SQS gives it again"] is None


def test_files_started_are_counted(
    start: Start, event: Event, capsys: pytest.CaptureFixture[str]
) -> None:
    start(dropped(event, "claims/1.csv", "claims/", "claims/2.csv"))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sum(sum(line["FilesStarted"]) for line in lines if "FilesStarted" in line) == 2
