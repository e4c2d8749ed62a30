"""A stack with all switched on: events, what they wake and who gets in; and tags of files."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from local.deploy import ORGANISATION
from local.quantemplate import Control, running
from stp.commands_events import address_of
from stp.stack import Stack, open_stack
from straight_through.executing.listening import MOST_CALLBACKS
from straight_through.moments import iso
from straight_through.starting.updates import when_key
from tests.cli.conftest import Stp, stp
from tests.end_to_end.aws import running_aws
from tests.end_to_end.road import Road, Route
from tests.end_to_end.stack import made, make_route

__all__ = ["stp"]
TIME_SCALE = 0.02
HOUR = 3600  # of a pipeline's seconds: 72 by the clock on the wall, so that an event comes first
ENVELOPES = ("long", "short", "long")


class Hearing:
    """The deployed application, its stand-in, and its address for events."""

    def __init__(self, road: Road, stand_in: Control, stack: Stack) -> None:
        """Subscribe the address, as an operator lets the vendor do."""
        self.road, self.stand_in, self.stack = road, stand_in, stack
        self.url = address_of(stack)
        stand_in.events(url=self.url)

    def drop(self, route: Route) -> tuple[str, str]:
        """Drop a file; return its execution's ARN, and the pipeline's run that it makes."""
        before = len(self.runs(route))
        key = f"{route.name}/may.csv"
        self.road.drop(key, b"a,b\n1,2\n")
        self.road.until(lambda: len(self.runs(route)) > before, "a run")
        return self.road.executions_of(key)[0], self.runs(route)[-1]["id"]

    def runs(self, route: Route) -> list[dict[str, Any]]:
        """The pipeline's runs."""
        return list(self.stand_in.pipelines()[route.pipeline_id]["runs"])

    def until_it_waits(self, arn: str) -> None:
        """Wait until a run waits for an event."""
        self.road.until(lambda: "WaitForEvent" in self.states(arn), "a wait for an event")

    def looks(self, arn: str) -> int:
        """How many times a run has looked."""
        return self.states(arn).count("CheckStatus")

    def states(self, arn: str) -> list[str]:
        """Names of the states that an execution has entered, in order."""
        entered = [e.get("stateEnteredEventDetails") for e in self.road.history(arn)]
        return [each["name"] for each in entered if each]


@pytest.fixture(scope="module")
def hearing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hearing]:
    """A stack with events on, on a local AWS of its own."""
    log = tmp_path_factory.mktemp("events") / "aws.log"
    with (
        running_aws(log, "--port", "0", "--time-scale", str(TIME_SCALE)) as (endpoint, _),
        running(time_scale=TIME_SCALE) as stand_in,
        pytest.MonkeyPatch.context() as patch,
    ):
        road = made(endpoint, stand_in, QuantemplateEvents="on", TagFiles="on")
        for name, value in {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "NO_PROXY": "127.0.0.1,localhost",
        }.items():
            patch.setenv(name, value)
        stack = open_stack("straight-through", None, None)
        yield Hearing(road, stand_in, stack)


@pytest.fixture
def route(hearing: Hearing, request: pytest.FixtureRequest) -> Route:
    """A route of the test's own, whose pipeline takes an hour."""
    name = request.node.name.removeprefix("test_")[:40]
    dataset, pipeline = f"d-{name}", f"p-{name}"
    hearing.stand_in.define_dataset(dataset)
    hearing.stand_in.define_pipeline(
        pipeline, kind="copy", datasets=[dataset], outputs=["Copy"], seconds=HOUR
    )
    hearing.stand_in.define_history(pipeline, items=[ran(number) for number in (1, 2, 3)])
    return hearing.road.route_to(dataset, pipeline)


def ran(number: int) -> dict[str, Any]:
    """An earlier run of the pipeline, of an hour."""
    return {
        "id": f"e-old-{number}",
        "runNumber": number,
        "status": "Succeeded",
        "createdAt": f"2026-05-0{number}T08:00:00Z",
        "startedAt": f"2026-05-0{number}T08:00:00Z",
        "finishedAt": f"2026-05-0{number}T09:00:00Z",
        "createdBy": "u-1",
        "version": 1,
        "outputs": [],
    }


def test_an_event_ends_the_wait_and_after_three_the_looks_are_few(
    hearing: Hearing, route: Route
) -> None:
    # Given a pipeline of an hour, whose ends are announced in either envelope
    for envelope in ENVELOPES:
        hearing.stand_in.events(envelope=envelope)
        arn, execution = hearing.drop(route)
        hearing.until_it_waits(arn)
        # When it ends long before anybody would look again, then the event lets it go on
        hearing.stand_in.finish(execution)
        assert hearing.road.ended(arn).output["status"] == "Succeeded"
    # And from the fourth run on its end is known in three looks
    arn, execution = hearing.drop(route)
    hearing.until_it_waits(arn)
    hearing.stand_in.finish(execution)
    assert hearing.road.ended(arn).output["status"] == "Succeeded"
    assert hearing.looks(arn) <= 3


def test_a_forged_event_makes_a_run_look_and_no_more(hearing: Hearing, route: Route) -> None:
    # Given a run that waits, and somebody who knows the key and its ids
    arn, execution = hearing.drop(route)
    hearing.until_it_waits(arn)
    before = hearing.looks(arn)
    ids = {"pipelineId": route.pipeline_id, "pipelineExecutionId": execution}
    # When he says again and again that it has succeeded
    for number in range(5):
        forged = {"eventName": "PipelineCompleted", "eventId": f"forged-{number}"}
        payload = {**ids, "status": "Succeeded"}
        assert post(hearing.url, forged | {"payload": payload}).status_code == 200
    # Then it looks, and goes on
    hearing.road.until(lambda: hearing.looks(arn) > before, "a look")
    described = hearing.road.client("stepfunctions").describe_execution(executionArn=arn)
    assert described["status"] == "RUNNING"
    # And its true end is what ends it, here a failure
    hearing.stand_in.finish(execution, end_status="Failed")
    assert hearing.road.ended(arn).error == "PipelineFailed"


def test_whoever_lacks_the_key_finds_nothing(hearing: Hearing, route: Route) -> None:
    # Given somebody who knows everything but the key
    base = hearing.stack.outputs["EventsUrl"].rstrip("/")
    arn, execution = hearing.drop(route)
    hearing.until_it_waits(arn)
    ids = {"pipelineId": route.pipeline_id, "pipelineExecutionId": execution}
    event = {"eventName": "PipelineCompleted", "payload": ids}
    # When he guesses, then every path, method and body meets the same
    for path in ("", "/", "/events", f"/{'k' * 64}", f"/{'k' * 64}/..", "/%2e%2e"):
        for method in ("GET", "POST", "PUT", "DELETE"):
            answer = requests.request(method, f"{base}{path}", json=event, timeout=60)
            assert (answer.status_code, answer.text) == (404, "Not found."), (method, path)
    # And nothing of it was noted
    listed = list(hearing.stack.table.items("heard"))
    assert not [e for e in listed if execution in e["about"]]
    hearing.stand_in.finish(execution)
    hearing.road.ended(arn)


def flood(url: str, event: dict[str, Any]) -> list[int]:
    """The answers to many requests that come at once."""
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda _: post(url, event).status_code, range(300)))


def refused_by_lambda(hearing: Hearing) -> int:
    """How many requests to the address Lambda has refused before a function saw them."""
    counts = requests.get(f"{hearing.road.endpoint}/_local/quotas", timeout=60).json()["counts"]
    return int(counts.get("FunctionUrl", {"refused": 0})["refused"])


def test_a_flood_without_the_key_costs_few_calls_and_holds_nobody_up(
    hearing: Hearing, route: Route
) -> None:
    # Given somebody who sends far more than the five that are taken at a time
    base, before = hearing.stack.outputs["EventsUrl"].rstrip("/"), refused_by_lambda(hearing)
    answers = flood(f"{base}/{'k' * 64}", {"eventName": "Flood", "payload": {}})
    # Then what is more than five at a time or fifty a second is refused, and nothing is noted
    assert set(answers) == {404, 429}
    assert answers.count(429) >= refused_by_lambda(hearing) - before
    assert not [e for e in hearing.stack.table.items("heard") if e["name"] == "Flood"]
    # And a run goes on meanwhile: the other functions have their own concurrency
    with ThreadPoolExecutor(1) as pool:
        more = pool.submit(flood, f"{base}/{'k' * 64}", {"eventName": "Flood", "payload": {}})
        arn, execution = hearing.drop(route)
        assert 429 in more.result()
    hearing.until_it_waits(arn)
    hearing.stand_in.finish(execution)
    assert hearing.road.ended(arn).output["status"] == "Succeeded"


def test_a_flood_by_whoever_has_the_key_makes_a_run_look_so_often_and_no_more(
    hearing: Hearing, route: Route
) -> None:
    # Given a run that waits, and somebody who knows the key and its ids
    arn, execution = hearing.drop(route)
    hearing.until_it_waits(arn)
    ids = {"pipelineId": route.pipeline_id, "pipelineExecutionId": execution}
    # When he floods the address with its end
    answers = flood(hearing.url, {"eventName": "PipelineCompleted", "payload": ids})
    # Then some are taken, the run looks, and goes on until its end
    assert set(answers) == {200, 429}
    hearing.stand_in.finish(execution)
    assert hearing.road.ended(arn).output["status"] == "Succeeded"
    assert hearing.states(arn).count("WaitForEvent") <= MOST_CALLBACKS


def test_the_commands_of_the_page_do_what_it_says(hearing: Hearing, stp: Stp) -> None:
    # Given the address that was subscribed
    assert stp("events", "url").out.strip() == hearing.url
    # When an operator sends himself an event, then it came
    assert stp("events", "test").code == 0
    assert stp("events", "-n", "1", "--json").json[0]["did"] == "nothing: it is a test"
    # And a new key counts at once, the old one until it was used
    new = stp("events", "rotate", "--yes", "--json").json["url"]
    assert post(hearing.url, {"eventName": "Odd"}).status_code == 200
    hearing.road.until(lambda: stp("events", "test").code == 0, "the new key")
    assert post(hearing.url, {"eventName": "Odd"}).status_code == 404
    assert post(new, {"eventName": "Odd"}).status_code == 200
    hearing.url = new
    hearing.stand_in.events(url=new)


def test_an_alarm_tells_of_events_that_could_not_be_taken(hearing: Hearing) -> None:
    # Given a stack that takes events, then it has the alarm, and its dashboard shows it
    cloudwatch, name = hearing.road.client("cloudwatch"), hearing.stack.name
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[f"{name}-events-fail"])["MetricAlarms"]
    (function,) = alarm["Dimensions"]
    assert function["Value"] == f"{name}-take_event"
    shown = f"{name}-{cloudwatch.meta.region_name}"
    body = json.loads(cloudwatch.get_dashboard(DashboardName=shown)["DashboardBody"])
    (widget,) = (each for each in body["widgets"] if each["type"] == "alarm")
    assert widget["properties"]["alarms"][-1] == alarm["AlarmArn"]


def without_a_file(hearing: Hearing, name: str, **when: Any) -> str:
    """A route without a dataset of its own, whose pipeline gives back one that others update."""
    dataset, pipeline = f"d-{name}", f"p-{name}"
    hearing.stand_in.define_dataset(dataset)
    hearing.stand_in.update_dataset(dataset, "a,b\n1,2\n")
    hearing.stand_in.define_pipeline(
        pipeline, kind="copy", datasets=[dataset], outputs=["Stock"], seconds=2
    )
    document = {"organisation_id": ORGANISATION, "pipeline_id": pipeline, **when}
    hearing.road.put_route(name, document)
    return dataset


def test_a_run_without_a_file_is_started_by_hand(hearing: Hearing, stp: Stp) -> None:
    # Given a route without a dataset
    without_a_file(hearing, "stock")
    # When a person runs it
    done = stp("run", "stock", "--wait", "--json")
    assert done.code == 0, done.err
    # Then its outputs lie in a folder of the run, and its manifest says that it has no file
    (listed,) = [run for run in stp("runs", "--json").json if run["run"].startswith("stock")]
    folder = f"stock/{listed['run']}/"
    manifest = json.loads(hearing.road.stored(f"{folder}manifest.json"))
    assert manifest["source"] is None
    assert manifest["cause"] == {"by": "hand"}
    assert hearing.road.stored(f"{folder}Stock.csv") == b"a,b\n1,2\n"
    # And a file in its folder is refused, since nothing would be done with it
    run = hearing.road.processed("stock/may.csv", b"a,b\n1,2\n")
    assert run.error == "RouteTakesNoFile"


def test_an_update_of_a_dataset_starts_a_run_once(hearing: Hearing, stp: Stp) -> None:
    # Given a route that waits for a dataset, once the sweep knows of it
    rule = {"updated": ["d-feed"]}
    dataset = without_a_file(hearing, "feed", when=rule)
    known = lambda: [w for w in stp("when", "--json").json if w["route"] == "feed"]  # noqa: E731
    hearing.road.until(known, "the route among those that updates start")
    # When the dataset is updated by somebody else, and its event comes twice
    hearing.stand_in.events(twice=1.0)
    hearing.stand_in.update_dataset(dataset, "a,b\n3,4\n")
    runs = lambda: [r for r in stp("runs", "--json").json if r["run"].startswith("feed-")]  # noqa: E731
    hearing.road.until(lambda: [r for r in runs() if r["status"] == "Succeeded"], "a run")
    hearing.stand_in.events(twice=0.0)
    # Then one run was started for it, and says so
    (run,) = runs()
    manifest = json.loads(hearing.road.stored(f"feed/{run['run']}/manifest.json"))
    assert manifest["cause"]["updated"] == ["d-feed"]
    assert manifest["source"] is None
    heard = stp("events", "--about", "d-feed", "--json").json
    assert f"started {run['run']}" in {event["did"] for event in heard}


def test_a_schedule_starts_runs(hearing: Hearing, stp: Stp) -> None:
    # Given a route whose runs a schedule starts each hour, and a moment of it that has just come
    without_a_file(hearing, "clock", when={"at": "0 * * * *", "zone": "Europe/London"})
    due = lambda: [w for w in stp("when", "--json").json if w["route"] == "clock" and w["next"]]  # noqa: E731
    hearing.road.until(due, "the route among those with a schedule")
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    hearing.stack.table.update(when_key("clock"), "SET #next = :then", then=iso(hour))
    # Then a run is started for that moment
    runs = lambda: [r for r in stp("runs", "--json").json if r["run"].startswith("clock-")]  # noqa: E731
    hearing.road.until(lambda: [r for r in runs() if r["status"] == "Succeeded"], "a run")
    run = runs()[-1]
    manifest = json.loads(hearing.road.stored(f"clock/{run['run']}/manifest.json"))
    assert manifest["cause"] == {"at": iso(hour)}


def post(url: str, event: dict[str, Any]) -> requests.Response:
    """Post an event, as Quantemplate does."""
    return requests.post(url, json=event, timeout=60)


def test_a_dropped_file_tells_how_its_run_has_ended(hearing: Hearing) -> None:
    """docs/messages.md, "On the file itself"; the functions' roles let them."""
    # Given a file with a tag, and a newer one in its place
    route = make_route(hearing.road, hearing.stand_in, "Copy")
    s3, key = hearing.road.client("s3"), f"{route.name}/may.csv"
    put = {"Bucket": hearing.road.inbox, "Key": key}
    version = s3.put_object(**put, Body=b"a,b\n1,2\n3,4\n", Tagging="owner=me")["VersionId"]
    hearing.road.drop(key, b"a,b\n1,2\n")

    def tags() -> dict[str, str]:
        found = s3.get_object_tagging(**put, VersionId=version)["TagSet"]
        return {each["Key"]: each["Value"] for each in found}

    # When its run has ended
    hearing.road.until(lambda: "stp-status" in tags(), "tags")
    # Then it says so, beside what it said before
    run = tags()["stp-run"]
    assert tags() == {"owner": "me", "stp-status": "Succeeded", "stp-run": run, "stp-rows": "2"}
    # And its tags have started nothing
    begun = hearing.road.until(lambda: len(hearing.road.executions_of(key)) > 1, "both runs")
    assert begun
    assert len(hearing.road.executions_of(key)) == 2
