"""Many files over many queues at once, in an account with AWS's quotas: how fast, and how large.

STORM_FILES says how many files there are. What it measures it logs, and judges only what must hold.
Its seconds are true ones: where waits are shortened, an account's buckets fill no faster for that.
"""

import logging
import os
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.quantemplate import Control, running
from tests.storm import order, verdict
from tests.storm.files import AT_ONCE, File, Version
from tests.storm.looks import looks
from tests.storm.stack import Stack, deployed

FILES = int(os.environ.get("STORM_FILES") or 48)
QUEUES = min(50, FILES // 4)
FUNCTIONS = 60  # at once: hundreds of processes on two cores would outlive their time-outs
MOST_REFUSED = 0.05  # of all writes
WRITES = ("TransactWriteItems", "UpdateItem", "PutItem", "DeleteItem")
KB = 1024
log = logging.getLogger("storm")


@pytest.mark.timeout(0)  # a standstill ends it
def test_many_files_over_many_queues_go_through_in_their_order(tmp_path: Path) -> None:
    with (
        running(time_scale=1) as stand_in,
        deployed(stand_in, tmp_path / "aws.log", time_scale="1", killed=False) as stack,
    ):
        # Given many queues, in an account that refuses as AWS's do
        stack.limit(rates="aws", transaction_ms=10, concurrent_executions=FUNCTIONS)
        # Whose refused events come again before this test takes it for a standstill
        stack.client("sqs").set_queue_attributes(
            QueueUrl=stack.resource("Drops"), Attributes={"VisibilityTimeout": "60"}
        )
        queues = [make_queue(stack, stand_in, f"many{number}") for number in range(QUEUES)]
        files = [
            File(queue, f"{queue}/{number}.csv", f"number\n{number}\n".encode())
            for number, queue in enumerate(queues * (FILES // QUEUES))
        ]
        # When files are dropped into all of them at once
        began = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            versions = list(
                pool.map(lambda file: Version(file, stack.drop(file.key, file.content)), files)
            )
        log.info("%4.0f s: %s are dropped", time.monotonic() - began, len(files))
        wait_for_all(stack, len(files), began)
        took = time.monotonic() - began
        counts = stack.requests_counted()
        stack.limit(rates="none", transaction_ms=0)
        # Then each has gone through once, in the order of its queue, and nothing is left of it
        journal = stand_in.journal()
        assert verdict.runs_of_each(journal, versions) == []
        assert verdict.manifests(stack, versions) == []
        assert verdict.overlaps(journal) == []
        assert verdict.left_over(stack) == []
        passages = order.passages(stack, versions)
        compared, wrong = order.out_of_order(journal, passages)
        assert wrong == []
        assert compared
        # And few writes were refused
        taken = sum(counts.get(kind, {}).get("taken", 0) for kind in WRITES)
        refused = sum(counts.get(kind, {}).get("refused", 0) for kind in WRITES)
        assert refused < MOST_REFUSED * (taken + refused)
        longest = max(each.came - each.asked for each in passages.values())
        log.info(
            "%s files in %.0f s: %.0f a minute; the longest wait for a turn %.0f s; the local AWS "
            "had %.0f MiB; %s of %s writes were refused; %s",
            *(len(files), took, len(files) / took * 60, longest.total_seconds()),
            *(peak_of(stack) / KB, refused, taken + refused, counts),
        )


def make_queue(stack: Stack, stand_in: Control, name: str) -> str:
    """A route with a pipeline of its own; return its name."""
    stand_in.define_dataset(f"d-{name}")
    stand_in.define_pipeline(f"p-{name}", kind="copy", datasets=[f"d-{name}"], outputs=["Copy"])
    return stack.route_to(f"d-{name}", f"p-{name}", name).name


def wait_for_all(stack: Stack, files: int, began: float) -> None:
    """Wait until all have succeeded."""

    def statuses() -> Counter[str]:
        stack.server.check()
        return Counter(execution["status"] for execution in stack.executions())

    for found in looks(statuses):
        log.info("%4.0f s: %s", time.monotonic() - began, dict(sorted(found.items())))
        if failed := stack.executions("FAILED"):
            stack.limit(rates="none")
            run = stack.ended(failed[0]["executionArn"])
            raise AssertionError(f"{run.name} failed at {run.failed_at}: {run.error}, {run.cause}")
        if found["SUCCEEDED"] == files:
            return


def peak_of(stack: Stack) -> int:
    """The most memory that the server's process ever had, in KiB."""
    status = Path(f"/proc/{stack.server.process.pid}/status").read_text("ascii")
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return int(peak)
