"""Packaging the template, and deploying it: what is replaced, what is kept, what is reported."""

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from local import deploy
from local.deploy import DeployFailed, create_stack, package, put_routes, read_template
from tests.build.checkout import ROOT

TEMPLATE = """
AWSTemplateFormatVersion: 2010-09-09
Conditions:
  Made: !Not [!Equals [!Ref Given, ""]]
Resources:
  Inbox:
    Type: AWS::S3::Bucket
    Condition: Made
    Properties: {BucketName: !Sub "in-${AWS::AccountId}"}
  Reader:
    Type: AWS::Serverless::Function
    Metadata: {BuildMethod: makefile}
    Properties:
      CodeUri: functions/reader/
      Role: !GetAtt Role.Arn
      Layers: [!Ref Layer]
      Environment:
        Variables: {INBOX: !If [Made, !Ref Inbox, !Ref AWS::NoValue], DAY: 2026-05-01}
  Layer:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: layers/, RetentionPolicy: Delete}
  Road:
    Type: AWS::Serverless::StateMachine
    Properties:
      DefinitionUri: road.asl.yaml
      DefinitionSubstitutions: {Reader: !GetAtt Reader.Arn}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project of a function, a layer's zip and a state machine."""
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    (tmp_path / "road.asl.yaml").write_text('StartAt: Läs\nStates: {Läs: {Resource: "${Reader}"}}')
    reader = tmp_path / "functions" / "reader"
    (reader / "__pycache__").mkdir(parents=True)
    (reader / "__pycache__" / "app.pyc").write_bytes(b"compiled")
    (reader / "app.py").write_text("def handler(event, context): return event\n")
    (reader / "notes.txt").write_text("not for Lambda")
    (tmp_path / "layer.zip").write_bytes(b"a zip")
    return tmp_path


def packaged(project: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The packaged template, and what was uploaded."""
    uploaded: dict[str, bytes] = {}

    def upload(name: str, content: bytes) -> str:
        uploaded[name] = content
        return f"s3://bucket/{name}"

    template = read_template(project / "template.yaml")
    return package(template, project, project / "layer.zip", upload), uploaded


# --- reading -----------------------------------------------------------------------------------
def test_short_tags_are_read_as_their_long_form_and_dates_as_text(project: Path) -> None:
    template = read_template(project / "template.yaml")
    assert template["AWSTemplateFormatVersion"] == "2010-09-09"
    assert template["Conditions"]["Made"] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": "Given"}, ""]}],
    }
    inbox, reader = template["Resources"]["Inbox"], template["Resources"]["Reader"]["Properties"]
    assert inbox["Properties"]["BucketName"] == {"Fn::Sub": "in-${AWS::AccountId}"}
    assert reader["Role"] == {"Fn::GetAtt": ["Role", "Arn"]}
    assert reader["Environment"]["Variables"] == {
        "INBOX": {"Fn::If": ["Made", {"Ref": "Inbox"}, {"Ref": "AWS::NoValue"}]},
        "DAY": "2026-05-01",
    }


def test_the_projects_own_template_becomes_json() -> None:
    template = read_template(ROOT / "template.yaml")
    assert json.loads(json.dumps(template)) == template


# --- packaging ---------------------------------------------------------------------------------
def test_local_paths_become_addresses_and_nothing_else_changes(project: Path) -> None:
    # When
    template, _ = packaged(project)
    # Then
    expected = read_template(project / "template.yaml")
    resources = expected["Resources"]
    resources["Reader"]["Properties"]["CodeUri"] = "s3://bucket/Reader.zip"
    resources["Layer"]["Properties"]["ContentUri"] = "s3://bucket/Layer.zip"
    resources["Road"]["Properties"]["DefinitionUri"] = "s3://bucket/Road.json"
    assert template == expected


def test_a_functions_zip_holds_its_python_files_and_is_the_same_every_time(project: Path) -> None:
    _, uploaded = packaged(project)
    with zipfile.ZipFile(io.BytesIO(uploaded["Reader.zip"])) as archive:
        assert archive.namelist() == ["app.py"]
        assert b"handler" in archive.read("app.py")
    os.utime(project / "functions" / "reader" / "app.py", (1_000_000_000, 1_000_000_000))
    assert packaged(project)[1] == uploaded


def test_the_state_machine_is_uploaded_as_json_with_its_placeholders(project: Path) -> None:
    _, uploaded = packaged(project)
    assert json.loads(uploaded["Road.json"])["States"]["Läs"]["Resource"] == "${Reader}"
    assert uploaded["Layer.zip"] == b"a zip"


# --- creating the stack ------------------------------------------------------------------------
class FakeCloudFormation:
    """A CloudFormation whose stack goes through the statuses that it is given."""

    def __init__(self, *statuses: str, events: tuple[tuple[str, str, str], ...] = ()) -> None:
        self.statuses = list(statuses)
        self.events = events
        self.created: dict[str, Any] = {}

    def create_stack(self, **request: Any) -> None:
        self.created = request

    def describe_stacks(self, **_: Any) -> dict[str, Any]:
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        outputs = [{"OutputKey": "InboxBucket", "OutputValue": "inbox"}]
        return {"Stacks": [{"StackStatus": status, "Outputs": outputs}]}

    def describe_stack_events(self, **_: Any) -> dict[str, Any]:
        return {
            "StackEvents": [
                {
                    "LogicalResourceId": name,
                    "ResourceType": "AWS::S3::Bucket",
                    "ResourceStatus": status,
                    "ResourceStatusReason": reason,
                }
                for name, status, reason in reversed(self.events)  # as AWS: the newest first
            ]
        }


def test_a_stack_is_waited_for_with_progress_and_gives_its_outputs() -> None:
    # Given a stack that takes two looks
    cloudformation = FakeCloudFormation(
        "CREATE_IN_PROGRESS", "CREATE_COMPLETE", events=(("Inbox", "CREATE_COMPLETE", ""),)
    )
    said: list[str] = []
    # When
    outputs = create_stack(cloudformation, "http://s3/t.json", {"Url": "http://x"}, said.append)
    # Then
    assert outputs == {"InboxBucket": "inbox"}
    assert said == ["deploying straight-through", "deploying straight-through: 1 resources made"]
    assert cloudformation.created["Parameters"] == [
        {"ParameterKey": "Url", "ParameterValue": "http://x"}
    ]
    assert "CAPABILITY_AUTO_EXPAND" in cloudformation.created["Capabilities"]


def test_a_stack_that_fails_names_the_resources_that_failed_by_themselves() -> None:
    # Given
    cloudformation = FakeCloudFormation(
        "ROLLBACK_COMPLETE",
        events=(
            ("Rule", "CREATE_FAILED", "Property Targets is wrong"),
            ("Inbox", "CREATE_FAILED", "Resource creation cancelled"),
            ("straight-through", "ROLLBACK_FAILED", "because"),
        ),
    )
    # When
    with pytest.raises(DeployFailed) as failed:
        create_stack(cloudformation, "", {}, lambda _: None)
    # Then
    assert str(failed.value).splitlines() == [
        "the stack ended as ROLLBACK_COMPLETE",
        "  Rule (AWS::S3::Bucket): Property Targets is wrong",
    ]


def test_a_stack_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy, "DEADLINE", 0)
    with pytest.raises(DeployFailed, match="not ready after 0 seconds"):
        create_stack(FakeCloudFormation("CREATE_IN_PROGRESS"), "", {}, lambda _: None)


def test_three_routes_are_put_each_a_json_document_of_its_folder() -> None:
    class Ssm:
        put: dict[str, Any] = {}  # noqa: RUF012

        def put_parameter(self, **parameter: Any) -> None:
            self.put[parameter["Name"]] = json.loads(parameter["Value"])

    put_routes(ssm := Ssm(), "/straight-through/routes")
    assert ssm.put.keys() == {
        f"/straight-through/routes/{folder}" for folder in ("claims", "claims/eu", "premiums")
    }
    assert ssm.put["/straight-through/routes/claims/eu"] == {
        "organisation_id": "c-broker",
        "dataset_id": "d-claims-eu",
        "pipeline_id": "p-claims-eu",
    }
