"""A deployed stack whose requests, invocations and state transitions are counted."""

import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.build import layer_zip
from local.process import ROOT, Part, wait_until_ready
from local.quantemplate import Control, running
from local.stack import LOCAL, Quantemplate, deployed
from tests.end_to_end.road import Road, Route, Run

Line = dict[str, Any]
NOT_OF_A_FILE = ("sweep_queues", "pause_queue")  # functions
TO_SETTLE = 10  # seconds, for what still comes after a run's end


@dataclass(frozen=True)
class Counts:
    """What one file took: whole numbers, and its functions' milliseconds and memory in MB."""

    looks: int
    transitions: int
    events: int
    requests: Counter[str]
    invocations: tuple[tuple[str, int, int], ...] = field(default=())


@dataclass(frozen=True)
class Stack:
    """The application, a stand-in Quantemplate, and the journal of what was requested."""

    road: Road
    stand_in: Control
    journal: Path

    def lines(self) -> list[Line]:
        """The journal so far."""
        return [json.loads(line) for line in self.journal.read_text("utf-8").splitlines()]

    def route(self, name: str, seconds: float) -> Route:
        """A route to a pipeline of its own, which gives the file back after so many seconds."""
        self.stand_in.define_dataset(f"d-{name}")
        self.stand_in.define_pipeline(
            f"p-{name}", kind="copy", datasets=[f"d-{name}"], outputs=["Copy"], seconds=seconds
        )
        return self.road.route_to(f"d-{name}", f"p-{name}", name)

    def processed(self, key: str) -> Counts:
        """Drop a file, wait for its end, and return what it took."""
        before = len(self.lines())
        run = self.road.processed(key, f"a\n{key}\n".encode())
        assert run.status == "SUCCEEDED", run.cause
        self.until_invoked("run_ended", 1, before)
        return counts_of(self.road, run, self.lines()[before:])

    def until_invoked(
        self, function: str, times: int, since: int, patience: float = TO_SETTLE
    ) -> None:
        """Wait until a function has ended so often after this line of the journal."""
        deadline = time.monotonic() + patience
        while sum(_ended(line, function) for line in self.lines()[since:]) < times:
            assert time.monotonic() < deadline, f"{function} did not run"
            time.sleep(0.05)


def counts_of(road: Road, run: Run, lines: Sequence[Line]) -> Counts:
    """What a run took: transitions by its history, all else by these lines of the journal."""
    entered = road.entered(run)
    lines = [line for line in lines if line["function"] not in NOT_OF_A_FILE]
    requests: Counter[str] = Counter()
    for line in lines:
        if line["service"] != "lambda":
            requests[f"{line['service']} {line['operation']}"] += 1
            requests["reads"] += line.get("read", 0)
            requests["writes"] += line.get("write", 0)
    return Counts(
        looks=entered.count("CheckStatus"),
        transitions=len(entered),
        events=len(road.history(run.arn)),
        requests=requests,
        invocations=tuple(
            (line["function"], line["ms"], line["memory"])
            for line in lines
            if line["service"] == "lambda"
        ),
    )


def _ended(line: Line, function: str) -> bool:
    """Whether a line is the end of an invocation of this function."""
    return bool(line["service"] == "lambda" and line["function"] == function)


@contextmanager
def stack(time_scale: float = 1.0) -> Iterator[Stack]:
    """Deploy it; everything is stopped at the end."""
    layer = layer_zip(ROOT / "layers", LOCAL / "build")
    with tempfile.TemporaryDirectory(prefix="bench-") as made, running() as stand_in:
        journal, log = Path(made) / "journal", Path(made) / "aws.log"
        options = ["--port", "0", "--time-scale", str(time_scale), "--journal", str(journal)]
        aws = Part("local AWS", "emulator", *options, log=log)
        try:
            (endpoint,) = wait_until_ready(aws)
            server = Quantemplate(stand_in.api_url, stand_in.token_url)
            outputs = deployed(endpoint, server, layer, lambda _: None)
            yield Stack(Road(endpoint, dict(outputs)), stand_in, journal)
        finally:
            aws.ask_to_stop()
            aws.stop()
