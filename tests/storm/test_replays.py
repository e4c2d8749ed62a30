"""Replays through a storm: each file of a plan once more, and what is newer stays.

STORM_SEED chooses another storm, STORM_FILES how many files there are.
"""

import json
import logging
import os
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from local.deploy import REGION
from local.process import clean_environment
from local.quantemplate import Control, running
from stp.replays import replay_name
from stp.said import FAILED, OK
from tests.cli.terminal import STP
from tests.storm import verdict
from tests.storm.files import File, Version
from tests.storm.looks import looks
from tests.storm.stack import TIME_SCALE, Stack, deployed
from tests.storm.test_storm import SEED, wait_for
from tests.storm.weather import Weather

# Of one nobody else is let go first while it is replayed, of the other everybody is.
ROUTES = {"hurried": ["--now"], "polite": []}
FILES = min(max(int(os.environ.get("STORM_FILES") or 6), 4), 200)  # dropped, and then replayed
NEWER = 2  # dropped meanwhile
LATEST = "latest-files"  # a bucket that is not the stack's own
log = logging.getLogger("storm")


@pytest.mark.timeout(0)  # a standstill ends it
def test_each_file_of_a_plan_is_processed_once_more(tmp_path: Path) -> None:
    log.info("seed %s, %s files: STORM_SEED=%s", SEED, FILES, SEED)
    with (
        running(time_scale=float(TIME_SCALE)) as stand_in,
        deployed(stand_in, tmp_path / "aws.log", DestinationBuckets=LATEST) as stack,
    ):
        # Given routes whose newest output lies at a destination, and files that went through
        make_routes(stack, stand_in)
        old = dropped(stack, "old", FILES)
        for statuses in looks(lambda: statuses_of(stack)):
            if statuses["SUCCEEDED"] == FILES:
                break
        first_runs = {each["name"] for each in stack.executions()}
        # When each route is replayed by two at once in a storm, while newer files are dropped
        stack.limit(rates="aws", transaction_ms=10)
        everything = 2 * FILES + NEWER
        weather = Weather(stack, stand_in, everything, SEED)
        began = time.monotonic()
        try:
            with ThreadPoolExecutor() as pool:
                done = [
                    pool.submit(
                        stp, stack, "replay", "--route", route, "--since", "1h", "--yes", *options
                    )
                    for route, options in ROUTES.items()
                ]
                plans = plans_of(stack)
                done += [
                    pool.submit(stp, stack, "replay", plan, *ROUTES[route])
                    for route, plan in plans.items()
                ]
                new = dropped(stack, "new", NEWER)
                wait_for(stack, weather, everything, began)
                told = [each.result() for each in done]
        finally:
            weather.end()
        log.info("happened: %s", dict(sorted(weather.happened.items())))
        stack.limit(rates="none", transaction_ms=0)

        # Then each old file has gone through once more, by the one run that its plan names
        journal = stand_in.journal()
        assert good_runs(journal) == {v.sha256: 2 for v in old} | {v.sha256: 1 for v in new}
        assert stand_in.violations() == []
        assert verdict.overlaps(journal) == []
        named = {replay_name(run, plans[run.partition("-")[0]]) for run in first_runs}
        names = {each["name"] for each in stack.executions()}
        assert named < names
        assert len(names) == everything
        assert [(each["left"], each["passed_over"]) for each in told] == [(0, [])] * len(told)
        # and at each destination lies what was dropped last
        for route in ROUTES:
            newest = [version for version in new if version.file.queue == route][-1]
            stored = stack.client("s3").get_object(Bucket=LATEST, Key=f"{route}.csv")
            assert stored["Body"].read() == newest.file.content
        # and nothing is left of it
        assert verdict.left_over(stack) == []


def make_routes(stack: Stack, stand_in: Control) -> None:
    """The routes, each with a pipeline and a destination of its own."""
    where: Any = {"LocationConstraint": REGION}
    stack.client("s3").create_bucket(Bucket=LATEST, CreateBucketConfiguration=where)
    for route in ROUTES:
        dataset, pipeline = f"d-{route}", f"p-{route}"
        stand_in.define_dataset(dataset)
        stand_in.define_pipeline(pipeline, kind="copy", datasets=[dataset], outputs=["Copy"])
        stack.route_to(dataset, pipeline, route, destinations=[f"s3://{LATEST}/{route}.csv"])


def dropped(stack: Stack, mark: str, count: int) -> list[Version]:
    """Drop so many files one after the other, into the routes in turn."""
    routes = list(ROUTES)
    files = [
        File(route, f"{route}/{mark}{number}.csv", f"file\n{mark} {number}\n".encode())
        for number, route in ((n, routes[n % len(routes)]) for n in range(count))
    ]
    return [Version(file, stack.drop(file.key, file.content)) for file in files]


def statuses_of(stack: Stack) -> Counter[str]:
    """How all executions stand."""
    stack.server.check()
    return Counter(execution["status"] for execution in stack.executions())


def plans_of(stack: Stack) -> dict[str, str]:
    """The plan of each route, once all are kept."""
    for keys in looks(lambda: stack.stored_keys("replays/")):
        if len(keys) == len(ROUTES):
            break
    plans = [json.loads(stack.stored(key)) for key in keys]
    return {plan["route"]: plan["id"] for plan in plans}


def stp(stack: Stack, *arguments: str) -> dict[str, Any]:
    """What the command tells of a plan that it has carried out."""
    settings = {
        "AWS_ENDPOINT_URL": stack.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "NO_PROXY": "127.0.0.1,localhost",
    }
    ran = subprocess.run(  # noqa: S603 - the command that is tested
        [STP, *arguments, "--json", "--failures", "1000"],  # what fails the storm redrives
        env=clean_environment(os.environ) | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode in (OK, FAILED), ran.stderr
    return dict(json.loads(ran.stdout))


def good_runs(journal: list[verdict.Entry]) -> dict[str, int]:
    """How many runs of each file did not end badly, by its fingerprint."""
    ended = [each for each in journal if each["event"] == "run_ended"]
    good = [each for each in ended if each["status"] not in verdict.ENDED_BADLY]
    return dict(Counter(each["inputs"][0]["sha256"] for each in good))
