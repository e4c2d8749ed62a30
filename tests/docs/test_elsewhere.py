"""Other programs start executions, as docs/start-from-elsewhere.md shows them."""

import json
from typing import Any

import boto3
import pytest

from local.deploy import REGION
from straight_through.names import run_name
from tests.docs.pages import blocks, text_of
from tests.docs.reader import Reader
from tests.end_to_end.road import Road

PAGE = text_of("docs/start-from-elsewhere.md")
NOTEBOOK = text_of("docs/notebook.md")


@pytest.fixture
def session(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of a shell that has read .local/stack.env, for boto3."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    settings = {
        "AWS_ENDPOINT_URL": road.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "NO_PROXY": "127.0.0.1,localhost",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", boto3.Session())


def executed(example: str, **given: Any) -> dict[str, Any]:
    """The names that an example has made."""
    exec(compile(example, "docs", "exec"), given)  # noqa: S102 - our own page
    return given


@pytest.mark.usefixtures("session")
def test_a_program_and_the_drop_start_one_run_together(reader: Reader) -> None:
    # Given the example in Python, for a file of the test's own
    road, route = reader.road, reader.route()
    (example,) = blocks(PAGE, "python")
    example = example.replace("claims/", f"{route.name}/")
    # When it drops the file, and starts it too
    named = executed(
        example, inbox=road.inbox, state_machine=road.state_machine, content=b"a,b\n1,2\n"
    )["named"]
    # Then both are one run, under the name that the drop gives
    name = run_name(named["bucket"], named["key"], named["version_id"])
    arn = f"{road.state_machine.replace(':stateMachine:', ':execution:')}:{name}"
    assert road.ended(arn).output["status"] == "Succeeded"
    road.until(lambda: f'"correlation_id":"{name}"' in "".join(road.logs(name)), "StartRun's look")
    assert road.executions_of(named["key"]) == [arn]
    assert len(reader.stand_in.pipelines()[route.pipeline_id]["runs"]) == 1


def test_another_state_machine_waits_for_the_run_and_gets_its_output(reader: Reader) -> None:
    # Given a state machine and a policy that allows no more than it needs, as they are shown
    road, route = reader.road, reader.route()
    _, definition, policy = blocks(PAGE, "json")
    reader.makes_role(json.loads(policy))
    states = road.client("stepfunctions")
    machine = states.create_state_machine(
        name=reader.folder.name,
        roleArn=reader.role,
        definition=definition.replace("STATE_MACHINE_ARN", road.state_machine),
    )["stateMachineArn"]
    # When it is given a file
    key = f"{route.name}/may.csv.filepart"
    version = road.drop(key, b"a,b\n1,2\n")
    given = {"bucket": road.inbox, "key": key, "version_id": version}
    started = states.start_execution(stateMachineArn=machine, input=json.dumps(given))
    ended = road.ended(started["executionArn"])
    # Then its run has ended, under the name that it was given
    assert ended.status == "SUCCEEDED", ended.cause
    assert ended.output["status"] == "Succeeded"
    (arn,) = road.executions_of(key)
    assert arn.endswith(f":ours-{version}")
    assert json.loads(road.stored(ended.output["manifest"]))["execution_arn"] == arn
    # And under the same name it is not processed again
    again = states.start_execution(stateMachineArn=machine, input=json.dumps(given))
    assert "ExecutionAlreadyExists" in road.ended(again["executionArn"]).error
    assert len(reader.stand_in.pipelines()[route.pipeline_id]["runs"]) == 1


def test_the_output_that_is_shown_has_the_fields_of_a_runs(reader: Reader) -> None:
    # Given the output of a run
    route = reader.route()
    output = reader.road.processed(f"{route.name}/may.csv", b"a,b\n1,2\n").output
    # Then what is shown is of it
    shown = json.loads(blocks(PAGE, "json")[0])
    assert shown.keys() <= output.keys()
    assert shown["manifest"].rpartition("/")[2] == output["manifest"].rpartition("/")[2]


@pytest.mark.usefixtures("session")
def test_a_notebook_reads_what_a_run_has_made(
    reader: Reader, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a run
    route = reader.route()
    reader.road.processed(f"{route.name}/may.csv", b"a,b\n1,2\n3,4\n")
    # When the notebook's example reads it
    _, example = blocks(NOTEBOOK, "python")
    executed(example.replace("claims/", f"{route.name}/"), outbox=reader.road.outbox)
    # Then it has its rows
    assert capsys.readouterr().out == f"{route.name}/may.csv: 2 rows of Copy: Sheet 1\n"
