"""Every file exactly once, in its turn, whatever happens, all of it at once.

STORM_SEED chooses another storm, STORM_FILES how many files there are. Threads and processes race,
so a seed gives the same plan, and not the same course.
"""

import logging
import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from local.quantemplate import running
from tests.storm import order, verdict
from tests.storm.files import dropped, make_queues, planned
from tests.storm.looks import looks
from tests.storm.stack import TIME_SCALE, Stack, deployed
from tests.storm.weather import Weather

FILES = int(os.environ.get("STORM_FILES") or 60)
SEED = int(os.environ.get("STORM_SEED") or random.randrange(10**6))  # noqa: S311 - dice, not keys
STORMY = 0.9  # share of the files that go through before it calms down
log = logging.getLogger("storm")


@pytest.mark.timeout(0)  # a standstill ends it
def test_every_file_goes_through_once_in_its_turn(tmp_path: Path) -> None:
    log.info("seed %s, %s files: STORM_SEED=%s STORM_FILES=%s", SEED, FILES, SEED, FILES)
    with (
        running(time_scale=float(TIME_SCALE)) as stand_in,
        deployed(stand_in, tmp_path / "aws.log") as stack,
    ):
        # Given an account that refuses as AWS's do, five queues, and a storm
        stack.limit(rates="aws", transaction_ms=10)
        make_queues(stack, stand_in)
        weather = Weather(stack, stand_in, FILES, SEED)
        began = time.monotonic()
        try:
            # When files are dropped as fast as it goes
            versions = dropped(stack, planned(FILES, SEED))
            log.info("%4.0f s: all are dropped", time.monotonic() - began)
            wait_for(stack, weather, FILES, began)
        finally:
            weather.end()
        log.info("happened: %s", dict(sorted(weather.happened.items())))
        log.info("requests: %s", stack.requests_counted())
        # Who judges asks how each execution has ended, which is more than an account may.
        stack.limit(rates="none", transaction_ms=0)

        # Then each has gone through once, alone in its queue, with its own bytes
        journal = stand_in.journal()
        assert verdict.executions(stack, versions) == []
        assert stand_in.violations() == []
        assert verdict.overlaps(journal) == []
        assert verdict.runs_of_each(journal, versions) == []
        assert verdict.manifests(stack, versions) == []
        # and those that nobody interfered with, in their order
        undisturbed = order.passages(stack, versions)
        compared, wrong = order.out_of_order(journal, undisturbed)
        log.info("%s files undisturbed, %s pairs compared", len(undisturbed), compared)
        assert wrong == []
        assert compared
        # and nothing is left of it
        assert verdict.left_over(stack) == []


def wait_for(stack: Stack, weather: Weather, files: int, began: float) -> None:
    """Wait until all have succeeded; it calms down when most have."""

    def statuses() -> Counter[str]:
        stack.server.check()
        weather.check()
        return Counter(execution["status"] for execution in stack.executions())

    stormy = True
    for found in looks(statuses):
        went_through = found["SUCCEEDED"]
        weather.went_through = went_through / files
        log.info("%4.0f s: %s", time.monotonic() - began, dict(sorted(found.items())))
        if went_through == files:
            return
        if stormy and went_through >= STORMY * files:
            stormy = False
            weather.calm_down()
            log.info("%4.0f s: it calms down", time.monotonic() - began)
