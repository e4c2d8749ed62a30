"""A burst: many files into one folder at once, in an account that refuses as AWS's do.

STORM_FILES says how many files there are.
"""

import logging
import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.quantemplate import Control, running
from tests.storm.files import AT_ONCE
from tests.storm.looks import looks
from tests.storm.stack import TIME_SCALE, Stack, deployed

FILES = int(os.environ.get("STORM_FILES") or 60)
OTHERS = ("one", "two", "three")  # queues that go on meanwhile
MOST_REFUSED = 0.05  # of all writes
WRITES = ("TransactWriteItems", "UpdateItem", "PutItem", "DeleteItem")
HOUR = 3600 / float(TIME_SCALE)  # of a pipeline's seconds: it outlasts the test
log = logging.getLogger("storm")


@pytest.mark.timeout(0)  # a standstill ends it
def test_a_burst_into_one_folder_waits_and_holds_up_no_other(tmp_path: Path) -> None:
    with (
        running(time_scale=float(TIME_SCALE)) as stand_in,
        deployed(stand_in, tmp_path / "aws.log") as stack,
    ):
        # Given an account with AWS's quotas, where writes that meet are refused
        stack.limit(rates="aws", transaction_ms=30)
        # And a queue whose first run takes long, and others
        make_queue(stack, stand_in, "burst", seconds=HOUR)
        for name in OTHERS:
            make_queue(stack, stand_in, name, seconds=1)
        began = time.monotonic()
        # When many files are dropped into one folder at once, and a few into others
        keys = [f"burst/{number}.csv" for number in range(FILES)]
        for place, name in enumerate(OTHERS):
            keys.insert(FILES // 2 + place, f"{name}/a.csv")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda key: stack.drop(key, f"number\n{key}\n".encode()), keys))
        log.info("%4.0f s: all are dropped", time.monotonic() - began)
        standing = wait_for_all(stack, began)
        # Then all of the burst wait but the one that has the turn, and the others are through
        assert standing == {"RUNNING": FILES, "SUCCEEDED": len(OTHERS)}
        assert tickets_of(stack, "p-burst") == FILES - 1
        # And each file that went up went up once
        uploads = Counter(entry["sha256"] for entry in stand_in.journal("upload_finished"))
        assert len(uploads) == len(OTHERS) + 1
        assert set(uploads.values()) == {1}
        # And few writes were refused
        counts = stack.requests_counted()
        taken = sum(counts.get(kind, {}).get("taken", 0) for kind in WRITES)
        refused = sum(counts.get(kind, {}).get("refused", 0) for kind in WRITES)
        log.info("%s of %s writes were refused; %s", refused, taken + refused, counts)
        assert refused < MOST_REFUSED * (taken + refused)


def make_queue(stack: Stack, stand_in: Control, name: str, seconds: float) -> None:
    """A route with a pipeline of its own, which takes so many seconds."""
    stand_in.define_dataset(f"d-{name}")
    stand_in.define_pipeline(
        f"p-{name}", kind="copy", datasets=[f"d-{name}"], outputs=["Copy"], seconds=seconds
    )
    stack.route_to(f"d-{name}", f"p-{name}", name)


def wait_for_all(stack: Stack, began: float) -> Counter[str]:
    """Wait until all of the burst have asked for their turn and the others are through."""

    def standing() -> tuple[Counter[str], int]:
        stack.server.check()
        statuses = Counter(execution["status"] for execution in stack.executions())
        return statuses, tickets_of(stack, "p-burst")

    for statuses, waiting in looks(standing):
        log.info("%4.0f s: %s, %s wait", time.monotonic() - began, dict(statuses), waiting)
        if waiting >= FILES - 1 and statuses["SUCCEEDED"] >= len(OTHERS):
            break
    return statuses


def tickets_of(stack: Stack, queue: str) -> int:
    """How many files wait in a queue."""
    return sum(item["pk"]["S"] == f"tickets#{queue}" for item in stack.items())
