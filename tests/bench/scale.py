"""Whether a file takes as many requests behind a long queue, and among many routes, as alone.

`PYTHONPATH=layers python -m tests.bench.scale [--quick]` counts on the local stack. The unit tests
count a queue of 1,000 with the application's own turns on moto.
"""

import json
import sys

from local.deploy import ORGANISATION
from tests.bench.cost import TRANSITIONS_A_LOOK
from tests.bench.counted import Counts, Stack, counts_of, stack
from tests.bench.row import Row, equal, show

SHORT = 10  # files that wait
FEW, MANY = 3, 1000  # routes


def rows(*, quick: bool = False) -> list[Row]:
    """Count with a short and with a long queue, with few and with many routes."""
    long = 30 if quick else 1000
    with stack() as running:
        queue = Queue(running)
        queue.drop(SHORT)
        asked, passed = [queue.drop_one()], [queue.pass_on()]
        queue.drop(long - SHORT)
        asked.append(queue.drop_one())
        passed.append(queue.pass_on())
        found = [
            equal(
                f"DynamoDB requests to queue behind {long:,} files, not {SHORT}", asked[0], asked[1]
            ),
            equal(
                f"… to pass the turn on, with {long:,} waiting",
                requests(passed[0]),
                requests(passed[1]),
            ),
            equal(
                f"transitions of a file, with {long:,} waiting",
                without_looks(passed[0]),
                without_looks(passed[1]),
            ),
        ]
        return [*found, routes(running)]


class Queue:
    """The files of one pipeline, whose runs go on until they are ended by hand."""

    def __init__(self, running: Stack) -> None:
        """Let a first file hold the turn."""
        self._running = running
        self._pipeline = running.route("queue", 1).pipeline_id
        self._dropped = self._ended = 0
        running.stand_in.trouble(
            "execute_pipeline", "run", id=self._pipeline, times=None, run={"never_ends": True}
        )
        self._drop("upload_and_execute", patience=60)

    def drop(self, files: int) -> None:
        """Add so many files to the queue."""
        since = len(self._running.lines())
        for _ in range(files):
            self._put()
        self._running.until_invoked("take_turn", files, since, patience=files + 30)

    def drop_one(self) -> int:
        """Add a file; return how many requests of DynamoDB it took."""
        since = len(self._running.lines())
        self._drop("take_turn")
        return table_requests(self._running, since, "take_turn")

    def pass_on(self) -> Counts:
        """End the run that holds the turn; return what was counted until the next one holds it."""
        key = f"queue/{self._ended:04}.csv"
        self._ended += 1
        since = len(self._running.lines())
        (run,) = (
            run
            for run in self._running.stand_in.pipelines()[self._pipeline]["runs"]
            if run["status"] == "Started"
        )
        self._running.stand_in.finish(run["id"], end_status="Succeeded")
        road = self._running.road
        (arn,) = road.executions_of(key)
        ended = road.ended(arn)
        for function in ("run_ended", "upload_and_execute"):
            self._running.until_invoked(function, 1, since, patience=20)
        return counts_of(road, ended, self._running.lines()[since:])

    def _put(self) -> None:
        key = f"queue/{self._dropped:04}.csv"
        self._running.road.drop(key, f"a\n{key}\n".encode())
        self._dropped += 1

    def _drop(self, until: str, patience: float = 20) -> None:
        since = len(self._running.lines())
        self._put()
        self._running.until_invoked(until, 1, since, patience)


def table_requests(running: Stack, since: int, function: str) -> int:
    """How many requests of DynamoDB a function has made since a line of the journal."""
    return sum(
        line["service"] == "dynamodb" and line["function"] == function
        for line in running.lines()[since:]
    )


def requests(counts: Counts) -> int:
    """All requests of DynamoDB."""
    return sum(n for name, n in counts.requests.items() if name.startswith("dynamodb "))


def without_looks(counts: Counts) -> int:
    """The transitions that do not depend on how long the pipeline takes."""
    return counts.transitions - TRANSITIONS_A_LOOK * counts.looks


def routes(running: Stack) -> Row:
    """Compare the calls that find a file's route among few and among many."""
    found = []
    for name, many in (("few", FEW), ("many", MANY)):
        document = {"organisation_id": ORGANISATION, "dataset_id": "d-x", "pipeline_id": "p-x"}
        for number in range(many):
            running.road.put_route(f"{name}-{number:04}", json.dumps(document))
        running.route(f"{name}-0001", 0.1)
        found.append(running.processed(f"{name}-0001/may.csv").requests["ssm GetParameters"])
    return equal(
        f"calls that find the route of a file among {MANY:,}, not {FEW}", found[0], found[1]
    )


if __name__ == "__main__":
    sys.exit(show(rows(quick="--quick" in sys.argv)))
