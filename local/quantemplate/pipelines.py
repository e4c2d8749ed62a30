"""Pipelines and their runs: one run of a pipeline at a time, the others queue."""

from __future__ import annotations

import functools
import hashlib
import json
import secrets
import shutil
import threading
import time
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from local.quantemplate import transform
from local.quantemplate.clock import Clock
from local.quantemplate.datasets import Datasets, Version
from local.quantemplate.events import DICE, Events
from local.quantemplate.journal import Journal, timestamp
from local.quantemplate.messages import PIECE

API_USER = "u-api"
SOMEBODY_ELSE = "u-somebody-else"
OLD_RUN = (
    b'{"id": "e-old%(n)d", "runNumber": %(n)d, "createdAt": "2024-01-01T00:00:00Z", '
    b'"createdBy": "u-somebody-else", "version": 1, "status": "Succeeded", '
    b'"startedAt": "2024-01-01T00:00:01Z", "finishedAt": "2024-01-01T00:05:00Z", '
    b'"outputs": [{"id": "o-old%(n)d", "name": "Clean: Sheet 1"}]}'
)


@dataclass(frozen=True)
class Plan:
    """How one run goes; a status of None is left out of the execution object."""

    seconds: float | None = None  # None: as the pipeline says
    never_ends: bool = False
    end_status: str | None = "Succeeded"
    running_status: str | None = "Started"
    keep_outputs: bool = False  # of a run that does not succeed
    outputs_before: str = "absent"  # or "empty", until the run ends
    hidden_seconds: float = 0.0  # missing from the list so long
    hidden_calls: int = 0  # missing from the list so many times
    duplicate: bool = False  # Execute makes two runs
    started_ahead: float | None = 0.0  # seconds that startedAt is too late; None: it is absent


@dataclass
class Pipeline:
    """A pipeline's definition; `seconds` is how long a run takes before scaling."""

    id: str
    kind: str
    datasets: list[str]
    outputs: list[str]
    seconds: float = 2.0
    jitter: float = 0.0  # a run takes up to so many seconds longer
    shared: bool = True  # with the API user
    shared_with_all: bool = True  # in the organisation: else there are no events of it
    version: int = 1


@dataclass(frozen=True)
class Output:
    """One file that a run made."""

    id: str
    name: str
    path: Path
    sha256: str
    bytes: int


@dataclass(frozen=True)
class History:
    """What a pipeline's list holds before its first run here."""

    listed: bytes = b""  # JSON, without the list's brackets
    last: int = 0  # the highest run number


@dataclass
class Run:
    """One execution of a pipeline, from Execute on."""

    id: str
    number: int
    pipeline: Pipeline
    by: str
    plan: Plan
    created_at: str
    visible_from: float
    hidden_calls: int
    started_at: str | None = None
    finished_at: str | None = None
    due: float | None = None  # on the monotonic clock; None: never
    inputs: tuple[Version, ...] = ()
    ordered: Plan | None = None  # an order to end now, and how
    status: str | None = None
    outputs: list[Output] = field(default_factory=list)

    def shown(self, clock: Clock) -> dict[str, Any]:
        """The execution object of the API, by the server's clock."""
        shown: dict[str, Any] = {
            "id": self.id,
            "runNumber": self.number,
            "createdAt": clock.shown(self.created_at),
            "createdBy": self.by,
            "version": self.pipeline.version,
        }
        status = self.status if self.finished_at else self.plan.running_status
        shown |= {"status": status} if status is not None else {}
        if self.started_at and self.plan.started_ahead is not None:
            shown["startedAt"] = clock.shown(self.started_at, self.plan.started_ahead)
        if self.finished_at:
            shown["finishedAt"] = clock.shown(self.finished_at)
            shown["outputs"] = [{"id": output.id, "name": output.name} for output in self.outputs]
        elif self.plan.outputs_before == "empty":
            shown["outputs"] = []
        return shown

    def facts(self) -> dict[str, Any]:
        """The run as the journal names it."""
        return {
            "execution": self.id,
            "run_number": self.number,
            "pipeline": self.pipeline.id,
            "by": self.by,
        }


class Pipelines:
    """All pipelines of the organisation, and their runs."""

    def __init__(self, journal: Journal, datasets: Datasets, events: Events, folder: Path) -> None:
        self.by_id: dict[str, Pipeline] = {}
        self.runs: dict[str, list[Run]] = {}
        self.histories: dict[str, History] = {}
        self.clock = Clock()
        self.time_scale = 1.0  # real seconds for each second of a run
        self._journal = journal
        self._datasets = datasets
        self._events = events
        self._folder = folder
        self._closed = False
        self._threads: list[threading.Thread] = []

    def define(self, pipeline: Pipeline) -> None:
        """Add a pipeline, or replace its definition for later runs; its version counts up."""
        with self._journal.lock:
            if pipeline.id in self.by_id:
                pipeline.version = self.by_id[pipeline.id].version + 1
            self.by_id[pipeline.id] = pipeline
            self.runs.setdefault(pipeline.id, [])

    def date(self) -> float:
        """Now, by the server's clock, in seconds since 1970."""
        return datetime.fromisoformat(timestamp()).timestamp() + self.clock.ahead

    def execute(self, pipeline_id: str, by: str, plan: Plan) -> dict[str, Any]:
        """Make a run, and start it unless another one of the pipeline is going."""
        with self._journal.lock:
            pipeline = self.by_id[pipeline_id]
            run = self._new_run(pipeline, by, plan)
            self._journal.note("execute_requested", **run.facts())
            rivals = self.unfinished(pipeline.datasets)
            rivals += [other for other in self._going(pipeline_id) if other not in rivals]
            for other in rivals:
                self._violation("two_runs", run, rival=other.id)
            for upload in self._datasets.going(pipeline.datasets):
                self._violation("run_during_upload", run, upload=upload)
            self.runs[pipeline_id].append(run)
            if plan.duplicate:
                self.runs[pipeline_id].append(self._new_run(pipeline, by, Plan()))
                self._journal.note("duplicated", **self.runs[pipeline_id][-1].facts())
            self._start_next(pipeline_id)
            return run.shown(self.clock)

    def listed(self, pipeline_id: str, without: int = 0) -> bytes:
        """The execution objects of a pipeline as JSON, without those that hide.

        An older copy is `without` the newest ones.
        """
        with self._journal.lock:
            shown = []
            for run in self.runs[pipeline_id]:
                if run.hidden_calls:
                    run.hidden_calls -= 1
                elif run.visible_from <= time.monotonic():
                    shown.append(run.shown(self.clock))
            shown = shown[: max(0, len(shown) - without)]
            self._journal.note("executions_listed", pipeline=pipeline_id, shown=len(shown))
            old = self.histories.get(pipeline_id, History())
        parts = [*([old.listed] if old.listed else []), *map(_json, shown)]
        return b"[" + b",".join(parts) + b"]"

    def unfinished(self, dataset_ids: list[str]) -> list[Run]:
        """The runs that wait or go on any of these datasets."""
        wanted = set(dataset_ids)
        with self._journal.lock:
            return [
                run
                for runs in self.runs.values()
                for run in runs
                if not run.finished_at and wanted & set(run.pipeline.datasets)
            ]

    def upload_begins(self, upload: str, dataset_id: str) -> None:
        """Note the runs that this upload may change."""
        for run in self.unfinished([dataset_id]):
            self._violation("upload_during_run", run, upload=upload, dataset=dataset_id)

    def dataset_changed(self, dataset_id: str) -> None:
        """Let runs that have started work on the new version: what is feared, happens."""
        with self._journal.lock:
            for run in self.unfinished([dataset_id]):
                if run.started_at:
                    run.inputs = self._datasets.newest(run.pipeline.datasets)
            self._journal.changed.notify_all()

    def end_now(self, execution_id: str, plan: Plan) -> bool:
        """Order a run to end as `plan` says, and wait for it; False where there is none to end."""
        with self._journal.lock:
            run = self.find(execution_id)
            if run is None or run.finished_at:
                return False
            run.ordered = plan
            if not run.started_at:
                self._end(run, plan, [], "cancelled before it started")
            self._journal.changed.notify_all()
            self._journal.changed.wait_for(lambda: run.finished_at or self._closed)
            return True

    def find(self, execution_id: str) -> Run | None:
        """The run of this id."""
        with self._journal.lock:
            every = (run for runs in self.runs.values() for run in runs)
            return next((run for run in every if run.id == execution_id), None)

    def close(self) -> None:
        """Abandon every run."""
        with self._journal.lock:
            self._closed = True
            self._journal.changed.notify_all()
        for thread in self._threads:
            thread.join(timeout=5)

    def _new_run(self, pipeline: Pipeline, by: str, plan: Plan) -> Run:
        old = self.histories.get(pipeline.id, History())
        number = old.last + len(self.runs[pipeline.id]) + 1
        run_id = f"e-{secrets.token_hex(8)}"
        visible = time.monotonic() + plan.hidden_seconds * self.time_scale
        return Run(run_id, number, pipeline, by, plan, timestamp(), visible, plan.hidden_calls)

    def _violation(self, kind: str, run: Run, **facts: Any) -> None:
        self._journal.note("violation", kind=kind, **run.facts(), **facts)

    def _going(self, pipeline_id: str) -> list[Run]:
        return [run for run in self.runs[pipeline_id] if not run.finished_at]

    def _start_next(self, pipeline_id: str) -> None:
        going = self._going(pipeline_id)
        if not going or going[0].started_at or self._closed:
            return
        run, pipeline = going[0], going[0].pipeline
        seconds = pipeline.seconds if run.plan.seconds is None else run.plan.seconds
        seconds += DICE.uniform(0, pipeline.jitter)
        run.started_at = timestamp()
        run.due = None if run.plan.never_ends else time.monotonic() + seconds * self.time_scale
        run.inputs = self._datasets.newest(pipeline.datasets)
        inputs = [version.facts() for version in run.inputs]
        self._journal.note("run_started", **run.facts(), inputs=inputs)
        thread = threading.Thread(target=self._carry_out, args=(run,), daemon=True)
        self._threads = [other for other in self._threads if other.is_alive()] + [thread]
        thread.start()

    def _carry_out(self, run: Run) -> None:
        """Make the outputs, anew whenever the inputs change, and end the run when it is due."""
        while not self._closed:
            inputs = run.inputs
            outputs, problem = self._make_outputs(run, inputs)
            with self._journal.lock:
                rest = None if run.due is None else max(0.0, run.due - time.monotonic())
                self._journal.changed.wait_for(
                    functools.partial(self._disturbed, run, inputs), rest
                )
                if run.inputs is inputs and not self._closed:
                    self._end(run, run.ordered or run.plan, outputs, problem)
                    return

    def _disturbed(self, run: Run, inputs: tuple[Version, ...]) -> bool:
        """Whether a run is not to be waited for as it was."""
        return self._closed or bool(run.ordered) or run.inputs is not inputs

    def _end(self, run: Run, plan: Plan, outputs: list[Output], problem: str | None) -> None:
        failed = problem is not None and plan.end_status == "Succeeded"
        run.status = "Failed" if failed else plan.end_status
        if run.status == "Succeeded" or plan.keep_outputs:
            run.outputs = outputs
        run.finished_at = timestamp()
        self._journal.note(
            "run_ended",
            **run.facts(),
            status=run.status,
            problem=problem if failed else None,
            inputs=[version.facts() for version in run.inputs],
            outputs=[
                {"id": output.id, "name": output.name, "sha256": output.sha256}
                for output in run.outputs
            ],
        )
        if run.pipeline.shared_with_all:
            self._events.completed(run.pipeline.id, run.id, run.status)
        self._journal.changed.notify_all()
        self._start_next(run.pipeline.id)

    def _make_outputs(
        self, run: Run, inputs: tuple[Version, ...]
    ) -> tuple[list[Output], str | None]:
        """The outputs, or the reason why there are none."""
        if not inputs:
            return [], "the dataset holds no data"
        folder = self._folder / run.id
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        ids = [f"o-{secrets.token_hex(8)}" for _ in run.pipeline.outputs]
        paths = [folder / output_id for output_id in ids]
        try:
            transform.KINDS[run.pipeline.kind][0](inputs[0].path, paths)
        except transform.CannotTransform as error:
            return [], str(error)
        named = zip(ids, run.pipeline.outputs, paths, strict=True)
        return [Output(i, name, path, *_measured(path)) for i, name, path in named], None


def history_from(given: dict[str, Any]) -> History:
    """A pipeline's history out of JSON: `items` as they stand, or `count` plain ones."""
    if "items" in given:
        numbers = [i.get("runNumber") for i in given["items"] if isinstance(i, dict)]
        last = max((n for n in numbers if isinstance(n, int)), default=0)
        return History(b",".join(map(_json, given["items"])), last)
    count = int(given["count"])
    return History(b",".join(OLD_RUN % {b"n": n} for n in range(1, count + 1)), count)


def pipeline_from(pipeline_id: str, given: dict[str, Any]) -> Pipeline:
    """A definition out of JSON; raises ValueError."""
    kind = given.get("kind", "copy")
    if kind not in transform.KINDS:
        raise ValueError(f"kind is none of {', '.join(transform.KINDS)}")
    usual = list(transform.KINDS[kind][1])
    outputs = given.get("outputs", usual)
    if kind != "copy" and len(outputs) != len(usual):
        raise ValueError(f"{kind} makes {len(usual)} outputs")
    content = {"datasets": [], **given, "id": pipeline_id, "kind": kind, "outputs": outputs}
    _known(content, Pipeline)
    return Pipeline(**content)


def plan_from(given: dict[str, Any]) -> Plan:
    """How a run goes, out of JSON; raises ValueError."""
    _known(given, Plan)
    return Plan(**given)


def described(pipeline: Pipeline) -> dict[str, Any]:
    """A definition as JSON."""
    return asdict(pipeline)


def _json(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()


def _known(given: dict[str, Any], kind: type[Plan] | type[Pipeline]) -> None:
    if unknown := set(given) - {known.name for known in fields(kind)}:
        raise ValueError(f"unknown fields {', '.join(sorted(unknown))}")


def _measured(path: Path) -> tuple[str, int]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest(), path.stat().st_size
