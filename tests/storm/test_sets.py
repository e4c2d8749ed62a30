"""Each completed version of a set exactly once, whatever happens, all of it at once.

STORM_SEED chooses another storm, STORM_FILES how many files there are.
"""

import hashlib
import json
import logging
import os
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer

from local.quantemplate import Control, running
from tests.storm import verdict
from tests.storm.files import LATE_SUFFIX
from tests.storm.stack import TIME_SCALE, Stack, deployed
from tests.storm.test_storm import SEED, wait_for
from tests.storm.weather import Weather

MEMBERS, ROUTES, PERIODS = ("claims", "premiums", "cash"), 3, ("05", "06")
FILES = min(max(int(os.environ.get("STORM_FILES") or 24), 18), 300)  # each set is complete at least
LATE = 0.25  # share of files whose events come late
log = logging.getLogger("storm")
_PLAIN = TypeDeserializer()


@dataclass(frozen=True)
class Claim:
    """A version of a set, by whom it was run, and the fingerprints of its files."""

    route: str
    period: str
    version: int
    run: str
    files: tuple[str, ...]


def planned(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Keys and contents: every member of every set once, and some again, in any order."""
    dice = random.Random(f"sets {seed}")  # noqa: S311 - dice, not keys
    every = [
        (f"sets{route}", member, period)
        for route in range(ROUTES)
        for period in PERIODS
        for member in MEMBERS
    ]
    chosen = every + dice.choices(every, k=count - len(every))
    dice.shuffle(chosen)
    for number, (route, member, period) in enumerate(chosen):
        suffix = LATE_SUFFIX if dice.random() < LATE else ".csv"
        yield f"{route}/{member}-{period}{suffix}", f"number\n{number}\n".encode()


def make_routes(stack: Stack, stand_in: Control) -> None:
    """Routes with sets, each with a pipeline of its own."""
    for route in (f"sets{number}" for number in range(ROUTES)):
        datasets = {member: f"d-{member}-{route}" for member in MEMBERS}
        for dataset in datasets.values():
            stand_in.define_dataset(dataset)
        of_all = list(datasets.values())
        stand_in.define_pipeline(f"p-{route}", kind="copy", datasets=of_all, outputs=["Copy"])
        members = [
            {"file": f"{member}-{{period}}.*", "dataset_id": dataset}
            for member, dataset in datasets.items()
        ]
        ids = {"organisation_id": "c-broker", "pipeline_id": f"p-{route}"}
        stack.put_route(route, ids | {"set": {"period": "{period}", "members": members}})


@pytest.mark.timeout(0)  # a standstill ends it
def test_every_completed_version_of_a_set_runs_once(tmp_path: Path) -> None:
    log.info("seed %s, %s files: STORM_SEED=%s", SEED, FILES, SEED)
    with (
        running(time_scale=float(TIME_SCALE)) as stand_in,
        deployed(stand_in, tmp_path / "aws.log") as stack,
    ):
        # Given routes with sets, and a storm
        stack.limit(rates="aws", transaction_ms=10)
        make_routes(stack, stand_in)
        weather = Weather(stack, stand_in, FILES, SEED)
        began = time.monotonic()
        try:
            # When their files are dropped as fast as it goes
            files = list(planned(FILES, SEED))
            with ThreadPoolExecutor(8) as pool:
                versions = dict(zip(pool.map(lambda f: stack.drop(*f), files), files, strict=True))
            wait_for(stack, weather, FILES, began)
        finally:
            weather.end()
        log.info("happened: %s", dict(sorted(weather.happened.items())))
        stack.limit(rates="none", transaction_ms=0)

        # Then each version that was completed has run once, with its files, and nothing else has
        sha256 = {v: hashlib.sha256(content).hexdigest() for v, (_, content) in versions.items()}
        claims = claims_of(stack, sha256)
        assert stand_in.violations() == []
        assert good_runs(stand_in) == sorted((c.route, c.files) for c in claims)
        # and each set has run, its versions one by one, the last with the newest of each member
        assert wrong_sets(stack, claims, sha256) == []
        # and all other files were gathered, or replaced
        runs = {claim.run for claim in claims}
        ends = [ended for ended in ends_of(stack) if ended["name"] not in runs]
        assert {ended["status"] for ended in ends} <= {"Gathered", "Replaced"}
        assert len(ends) + len(claims) == FILES
        log.info("%s versions of %s files", len(claims), FILES)
        # and nothing is left of it
        assert verdict.left_over(stack) == []


def claims_of(stack: Stack, sha256: dict[str, str]) -> list[Claim]:
    """The versions that runs have claimed, as their records tell."""
    claims = []
    for stored in stack.items():
        item = {name: _PLAIN.deserialize(value) for name, value in stored.items()}
        of_set = item.get("set")
        if item["sk"] == "record" and of_set and of_set["version"]:
            files = tuple(sha256[each["source"]["version_id"]] for each in of_set["members"])
            told = (item["route"], of_set["period"], int(of_set["version"]))
            claims.append(Claim(*told, item["pk"].removeprefix("run#"), files))
    return claims


def good_runs(stand_in: Control) -> list[tuple[str, tuple[str, ...]]]:
    """The runs that did not end badly, each with its route and the files that it had."""
    return sorted(
        (run["pipeline"].removeprefix("p-"), tuple(data["sha256"] for data in run["inputs"]))
        for run in stand_in.journal("run_ended")
        if run["status"] not in verdict.ENDED_BADLY
    )


def ends_of(stack: Stack) -> list[dict[str, Any]]:
    """How each execution has ended, and what it was started with."""
    states = stack.client("stepfunctions")
    found = []
    for execution in stack.executions():
        told = states.describe_execution(executionArn=execution["executionArn"])
        status = json.loads(told["output"])["status"]
        given = json.loads(told["input"])
        found.append({"name": told["name"], "status": status, "given": given})
    return found


def wrong_sets(stack: Stack, claims: list[Claim], sha256: dict[str, str]) -> list[str]:
    """Sets whose versions have gaps, or whose last one had an older file than was dropped."""
    newest: dict[str, tuple[tuple[str, str, str], str]] = {}
    for ended in ends_of(stack):
        given = ended["given"]
        place = (given["dropped_at"], given["sequencer"], ended["name"])
        member = given["key"].partition(".")[0]
        newest[member] = max(newest.get(member, (place, "")), (place, given["version_id"]))
    by_set = defaultdict(list)
    for claim in claims:
        by_set[claim.route, claim.period].append(claim)
    wrong = []
    for route in (f"sets{number}" for number in range(ROUTES)):
        for period in PERIODS:
            found = sorted(by_set[route, period], key=lambda claim: claim.version)
            if [claim.version for claim in found] != list(range(1, len(found) + 1)) or not found:
                wrong.append(f"{route} {period}: versions {[c.version for c in found]}")
                continue
            wanted = tuple(sha256[newest[f"{route}/{m}-{period}"][1]] for m in MEMBERS)
            if found[-1].files != wanted:
                wrong.append(f"{route} {period}: {found[-1].files}, and not {wanted}")
    return wrong
