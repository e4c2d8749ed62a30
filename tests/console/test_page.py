"""The page as it is served, where nothing of the application is there yet or any more."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Page, expect

from local.console.facts import STEPS
from local.console.served import FOLDER, PATH
from local.deploy import REGION, STACK_NAME
from local.quantemplate import Control
from local.stack import free_port
from stp.timeline import STOPPED_AT
from straight_through.names import run_name
from straight_through.telling.remedies import what_to_do
from tests.cli.histories import BEGAN, entered, event, history, passed
from tests.console.console import Console
from tests.end_to_end.aws import running_aws

FOREIGN = "https://somewhere.example"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A local AWS without any stack."""
    with running_aws(tmp_path_factory.mktemp("page") / "log", "--port", "0") as (endpoint, _):
        yield endpoint


@pytest.fixture
def http() -> Iterator[requests.Session]:
    """A client that asks no proxy, since none leads back to this machine."""
    with requests.Session() as session:
        session.trust_env = False
        yield session


def test_its_files_are_served_and_nothing_else(http: requests.Session, endpoint: str) -> None:
    for path in FOLDER.iterdir():
        reply = http.get(f"{endpoint}{PATH}{path.name}", timeout=60)
        assert (reply.status_code, reply.content) == (200, path.read_bytes())
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["cache-control"] == "no-store"
        assert "script-src 'self'; style-src 'self'" in reply.headers["content-security-policy"]
    for other in ("none.js", "%2e%2e/up.py", "..%2fup.py", "/index.html", "../../etc/passwd"):
        request = requests.Request("GET", endpoint).prepare()
        request.url = f"{endpoint}{PATH}{other}"  # as it is, without tidying
        assert http.send(request, timeout=60).status_code == 404, other
    assert http.put(f"{endpoint}{PATH}main.js", timeout=60).status_code == 405
    assert http.get(f"{endpoint}{PATH[:-1]}", timeout=60).url == f"{endpoint}{PATH}"


@pytest.mark.parametrize("error", ["AwsUnavailable", "PipelineFailed", None])
def test_its_advice_is_the_packages_in_the_words_of_its_buttons(
    http: requests.Session, endpoint: str, error: str | None
) -> None:
    (run,) = read(http, endpoint, answer("FAILED", error=error))
    assert run["next"] == what_to_do(error, STEPS)
    assert "edrive" in run["next"]
    (run,) = read(http, endpoint, answer("ABORTED"))
    assert run["next"] == "Somebody stopped the run. To go on, Redrive."


def test_runs_are_told_as_stp_reads_them_many_at_once(
    http: requests.Session, endpoint: str
) -> None:
    # Given runs that ended well, are held, failed and go on
    held = [{"name": "Report", "rows": 2}]
    result = {"bucket": "outbox", "manifest": "claims/may/r/manifest.json", "rows_in": 1234}
    cause = json.dumps({"errorMessage": "why"})
    released = json.dumps({"release": "other"})
    given = [
        answer("SUCCEEDED", output=json.dumps({**result, "status": "Succeeded"})),
        answer("SUCCEEDED", output=json.dumps({**result, "status": "Held", "held": held})),
        answer("FAILED", error="PipelineFailed", cause=cause, redriveStatus="REDRIVABLE"),
        answer("RUNNING", input=released),
    ]
    # When the page asks for all of them
    good, gated, bad, going = read(http, endpoint, *given)
    # Then each is told
    assert [each["status"] for each in (good, gated, bad, going)] == [
        "Succeeded",
        "Held",
        "Failed",
        "Running",
    ]
    assert (good["tone"], good["mark"], good["next"]) == ("good", "✓", "")
    assert (good["key"], good["route"]) == ("claims/eu/may.csv", "claims")
    assert (good["rows_in"], good["manifest"]) == (
        "1,234",
        ["outbox", "claims/may/r/manifest.json"],
    )
    assert good["stopped"] - good["started"] == 60_000
    assert gated["held_because"] == ["'Report' has 2 rows"]
    assert "Release" in gated["next"]
    assert (bad["error"], bad["message"], bad["ended_badly"]) == ("PipelineFailed", "why", True)
    assert bad["redrivable"]
    assert (going["running"], going["stopped"], going["releases"]) == (True, None, "other")
    assert going["record"] == ["run#r", "record"]


def test_what_the_list_and_the_table_know_of_a_run_is_told_without_its_input(
    http: requests.Session, endpoint: str
) -> None:
    # Given entries of ListExecutions, and what the table has of their runs
    entry = answer("SUCCEEDED")
    del entry["input"]
    minutes = [(BEGAN + timedelta(seconds=each)).isoformat() for each in (10, 20)]
    record = {
        "route": "claims",
        "queue": "p-claims",
        "source": {"bucket": "inbox", "key": "claims/may.csv"},
        "posted": {"granted_at": minutes[0], "measures": {"rows": 7}},
        "execution": {"executed_at": minutes[1], "measures": {"rows": 8}},
    }
    given = {"executions": [entry], "routes": ["claims"]}
    (told,) = fact(http, endpoint, "runs", **given, records={"r": record})
    # Then it is told where it ran and how it spent its time
    assert (told["key"], told["route"], told["queue"]) == ("claims/may.csv", "claims", "p-claims")
    assert (told["status"], told["rows"], told["whole"]) == ("Succeeded", 8, False)
    assert told["uploaded_as"] == "uploaded"
    began = round(BEGAN.timestamp() * 1000)
    assert told["stretches"] == [
        ["waited", began, began + 10_000],
        ["uploaded", began + 10_000, began + 20_000],
        ["ran", began + 20_000, began + 60_000],
    ]
    # and that a gate holds it, until it was released
    held = record | {"held": "held/claims/manifest.json"}
    (told,) = fact(http, endpoint, "runs", **given, records={"r": held})
    assert (told["status"], told["tone"], told["open_hold"]) == ("Held", "held", True)
    by = {"released_by": "arn:x:other", "release_began": minutes[0], "released_at": minutes[1]}
    (told,) = fact(http, endpoint, "runs", **given, records={"r": held | by})
    assert (told["tone"], told["open_hold"], told["released_by"]) == ("good", False, "other")


def test_what_stands_out_among_runs_is_told_by_their_names(
    http: requests.Session, endpoint: str
) -> None:
    run = {"route": "claims", "seconds": 60, "rows": 100, "running": False, "ended_well": True}
    runs = [run | {"name": f"r{n}"} for n in range(3)]
    runs += [run | {"name": "few", "rows": 3, "ended_well": False}]
    assert fact(http, endpoint, "unusual", runs=runs) == {
        "few": {"rows": "few rows: usual are about 100"}
    }


def read(http: requests.Session, endpoint: str, *given: dict[str, Any]) -> Any:
    """What the page is told of runs."""
    return fact(http, endpoint, "runs", executions=given, routes=["claims"], records={})


def answer(status: str, **more: Any) -> dict[str, Any]:
    """What DescribeExecution answers in JSON."""
    arn = f"arn:aws:states:{REGION}:000000000000:execution:{STACK_NAME}:r"
    file = {"bucket": "inbox", "key": "claims/eu/may.csv"}
    began = BEGAN.timestamp()
    return {
        "name": "r",
        "executionArn": arn,
        "stateMachineArn": "arn:machine",
        "status": status,
        "startDate": began,
        "input": json.dumps(file),
        **({} if status == "RUNNING" else {"stopDate": began + 60}),
        **more,
    }


def test_which_run_a_drop_starts_is_what_the_functions_would_name_it(
    http: requests.Session, endpoint: str
) -> None:
    told = fact(http, endpoint, "dropped", bucket="inbox", key="claims/may.csv", version="v1")
    assert told == {"run": run_name("inbox", "claims/may.csv", "v1")}


@pytest.mark.parametrize(
    ("key", "size", "why"),
    [
        ("in/claims/may.csv", 1, ""),
        ("in/claims/may.csv", 0, "may.csv is empty"),
        ("in/claims/._may.csv", 1, "would start nothing: its name fits ._*"),
        ("in/claims/may.note", 1, "would start nothing: its name fits *.note of the stack's"),
        ("claims/may.csv", 1, "takes only keys that begin with 'in/'"),
    ],
)
def test_what_is_not_uploaded_is_told_as_stp_tells_it(
    http: requests.Session, endpoint: str, key: str, size: int, why: str
) -> None:
    given = {"key": key, "size": size, "patterns": "*.note", "prefix": "in/"}
    told = fact(http, endpoint, "refused", **given)
    assert why in told
    assert bool(told) == bool(why)


@pytest.mark.parametrize(
    "path", ["/", "/_local", "/_local/", "/_local/no", "/a/b", f"{PATH}nothing"]
)
def test_addresses_near_the_page_lead_to_it(page: Page, endpoint: str, path: str) -> None:
    page.goto(f"{endpoint}{path}")
    expect(page).to_have_url(f"{endpoint}{PATH}#/runs")


def test_queues_are_those_that_were_used_and_those_of_sound_routes(
    http: requests.Session, endpoint: str
) -> None:
    # Given a route with a queue of its own, one that has none, and two that are not sound
    ids = {"organisation_id": "c-1", "dataset_id": "d-1", "pipeline_id": "p-1"}
    routes = {"a": {**ids, "queue": "shared"}, "b": ids, "c": None, "d": {"pipeline_id": "p-9"}}
    paused = {"since": "2026-05-01T12:00:00.000Z", "reason": "month end"}
    used = [{"pk": "queues", "sk": "shared", "paused": paused}, {"pk": "queues", "sk": "old"}]
    # When they are asked for
    told = fact(http, endpoint, "queues", routes=routes, used=used)
    # Then each has its routes, and what was known of it
    assert [(each["name"], each["routes"]) for each in told] == [
        ("old", []),
        ("p-1", ["b"]),
        ("shared", ["a"]),
    ]
    assert told[2]["paused"] == paused
    assert told[1]["tickets"] == "tickets#p-1"


def test_a_new_run_is_named_and_given_what_stp_gives_it(
    http: requests.Session, endpoint: str
) -> None:
    file = {"bucket": "inbox", "key": "claims/may.csv"}
    source = {**file, "version_id": "v1", "size": 3}
    asked = {"what": "again", "run": "r", "given": file, "record": {"source": source}}
    told = fact(http, endpoint, "new_run", **asked)
    assert told["name"].startswith("r-again-")
    assert told["input"] == {**file, "version_id": "v1"}
    assert fact(http, endpoint, "new_run", **{**asked, "given": {}, "record": {}}) is None
    told = fact(http, endpoint, "new_run", **{**asked, "what": "release"})
    assert told["name"].startswith("r-release-")
    assert told["input"] == {"release": "r"}


def fact(http: requests.Session, endpoint: str, name: str, **given: Any) -> Any:
    """What the page is told."""
    reply = http.post(f"{endpoint}{PATH}{name}.json", json=given, timeout=60)
    assert reply.headers["content-type"] == "application/json"
    return reply.json()


def test_a_history_is_told_as_stp_reads_it(http: requests.Session, endpoint: str) -> None:
    # Given a run that failed, was redriven and goes on, as AWS tells of it in JSON
    cause = json.dumps({"errorMessage": "why"})
    failed: Any = {"taskFailedEventDetails": {"error": "PipelineFailed", "cause": cause}}
    events = history(
        passed("TakeTurn", 0, 1.5),
        entered(1.5, "CheckStatus"),
        event(2, "TaskScheduled"),
        event(3, "TaskFailed", **failed),
        event(4, "ExecutionFailed"),
        event(9, "ExecutionRedriven"),
        event(10, "TaskScheduled"),
    )
    answered = [{**each, "timestamp": each["timestamp"].timestamp()} for each in events]
    # Then its steps are told
    told = fact(http, endpoint, "timeline", events=answered)
    began = round(BEGAN.timestamp() * 1000)
    turn, check = told["steps"]
    assert (turn["name"], turn["status"], turn["seconds"]) == ("TakeTurn", "done", 1.5)
    assert turn["visits"] == [
        {
            "entered": 1,
            "exited": 2,
            "status": "done",
            "tries": 0,
            "stretches": [[began, began + 1500]],
            "failures": [],
        }
    ]
    assert check["visits"] == [
        {
            "entered": 3,
            "exited": None,
            "status": "current",
            "tries": 2,
            "stretches": [[began + 1500, began + 4000], [began + 9000, None]],
            "failures": [{"at": began + 3000, "error": "PipelineFailed", "message": "why"}],
        }
    ]
    # and where it is
    assert (told["current"], told["last"], told["ended_at"]) == ("CheckStatus", 3, "")
    assert told["if_stopped"] == STOPPED_AT["CheckStatus"]
    # and where it had failed
    told = fact(http, endpoint, "timeline", events=answered[:6])
    assert (told["current"], told["ended_at"]) == ("", "CheckStatus")


def test_facts_are_told_to_the_page_itself_only(http: requests.Session, endpoint: str) -> None:
    for origin, status in ((endpoint, 200), (FOREIGN, 403)):
        asked: dict[str, Any] = {"events": []}
        headers = {"Origin": origin}
        url = f"{endpoint}{PATH}timeline.json"
        assert http.post(url, json=asked, headers=headers, timeout=60).status_code == status
    assert http.post(f"{endpoint}{PATH}none.json", json={}, timeout=60).status_code == 405
    assert http.get(f"{endpoint}{PATH}timeline.json", timeout=60).status_code == 404


def test_no_file_names_another_address() -> None:
    for path in FOLDER.iterdir():
        addresses = re.findall(r"https?://[^\s\"'`]+", path.read_text("utf-8"))
        named = {each for each in addresses if not each.startswith("http://www.w3.org/")}
        assert named <= {r"http:\/\/127\.0\.0\.1:\d+\/external\/v1$/;"}, (path, named)


def test_it_knows_the_stack_by_the_names_that_it_is_deployed_under() -> None:
    names = f'export const REGION = "{REGION}", STACK = "{STACK_NAME}";'
    assert names in (FOLDER / "aws.js").read_text("utf-8")


def test_it_tells_when_the_stack_is_not_there_when_aws_is_gone_and_comes_back(
    page: Page, tmp_path: Path
) -> None:
    # Given a local AWS in which nothing is deployed yet
    console = Console(page, f"http://127.0.0.1:{(port := free_port())}")
    options = ("--port", str(port))
    with running_aws(tmp_path / "log", *options):
        console.open()
        banner = page.get_by_role("alert").filter(has_text="stack")
        expect(banner).to_contain_text("The stack is being deployed.")
    # When it is stopped
    # Then the page says what to do
    expect(page.locator("#banner")).to_contain_text("does not answer. Start it again")
    expect(page.locator("#banner")).to_contain_text("make up")
    expect(page.locator("#live")).to_have_text("not live")
    # and when it is there again, the page has noticed by itself
    with running_aws(tmp_path / "log", *options):
        expect(banner).to_contain_text("The stack is being deployed.")
    assert console.origins == {console.endpoint}


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_the_console_may_control_the_stand_in_beside_it(
    http: requests.Session, local_aws: str, stand_in: Control, name: str
) -> None:
    page_of = local_aws.replace("127.0.0.1", name)
    asked = {"Origin": page_of, "Access-Control-Request-Method": "DELETE"}
    before = http.options(f"{stand_in.url}/control/troubles", headers=asked, timeout=60)
    assert before.status_code == 204
    assert before.headers["access-control-allow-origin"] == page_of
    assert "DELETE" in before.headers["access-control-allow-methods"]
    reply = http.get(f"{stand_in.url}/control/troubles", headers=asked, timeout=60)
    assert reply.json() == []
    assert reply.headers["access-control-allow-origin"] == page_of


@pytest.mark.parametrize(
    "page_of",
    [
        FOREIGN,
        "null",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example:80",
        "http://127.0.0.1:1",
    ],
)
def test_pages_of_others_may_not(http: requests.Session, stand_in: Control, page_of: str) -> None:
    asked = {"Origin": page_of, "Access-Control-Request-Method": "POST"}
    order = {"operation": "token", "kind": "html"}
    for reply in (
        http.options(f"{stand_in.url}/control/troubles", headers=asked, timeout=60),
        http.get(f"{stand_in.url}/control/settings", headers=asked, timeout=60),
        http.post(f"{stand_in.url}/control/troubles", headers=asked, json=order, timeout=60),
        http.post(f"{stand_in.url}/control/reset", headers=asked, timeout=60),
    ):
        assert reply.status_code == 403
        assert "access-control-allow-origin" not in reply.headers
        assert "client_secret" not in reply.text
    assert stand_in.troubles() == []


def test_the_api_itself_has_no_cors(http: requests.Session, stand_in: Control) -> None:
    reply = http.get(stand_in.api_url, headers={"Origin": "http://127.0.0.1:1"}, timeout=60)
    assert "access-control-allow-origin" not in reply.headers
