"""Bad input and a misbehaving Quantemplate: a clear end, or none at all, and nothing lost."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from local.deploy import ORGANISATION
from local.quantemplate import Control
from tests.end_to_end.mailbox import Mailbox
from tests.end_to_end.road import Road, Route
from tests.end_to_end.stack import make_route

CONTENT = b"reference,amount\nA-1,100\n"


@pytest.fixture(autouse=True)
def _well_again(stand_in: Control) -> Iterator[None]:
    """The stand-in behaves after each test."""
    yield
    stand_in.clear_troubles()


def processed(road: Road, route: Route, content: bytes = CONTENT) -> Any:
    """The run of a file that is dropped into the route's folder."""
    return road.processed(f"{route.name}/{uuid.uuid4().hex}.csv", content)


def executed(stand_in: Control, route: Route) -> int:
    """How many runs the route's pipeline has."""
    return len(stand_in.pipelines()[route.pipeline_id]["runs"])


@dataclass(frozen=True)
class Trouble:
    """An order to the stand-in, and what an operator must see."""

    error: str
    failed_at: str
    says: str
    operation: str
    kind: str
    order: dict[str, Any] = field(default_factory=dict)


FINAL = [
    Trouble(
        "UploadRefused", "UploadAndExecute", "Can edit", "upload_dataset", "reply", {"status": 403}
    ),
    Trouble(
        "AccessDenied", "UploadAndExecute", "Can edit", "execute_pipeline", "reply", {"status": 403}
    ),
    Trouble("NotFound", "UploadAndExecute", "route", "upload_dataset", "reply", {"status": 404}),
    Trouble("UploadRefused", "UploadAndExecute", "400", "upload_dataset", "reply", {"status": 400}),
    Trouble(
        "RequestRefused", "UploadAndExecute", "400", "execute_pipeline", "reply", {"status": 400}
    ),
    Trouble("NotFound", "UploadAndExecute", "route", "list_executions", "reply", {"status": 404}),
    Trouble("CredentialsRejected", "UploadAndExecute", "secret", "token", "reply", {"status": 401}),
    Trouble(
        "PipelineFailed",
        "CheckStatus",
        "redrive",
        "execute_pipeline",
        "run",
        {"run": {"end_status": "Failed"}},
    ),
    Trouble(
        "PipelineCancelled",
        "CheckStatus",
        "cancelled",
        "execute_pipeline",
        "run",
        {"run": {"end_status": "Cancelled"}},
    ),
    Trouble(
        "PipelineCancelled",
        "CheckStatus",
        "cancelled",
        "execute_pipeline",
        "run",
        {"run": {"end_status": "Canceled", "keep_outputs": True}},
    ),
    Trouble(
        "PipelineEndUnknown",
        "CheckStatus",
        "same input",
        "execute_pipeline",
        "run",
        {"run": {"end_status": "Completed"}},
    ),
    Trouble("NotFound", "DownloadOutput", "404", "download_output", "reply", {"status": 404}),
    Trouble("OutputIncomplete", "DownloadOutput", "broke off", "download_output", "short"),
    Trouble("OutputIncomplete", "DownloadOutput", "gzip", "download_output", "gzip"),
]


@pytest.mark.parametrize("trouble", FINAL, ids=lambda t: f"{t.operation}-{t.kind}-{t.order}")
def test_final_trouble_ends_where_it_happened(
    road: Road, stand_in: Control, copy_route: Route, trouble: Trouble
) -> None:
    # Given a Quantemplate that misbehaves for good
    if trouble.operation == "token":
        stand_in.expire_tokens()
    stand_in.trouble(trouble.operation, trouble.kind, times=None, **trouble.order)
    # When a file is dropped
    key = f"{copy_route.name}/may.csv"
    run = road.processed(key, CONTENT)
    # Then the execution fails at that state, by that name, and says which file and what to do
    assert (run.status, run.error, run.failed_at) == ("FAILED", trouble.error, trouble.failed_at)
    assert trouble.says in run.cause
    assert key in run.cause
    # And the file stays, nothing is written, and the pipeline was executed once at most
    assert road.in_inbox(key)
    assert road.stored_keys(copy_route.name) == []
    assert executed(stand_in, copy_route) <= 1


TRANSIENT = [
    ("token", "reply", {"status": 503}),
    ("list_executions", "reply", {"status": 429, "retry_after": 7}),
    ("list_executions", "reply", {"status": 502, "skip": 1}),
    ("list_executions", "drop", {}),
    ("list_executions", "html", {}),
    ("list_executions", "redirect", {"skip": 1}),
    ("list_executions", "reply", {"status": 202, "skip": 1}),
    ("upload_dataset", "html", {}),
    ("upload_dataset", "redirect", {}),
    ("upload_dataset", "reply", {"status": 409}),
    ("upload_dataset", "reply", {"status": 200, "body": '{"error": "no space"}'}),
    ("list_executions", "reply", {"status": 404, "skip": 1}),
    ("upload_dataset", "reply", {"status": 429}),
    ("upload_dataset", "reply", {"status": 500, "when": "after"}),
    ("upload_dataset", "drop", {"after_bytes": 10}),
    ("upload_dataset", "drop", {"when": "after"}),
    ("execute_pipeline", "reply", {"status": 429, "retry_after_date": 5}),
    ("execute_pipeline", "drop", {"when": "after"}),
    ("execute_pipeline", "drop", {"when": "before"}),
    ("execute_pipeline", "reply", {"status": 503}),
    ("execute_pipeline", "reply", {"status": 504, "when": "after"}),
    ("execute_pipeline", "html", {"when": "after"}),
    ("execute_pipeline", "reply", {"status": 204, "when": "after"}),
    ("execute_pipeline", "run", {"run": {"hidden_calls": 2}}),
    ("execute_pipeline", "run", {"run": {"running_status": "Paused"}}),
    ("execute_pipeline", "run", {"run": {"running_status": None, "outputs_before": "empty"}}),
    ("execute_pipeline", "run", {"run": {"started_ahead": 36000}}),
    ("execute_pipeline", "run", {"run": {"started_ahead": None}}),
    ("download_output", "reply", {"status": 503}),
    ("download_output", "reply", {"status": 429, "retry_after": 2}),
    ("download_output", "html", {}),
    ("download_output", "reply", {"status": 202}),
    ("download_output", "reply", {"status": 204}),
    ("download_output", "short", {}),
    ("download_output", "drop", {}),
    ("download_output", "gzip", {}),
]


@pytest.mark.parametrize(("operation", "kind", "order"), TRANSIENT, ids=str)
def test_passing_trouble_delays_and_no_more(
    road: Road,
    stand_in: Control,
    copy_route: Route,
    operation: str,
    kind: str,
    order: dict[str, Any],
) -> None:
    # Given a Quantemplate that misbehaves once
    if operation == "token":
        stand_in.expire_tokens()
    stand_in.trouble(operation, kind, **order)
    # When a file is dropped
    run = processed(road, copy_route)
    # Then it is processed all the same, with one run and a whole output
    assert run.status == "SUCCEEDED", run.cause
    assert stand_in.troubles() == []
    assert executed(stand_in, copy_route) == 1
    (output,) = road.manifest(run)["outputs"]
    assert road.stored(output["key"]) == CONTENT


def test_an_execute_of_which_two_runs_may_come_is_uncertain(
    road: Road, stand_in: Control, copy_route: Route
) -> None:
    # Given an Execute that makes two runs at once, and whose reply is lost
    stand_in.trouble("execute_pipeline", "run", run={"duplicate": True})
    stand_in.trouble("execute_pipeline", "drop", when="after")
    # When a file is dropped
    run = processed(road, copy_route)
    # Then a person must look, and nothing more is executed
    assert (run.error, run.failed_at) == ("ExecuteUncertain", "UploadAndExecute")
    assert "Look at them in Quantemplate" in run.cause
    assert executed(stand_in, copy_route) == 2


def test_an_unknown_end_lets_the_next_file_go_on_and_a_redrive_executes_nothing(
    road: Road, stand_in: Control, copy_route: Route
) -> None:
    # Given a run that ends with a status that nobody knows
    plan = {"end_status": "Completed"}
    stand_in.trouble("execute_pipeline", "run", id=copy_route.pipeline_id, run=plan)
    first = processed(road, copy_route)
    assert first.error == "PipelineEndUnknown"
    assert "'Completed'" in first.cause
    # Then the next file goes through, and nothing of the first was fetched
    assert processed(road, copy_route).status == "SUCCEEDED"
    # And a redrive looks again, and executes nothing
    assert road.redrive(first).error == "PipelineEndUnknown"
    assert executed(stand_in, copy_route) == 2


def test_two_files_that_meet_the_same_at_the_list_pause_their_queue_with_one_message(
    road: Road, stand_in: Control, copy_route: Route, mailbox: Mailbox
) -> None:
    # Given a list that is refused for good
    stand_in.trouble("list_executions", "reply", id=copy_route.pipeline_id, times=None, status=400)
    first = processed(road, copy_route)
    assert first.error == "RequestRefused"
    assert road.redrive(first).error == "RequestRefused"
    # When a second file meets it
    second = processed(road, copy_route)
    assert second.error == "RequestRefused"
    # Then people are told once, and a third file waits
    told = f"Queue {copy_route.pipeline_id} is paused"
    road.until(lambda: mailbox.messages(told), "the message")
    key = f"{copy_route.name}/third.csv"
    road.drop(key, CONTENT)
    (waits,) = road.until(lambda: road.executions_of(key), "the third file's execution")
    # When it is mended and the second one redriven, all go through
    stand_in.clear_troubles()
    assert road.redrive(second).status == "SUCCEEDED"
    assert road.ended(waits).status == "SUCCEEDED"
    assert len(mailbox.messages(told)) == 1


def test_tokens_that_expire_are_renewed(road: Road, stand_in: Control, copy_route: Route) -> None:
    # Given tokens that expire between two calls
    assert processed(road, copy_route).status == "SUCCEEDED"
    stand_in.expire_tokens()
    # When the next file is dropped
    run = processed(road, copy_route)
    # Then nobody notices
    assert run.status == "SUCCEEDED", run.cause


def test_rotated_credentials_are_read_again(
    road: Road, stand_in: Control, copy_route: Route
) -> None:
    # Given functions that know the old credentials
    assert processed(road, copy_route).status == "SUCCEEDED"
    old = stand_in.client_secret
    # When the secret is rotated on both sides
    secrets = road.client("secretsmanager")
    before = secrets.get_secret_value(SecretId=road.secret)["SecretString"]
    try:
        stand_in.rotate_credentials("rotated")
        stand_in.expire_tokens()
        secrets.put_secret_value(SecretId=road.secret, SecretString=before.replace(old, "rotated"))
        run = processed(road, copy_route)
    finally:
        stand_in.rotate_credentials(old)
        secrets.put_secret_value(SecretId=road.secret, SecretString=before)
        stand_in.expire_tokens()
    # Then the next file goes through
    assert run.status == "SUCCEEDED", run.cause


@pytest.mark.parametrize("value", [None, "not json", '{"client_id": "x"}', '["a", "b"]'])
def test_a_secret_without_credentials_is_named(
    road: Road, copy_route: Route, value: str | None
) -> None:
    # Given a secret without a value, or with one of another shape, and functions that start cold
    secrets = road.client("secretsmanager")
    wrong = secrets.create_secret(
        Name=f"s-{uuid.uuid4().hex}", **({"SecretString": value} if value else {})
    )
    functions, name = road.client("lambda"), "straight-through-upload_and_execute"
    role = functions.get_function_configuration(FunctionName=name)["Role"].rpartition("/")[2]
    environment = functions.get_function_configuration(FunctionName=name)["Environment"]
    changed = environment["Variables"] | {"CREDENTIALS_SECRET_ARN": wrong["ARN"]}
    iam = road.client("iam")
    allow = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_role_policy(RoleName=role, PolicyName="wrong", PolicyDocument=policy)
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": changed})
    try:
        # When a file is dropped
        run = processed(road, copy_route)
    finally:
        functions.update_function_configuration(FunctionName=name, Environment=environment)
        iam.delete_role_policy(RoleName=role, PolicyName="wrong")
    # Then the message names the secret and what to put there
    assert (run.error, run.failed_at) == ("CredentialsMissing", "UploadAndExecute")
    assert wrong["ARN"] in run.cause
    assert "client_secret" in run.cause
    assert "not json" not in run.cause


def test_no_route_says_how_to_add_one_and_redrive_goes_on(road: Road, stand_in: Control) -> None:
    # Given a folder without a route
    folder = f"r{uuid.uuid4().hex[:8]}"
    run = road.processed(f"{folder}/may.csv", CONTENT)
    assert (run.error, run.failed_at) == ("NoRoute", "CheckFile")
    assert f"/straight-through/routes/{folder}" in run.cause
    # When the route is added and the execution redriven
    target = make_route(road, stand_in, "Copy")
    road.route_to(target.dataset_id, target.pipeline_id, folder)
    redriven = road.redrive(run)
    # Then the same execution succeeds
    assert redriven.status == "SUCCEEDED", redriven.cause
    assert redriven.arn == run.arn


@pytest.mark.parametrize("key", ["may.csv", "no route here/may.csv", "ünder/may.csv"])
def test_a_key_that_can_have_no_route_is_told(road: Road, key: str) -> None:
    # Given a key without a folder that could have a route
    # When it is dropped
    run = road.processed(key, CONTENT)
    # Then the message names the key and what a folder may be called
    assert (run.error, run.failed_at) == ("NoRoute", "CheckFile")
    assert "letters, digits" in run.cause


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ({"organisation_id": ORGANISATION, "dataset_id": "d-x"}, "pipeline_id"),
        (
            {"organisation_id": ORGANISATION, "dataset_id": "p-x", "pipeline_id": "p-x"},
            "dataset_id",
        ),
        (
            {"organisation_id": ORGANISATION, "dataset_id": "d-x", "pipeline_id": "p-x", "to": 1},
            "'to'",
        ),
    ],
)
def test_a_wrong_route_names_the_field(road: Road, document: Any, says: str) -> None:
    # Given a route that is not one
    folder = f"r{uuid.uuid4().hex[:8]}"
    road.put_route(folder, document)
    # When a file is dropped there
    run = road.processed(f"{folder}/may.csv", CONTENT)
    # Then the message names the route and the field
    assert (run.error, run.failed_at) == ("RouteInvalid", "CheckFile")
    assert folder in run.cause
    assert says in run.cause


def test_an_unknown_dataset_is_told(road: Road, copy_route: Route) -> None:
    # Given a route with an id that Quantemplate does not know
    route = road.route_to("d-unknown", copy_route.pipeline_id)
    # When a file is dropped
    run = processed(road, route)
    # Then the message names the id
    assert (run.error, run.failed_at) == ("NotFound", "UploadAndExecute")
    assert "d-unknown" in run.cause


def test_an_empty_file_is_told(road: Road, stand_in: Control, copy_route: Route) -> None:
    # Given an empty file
    # When it is dropped
    run = processed(road, copy_route, b"")
    # Then it is refused when no other has replaced it in time, and before anything is uploaded
    assert (run.error, run.failed_at) == ("EmptyFile", "CheckFile")
    assert stand_in.datasets()[copy_route.dataset_id]["versions"] == []


@pytest.mark.parametrize("missing", ["key", "version", "bucket"])
def test_a_file_that_is_not_there_is_told(road: Road, copy_route: Route, missing: str) -> None:
    # Given an input that names what does not exist
    key = f"{copy_route.name}/may.csv"
    named = {"bucket": road.inbox, "key": key}
    if missing == "version":
        road.processed(key, CONTENT)
        named["version_id"] = "00000000-0000-0000-0000-000000000000"
    if missing == "bucket":
        named["bucket"] = "no-such-bucket-anywhere"
    # When it is started by hand
    run = road.ended(road.start(named))
    # Then the message names it
    assert run.failed_at == "CheckFile"
    assert run.error in ("SourceNotFound", "SourceDenied")
    assert key in run.cause


@pytest.mark.parametrize("wrong", [{}, {"bucket": "b"}, {"bucket": 1, "key": "k"}, [1], "x"])
def test_an_input_that_names_no_file_is_told(road: Road, wrong: Any) -> None:
    # Given an input that a person mistyped
    # When it is started by hand
    run = road.ended(road.start(wrong))
    # Then the message shows what an input looks like
    assert (run.error, run.failed_at) == ("InputInvalid", "CheckFile")
    assert "claims/may.csv" in run.cause


def test_redrive_fetches_only_what_is_missing(road: Road, stand_in: Control) -> None:
    # Given a run of which one output cannot be downloaded
    route = make_route(road, stand_in, "One", "Two", "Three")
    # The last one, when the others are stored: a failing Map aborts what it has not finished.
    last = {"id": route.pipeline_id, "skip": 2}
    stand_in.trouble("download_output", "delay", seconds=3, **last)
    stand_in.trouble("download_output", "reply", status=404, **last)
    run = processed(road, route)
    assert (run.error, run.failed_at) == ("NotFound", "DownloadOutput")
    assert not any(key.endswith("manifest.json") for key in road.stored_keys(route.name))
    before = downloads(stand_in, route)
    # When it is redriven
    redriven = road.redrive(run)
    # Then it looks like one that succeeded at first, with one run and one download more
    assert redriven.status == "SUCCEEDED", redriven.cause
    assert executed(stand_in, route) == 1
    assert [output["name"] for output in road.manifest(redriven)["outputs"]] == [
        "One",
        "Two",
        "Three",
    ]
    assert (before, downloads(stand_in, route)) == (2, 3)


def downloads(stand_in: Control, route: Route) -> int:
    """How many outputs of the route's pipeline were downloaded."""
    entries = stand_in.journal("output_downloaded")
    return sum(entry["pipeline"] == route.pipeline_id for entry in entries)
