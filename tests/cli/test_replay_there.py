"""`stp replay` against the deployed application: what came is put right, in order and once."""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from local.deploy import ORGANISATION
from local.quantemplate import Control
from stp.replays import replay_name
from stp.said import INTERRUPTED, OK
from tests.cli.conftest import Done, Stp
from tests.cli.terminal import terminal
from tests.end_to_end.road import Road, Route, Run
from tests.end_to_end.stack import PARTNER, make_route

CLEAN = "Copy: Sheet 1"
Replay = Callable[..., Done]


@pytest.fixture
def replay(local_stp: Stp, monkeypatch: pytest.MonkeyPatch) -> Replay:
    """Run the command for what was dropped into a route, without a question."""
    monkeypatch.setattr("stp.replay_runs.FIRST_LOOK", 0.1)
    monkeypatch.setattr("stp.replay_runs.LAST_LOOK", 0.2)

    def run(route: Route, *options: str) -> Done:
        return local_stp("replay", "--route", route.name, "--since", "1h", "--json", *options)

    return run


def content() -> bytes:
    """A file that no other test drops."""
    return f"reference,amount\n{uuid.uuid4().hex},100\n".encode()


def fails(stand_in: Control, route: Route) -> None:
    """Let the next run of a route's pipeline fail."""
    plan = {"end_status": "Failed"}
    stand_in.trouble("execute_pipeline", "run", id=route.pipeline_id, run=plan)


def executed(stand_in: Control, route: Route) -> list[Any]:
    """The executions of a route's pipeline."""
    return list(stand_in.pipelines()[route.pipeline_id]["runs"])


def lined(road: Road, run: str) -> None:
    """Wait until a run's line is there."""
    road.until(
        lambda: any(key.endswith(f"/{run}.json") for key in road.stored_keys("runs/")),
        f"the line of {run}",
    )


def latest(road: Road, uri: str) -> Any:
    """Bytes and metadata of an object."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    found = road.client("s3").get_object(Bucket=bucket, Key=key)
    return found["Body"].read(), found["Metadata"]


@contextmanager
def nothing_listens(road: Road) -> Iterator[None]:
    """The inbox's rule is off."""
    events = road.client("events")
    (rule,) = (
        each["Name"]
        for each in events.list_rules()["Rules"]
        if road.inbox in each.get("EventPattern", "") and each["State"] == "ENABLED"
    )
    events.disable_rule(Name=rule)
    try:
        yield
    finally:
        events.enable_rule(Name=rule)


def test_failed_files_are_replayed_after_a_mend_and_newer_ones_stay(
    road: Road, stand_in: Control, replay: Replay
) -> None:
    # Given two files that failed, and a newer one whose output lies at a destination of all
    uri = f"s3://{PARTNER}/{uuid.uuid4().hex}/latest.csv"
    route = make_route(road, stand_in, CLEAN, destinations=[uri])
    files = [content() for _ in range(3)]
    runs: list[Run] = []
    for number, file in enumerate(files):
        if number < 2:
            fails(stand_in, route)
        runs.append(road.processed(f"{route.name}/{number}.csv", file))
        lined(road, runs[-1].name)
    assert [run.status for run in runs] == ["FAILED", "FAILED", "SUCCEEDED"]
    # When the failed ones are replayed
    plan = replay(route, "--failed", "--dry-run").json
    assert [each["input"]["key"] for each in plan["files"]] == [
        f"{route.name}/{n}.csv" for n in "01"
    ]
    assert plan["estimate"]["of"] == 1
    assert plan["estimate"]["looks"] > 0
    done = replay(route, "--failed", "--yes")
    # Then they are processed in the order of their drops
    assert done.code == OK, done.err
    names = [replay_name(run.name, done.json["plan"]) for run in runs]
    assert [each["run"] for each in done.json["runs"]] == names[:2]
    # And the newer file's output stays at the destination
    body, metadata = latest(road, uri)
    assert (body, metadata["run"]) == (files[2], runs[2].name)
    assert [
        json.loads(road.stored(f"{route.name}/{n}/{names[n]}/manifest.json"))["destinations"][0][
            "outcome"
        ]
        for n in range(2)
    ] == ["Superseded", "Superseded"]
    for name in names[:2]:
        lined(road, name)
    # And none is failed any more
    assert replay(route, "--failed", "--yes").json["files"] == []
    # When all are replayed, then the newest file's own replay is what lies there
    done = replay(route, "--yes")
    assert done.code == OK, done.err
    body, metadata = latest(road, uri)
    assert (body, metadata["run"]) == (
        files[2],
        replay_name(runs[2].name, done.json["plan"]),
    )


def test_files_that_were_dropped_while_nothing_listened_are_found(
    road: Road, stand_in: Control, replay: Replay
) -> None:
    # Given files of which no event came, and one that was processed
    route = make_route(road, stand_in, CLEAN)
    road.processed(f"{route.name}/known.csv", content())
    with nothing_listens(road):
        road.drop(f"{route.name}/lost.csv", content())
        road.drop(f"{route.name}/lost.csv", content())
    # When they are replayed
    done = replay(route, "--missed", "--yes")
    # Then each version has had its run, as if its event had come
    assert done.code == OK, done.err
    assert [each["status"] for each in done.json["runs"]] == ["Succeeded", "Succeeded"]
    assert len(road.executions_of(f"{route.name}/lost.csv")) == 2
    assert len(road.executions_of(f"{route.name}/known.csv")) == 1
    # And none is missed any more
    assert replay(route, "--missed", "--yes").json["files"] == []


def number_of(road: Road, route: Route, stem: str, run: str) -> int:
    """The number of the execution that a run has made."""
    manifest = json.loads(road.stored(f"{route.name}/{stem}/{run}/manifest.json"))
    return int(manifest["quantemplate"]["run_number"])


def test_an_interrupted_plan_goes_on_and_no_file_runs_twice(
    road: Road, stand_in: Control, local_stp: Stp, environment: dict[str, str]
) -> None:
    # Given four files that were processed, and a plan that processes them again
    route = make_route(road, stand_in, CLEAN)
    runs = [road.processed(f"{route.name}/{number}.csv", content()) for number in range(4)]
    for run in runs:
        lined(road, run.name)
    stand_in.trouble("execute_pipeline", "run", id=route.pipeline_id, run={"never_ends": True})
    arguments = ("replay", "--route", route.name, "--since", "1h", "--yes")
    with terminal(environment, *arguments) as screen:
        # When Ctrl-C comes while the first of them goes on
        road.until(lambda: len(executed(stand_in, route)) == 5, "the first run of the plan")
        screen.interrupt()
        # Then it is told what goes on, and how the plan does
        assert screen.ended() == INTERRUPTED
    plan = screen.text.rpartition("stp replay ")[2].split()[0]
    names = [replay_name(run.name, plan) for run in runs]
    assert f"{names[0]} goes on: stp show {names[0]}" in screen.text
    # And when that plan goes on
    stand_in.finish(executed(stand_in, route)[-1]["id"])
    again = local_stp("replay", plan)
    # Then each file has run once more, in the order of the drops
    assert again.code == OK, again.err
    numbers = [number_of(road, route, str(n), name) for n, name in enumerate(names)]
    assert numbers == [5, 6, 7, 8]
    assert len(executed(stand_in, route)) == 8


def test_a_file_of_today_goes_before_the_next_of_a_plan(
    road: Road, stand_in: Control, local_stp: Stp, environment: dict[str, str]
) -> None:
    # Given a file that was processed, and a queue in which one of today waits
    route = make_route(road, stand_in, CLEAN)
    run = road.processed(f"{route.name}/old.csv", content())
    lined(road, run.name)
    old = road.client("s3").head_object(Bucket=road.inbox, Key=f"{route.name}/old.csv")
    until = old["LastModified"] + timedelta(seconds=1)
    assert local_stp("queue", "pause", route.pipeline_id, "--reason", "month end").code == OK
    road.drop(f"{route.name}/today.csv", content())
    road.until(lambda: road.executions_of(f"{route.name}/today.csv"), "the run of today")
    span = ("--since", "1h", "--until", until.isoformat())
    with terminal(environment, "replay", "--route", route.name, *span, "--yes") as screen:
        # When the old one is replayed, then it waits as long as the queue does
        screen.until("is paused: month end")
        assert local_stp("queue", "resume", route.pipeline_id).code == OK
        assert screen.ended() == OK, screen.text
    # And the file of today went first, though it was dropped later
    plan = screen.text.partition("This is plan ")[2].split(".")[0]
    (arn,) = road.executions_of(f"{route.name}/today.csv")
    today = road.ended(arn)
    assert road.manifest(today)["quantemplate"]["run_number"] == 2
    assert number_of(road, route, "old", replay_name(run.name, plan)) == 3


def test_files_of_an_older_revision_are_processed_by_the_new_one(
    road: Road, stand_in: Control, replay: Replay
) -> None:
    # Given a file that a revision has processed, and one that the next has
    route = make_route(road, stand_in, CLEAN)
    runs = []
    for number in range(2):
        stand_in.define_pipeline(
            route.pipeline_id, kind="copy", datasets=[route.dataset_id], outputs=[CLEAN]
        )
        runs.append(road.processed(f"{route.name}/{number}.csv", content()))
        lined(road, runs[-1].name)
    first, second = (road.manifest(run)["quantemplate"]["pipeline_version"] for run in runs)
    assert first < second
    # When what was processed before the second is replayed
    done = replay(route, "--revision-before", str(second), "--yes")
    # Then it is the first, and the new revision has processed it
    assert done.code == OK, done.err
    (again,) = done.json["runs"]
    assert (again["file"]["key"], again["pipeline_version"]) == (f"{route.name}/0.csv", second)
    lined(road, again["run"])
    # And nothing is of an older one any more
    assert replay(route, "--revision-before", str(second), "--yes").json["files"] == []


def test_a_set_runs_once_more_with_all_its_files(
    road: Road, stand_in: Control, replay: Replay
) -> None:
    # Given a set that has run
    mark = uuid.uuid4().hex[:8]
    datasets = {name: f"d-{name}-{mark}" for name in ("claims", "premiums")}
    for dataset in datasets.values():
        stand_in.define_dataset(dataset)
    stand_in.define_pipeline(
        f"p-{mark}", kind="copy", datasets=[*datasets.values()], outputs=[CLEAN]
    )
    members = [
        {"file": f"{name}-{{period}}.csv", "dataset_id": dataset}
        for name, dataset in datasets.items()
    ]
    document = {"organisation_id": ORGANISATION, "pipeline_id": f"p-{mark}"}
    road.put_route(mark, document | {"set": {"period": "{period}", "members": members}})
    for name in datasets:
        lined(road, road.processed(f"{mark}/{name}-2026-09.csv", content()).name)
    route = Route(mark, "", f"p-{mark}")
    assert len(executed(stand_in, route)) == 1
    # When its files are replayed
    done = replay(route, "--yes")
    # Then the set has run once more, by the one that had come last
    assert done.code == OK, done.err
    (again,) = done.json["runs"]
    assert again["file"]["key"] == f"{mark}/premiums-2026-09.csv"
    assert again["set"] == {"period": "2026-09", "version": 2, "missing": []}
    assert len(executed(stand_in, route)) == 2
    lined(road, again["run"])
    # And of a second replay too
    assert [run["set"]["version"] for run in replay(route, "--yes").json["runs"]] == [3]
