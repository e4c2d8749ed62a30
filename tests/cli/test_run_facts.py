"""What is read of a run, and what comes of it."""

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from stp import new_runs
from stp.endings import ending
from stp.run_facts import MARKS, Run, route_of, run_of, uploaded_as
from stp.runs import COMMANDS
from stp.shown_runs import run_details
from straight_through.names import LONGEST_RUN_NAME

BEGAN = datetime(2026, 5, 4, 8, 15, 30, tzinfo=UTC)
ARN = "arn:aws:states:eu-west-1:000000000000:execution:straight-through:r"
NEVER = "NOT_REDRIVABLE"
FILE = {"bucket": "inbox", "key": "claims/eu/may.csv", "version_id": "v1"}


def read(status: str, given: Any = FILE, output: Any = None, **more: Any) -> Run:
    """The run of an answer of DescribeExecution."""
    found = {
        "name": "r",
        "executionArn": ARN,
        "status": status,
        "startDate": BEGAN,
        "input": given if isinstance(given, str) else json.dumps(given),
        **({} if status == "RUNNING" else {"stopDate": BEGAN + timedelta(minutes=2)}),
        **({"output": json.dumps(output)} if output is not None else {}),
        **more,
    }
    return run_of(found, COMMANDS, ["claims", "claims/eu"], {})


def ended(status: str) -> Run:
    """A run that has returned a status."""
    made = {"bucket": "outbox", "manifest": "claims/may/r/manifest.json"}
    return read("SUCCEEDED", output={"status": status, "route": "claims", **made})


# --- reading -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("status", "told", "tone"),
    [
        ("RUNNING", "Running", "now"),
        ("PENDING_REDRIVE", "Running", "now"),
        ("FAILED", "Failed", "bad"),
        ("TIMED_OUT", "TimedOut", "bad"),
        ("ABORTED", "Aborted", "still"),
    ],
)
def test_a_status_of_step_functions_has_our_word(status: str, told: str, tone: str) -> None:
    run = read(status)
    assert (run.status, run.tone, run.running) == (told, tone, told == "Running")
    assert tone in MARKS


@pytest.mark.parametrize(
    ("status", "tone"),
    [("Succeeded", "good"), ("Skipped", "good"), ("Held", "held"), ("Whatever", "bad")],
)
def test_a_status_that_a_run_returned_is_told_and_none_unknown_is_good(
    status: str, tone: str
) -> None:
    run = ended(status)
    assert (run.status, run.tone) == (status, tone)
    assert run.manifest == ("outbox", "claims/may/r/manifest.json")


def test_a_run_without_outputs_has_no_manifest() -> None:
    assert read("RUNNING").manifest is None
    assert read("FAILED", error="NoRoute").manifest is None


@pytest.mark.parametrize("given", ["[1]", "none", '{"key": 7}', "null"])
def test_what_a_person_has_typed_names_no_file(given: str) -> None:
    run = read("FAILED", given, error="InputInvalid")
    assert (run.key, run.facts["route"], run.releases) == ("", None, "")


def test_the_route_is_that_of_the_deepest_folder_until_a_function_has_told_it() -> None:
    assert read("RUNNING").facts["route"] == "claims/eu"
    assert ended("Succeeded").facts["route"] == "claims"


def test_the_deepest_folder_with_a_route_has_the_file() -> None:
    routes = ["claims", "claims/eu"]
    assert route_of("claims/eu/q2/may.csv", routes) == "claims/eu"
    assert route_of("claims/us/may.csv", routes) == "claims"
    assert route_of("other/may.csv", routes) is None


def test_whether_it_can_be_redriven_is_what_step_functions_says() -> None:
    why = "Execution is too old"
    refused = read("FAILED", redriveStatus="NOT_REDRIVABLE", redriveStatusReason=why)
    assert refused.redrivable == why
    assert read("FAILED").redrivable == ""
    assert read("RUNNING").redrivable == "it is Running"


# --- what to do next -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("run", "hint"),
    [
        (read("FAILED", error="PipelineFailed"), "stp redrive r"),
        (read("FAILED", error="EmptyFile"), "stp drop"),
        (read("FAILED", error="ExecuteUncertain"), "stp rerun r"),
        (read("FAILED", {}, error="States.Runtime"), "stp drop"),
        (read("FAILED", error=None), "stp redrive r"),
        (read("FAILED", error="States.Runtime", redriveStatus=NEVER), "stp rerun --attach r"),
        (read("ABORTED", redriveStatus=NEVER), "stp rerun --attach r"),
        (read("TIMED_OUT"), "stp redrive r"),
        (read("ABORTED"), "stp redrive r"),
        (read("RUNNING"), "Wait for its end."),
        (ended("Held"), "stp release r"),
        (ended("Succeeded"), "Nothing."),
    ],
)
def test_what_to_do_next_is_a_command(run: Run, hint: str) -> None:
    assert hint in run.facts["next"]
    assert not any(mark in run.facts["next"] for mark in ("<run>", "{run}"))


# --- new runs ------------------------------------------------------------------------------------
def test_a_run_again_is_of_the_version_that_was_pinned() -> None:
    # Given a run that a person has started without a version
    given = {"bucket": "inbox", "key": "claims/may.csv"}
    assert (new_runs.again("r", given, {}) or ())[1:] == (given,)
    # When its function has pinned one
    record = {"source": {**given, "version_id": "v7", "size": 3}}
    # Then that one is processed again
    name, again = new_runs.again("r", given, record) or ("", {})
    assert again == {**given, "version_id": "v7"}
    assert name.startswith("r-again-")
    # and a run of no file is not
    assert new_runs.again("r", {"release": "held"}, {}) is None


def test_a_new_runs_name_tells_its_origin_is_no_other_and_fits() -> None:
    longest = "x" * (LONGEST_RUN_NAME - 20) + "-" * 20
    names = [new_runs.release(longest)[0] for _ in range(3)]
    assert len(set(names)) == 3
    assert all(len(name) <= LONGEST_RUN_NAME and "x-release-" in name for name in names)
    assert new_runs.release("r")[1] == {"release": "r"}


@pytest.mark.parametrize(
    ("given", "status", "told"),
    [
        (FILE, "Succeeded", "uploaded"),
        (FILE, "Skipped", "found the same bytes"),
        (FILE | {"execution_id": "e-1"}, "Succeeded", "found its execution"),
        ({"route": "claims"}, "Succeeded", "executed"),
        ({"route": "claims", "execution_id": "e-1"}, "Succeeded", "found its execution"),
    ],
)
def test_only_a_run_that_uploads_a_file_is_told_to(
    given: dict[str, str], status: str, told: str
) -> None:
    run = read("SUCCEEDED", given, output={"status": status, "route": "claims"})
    assert uploaded_as(run) == told


def test_where_quantemplate_shows_why_is_told_of_a_run() -> None:
    # Given a run whose pipeline has failed, in a stack that says where its page is
    found = {
        "name": "r",
        "executionArn": ARN,
        "status": "FAILED",
        "error": "PipelineFailed",
        "startDate": BEGAN,
        "stopDate": BEGAN,
        "input": json.dumps(FILE),
    }
    record = {"execution": {"organisation_id": "c-1", "pipeline_id": "p-1"}}
    run = run_of(found, COMMANDS, ["claims"], record, "https://qt.example/{pipeline_id}")
    # When it is shown, and at its end
    console = Console(file=io.StringIO(), width=200)
    console.print(run_details(run, [], {}))
    # Then people are led there
    assert "  pipeline      https://qt.example/p-1\n" in console.file.getvalue()  # type: ignore[attr-defined]
    assert "The pipeline in Quantemplate: https://qt.example/p-1" in ending(run, [])
