"""A Quantemplate in memory: it keeps datasets and runs, lists late and loses replies."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, NoReturn

from straight_through.attempts import iso
from straight_through.errors import ApiThrottled, ApiUnavailable, CredentialsRejected
from straight_through.quantemplate import Execution
from straight_through.statuses import ENDED, STARTED
from tests.model.invocations import running, stop

US, SOMEBODY_ELSE = "u-us", "u-somebody-else"
BAD = ("Failed", "Cancelled")


@dataclass
class Run:
    """One run of a pipeline, with what the model knows of it."""

    id: str
    number: int
    pipeline: str
    created_at: datetime
    created_by: str
    listed_from: datetime
    dataset: str = ""
    content: bytes = b""  # of the dataset when the run was made
    made_for: str = ""  # an execution's name
    attempt: int = 0  # its redrive count
    status: str = STARTED
    finished_at: datetime | None = None

    @property
    def going(self) -> bool:
        """Whether it has not ended."""
        return self.status not in ENDED


@dataclass
class FakeQuantemplate:
    """What the client's calls find; `now` is Quantemplate's own clock."""

    now: Callable[[], datetime]
    forbid: Callable[[str], NoReturn]  # says that an invariant does not hold
    late_by: timedelta = timedelta(0)  # how long the next new run is missing from the list
    down: bool = False
    rejects: bool = False
    newest_first: bool = False
    runs: list[Run] = field(default_factory=list)
    datasets: dict[str, bytes] = field(default_factory=dict)
    uploading: list[tuple[str, Any]] = field(default_factory=list)
    credentials: Any = field(default_factory=lambda: SimpleNamespace(client_id="straight-through"))

    def open(self) -> "FakeQuantemplate":
        """Be the connection and the client."""
        return self

    def list_executions(self, _organisation_id: str, pipeline_id: str) -> list[Execution]:
        """Return the runs that the list shows by now."""
        self._answer(stop(f"list {pipeline_id}"))
        listed = [r for r in self.runs if r.pipeline == pipeline_id and r.listed_from <= self.now()]
        return [_told(run) for run in (reversed(listed) if self.newest_first else listed)]

    def upload_dataset(self, _organisation_id: str, dataset_id: str, body: Any) -> None:
        """Overwrite a dataset: it takes from one call to the next."""
        self._answer(stop(f"upload begins {dataset_id}"))
        self._no_upload(dataset_id, "a second upload begins")
        self._no_run_of(dataset_id, "an upload begins")
        invocation = running()
        self.uploading.append((dataset_id, invocation))
        try:
            content = b"".join(body)
            trouble = stop(f"upload ends {dataset_id}")
        finally:  # it failed, or the function was killed: nothing of it ever arrives
            self.uploading.remove((dataset_id, invocation))
        if trouble == "refused":
            raise ApiUnavailable("The upload broke off.")
        self.datasets[dataset_id] = content
        if invocation:
            invocation.uploaded = dataset_id
        if trouble == "lost":
            raise ApiUnavailable("The upload's reply was lost.")

    def execute_pipeline(self, _organisation_id: str, pipeline_id: str) -> Execution:
        """Make a run."""
        trouble = stop(f"execute {pipeline_id}")
        if trouble == "refused":
            raise ApiUnavailable("Execute's request was lost, or its reply: who knows.")
        if trouble == "unsent":
            raise ApiUnavailable("Execute was not sent.", sent=False)
        self._answer(trouble)
        run = self._made(pipeline_id)
        self.runs.append(run)
        if trouble == "lost":
            raise ApiUnavailable("Execute's reply was lost.")
        return _told(run)

    def somebody_executes(self, pipeline_id: str) -> None:
        """Make a run that is none of ours."""
        self.runs.append(self._new(pipeline_id, SOMEBODY_ELSE))

    def end(self, run: Run, status: str) -> None:
        """End a run."""
        run.status, run.finished_at = status, self.now()

    def _made(self, pipeline_id: str) -> Run:
        """Return the run that the invocation makes, if it may make one now."""
        invocation = running()
        if not invocation or not invocation.uploaded:
            self.forbid("Execute without an upload")
        dataset, execution = invocation.uploaded, invocation.about
        self._no_upload(dataset, "Execute is sent")
        self._no_run_of(dataset, "Execute is sent", pipeline_id)
        attempt = invocation.attempt
        for earlier in (run for run in self.runs if run.made_for == execution.name):
            if earlier.status not in BAD or earlier.attempt >= attempt:
                self.forbid(f"{execution.name} is executed again after {earlier}")
        run = self._new(pipeline_id, US)
        run.dataset, run.content = dataset, self.datasets[dataset]
        run.made_for, run.attempt = execution.name, attempt
        if run.content != execution.content:
            self.forbid(f"{execution.name} is executed with {run.content!r}")
        return run

    def _new(self, pipeline_id: str, user: str) -> Run:
        """Return the pipeline's next run."""
        number = 1 + sum(run.pipeline == pipeline_id for run in self.runs)
        run_id, late_by = f"e-{pipeline_id}-{number}", self.late_by
        self.late_by = timedelta(0)
        return Run(run_id, number, pipeline_id, self.now(), user, self.now() + late_by)

    def _answer(self, trouble: str) -> None:
        """Fail as Quantemplate does, where it has trouble."""
        if self.down or trouble in ("refused", "unsent"):
            raise ApiUnavailable("Quantemplate is down.", sent=False)
        if trouble == "throttled":
            raise ApiThrottled("Too many requests.", retry_after=30)
        if self.rejects:
            raise CredentialsRejected("Quantemplate rejects the client id.")

    def _no_upload(self, dataset: str, what: str) -> None:
        """Require that nobody uploads to the dataset."""
        for busy, invocation in self.uploading:
            if busy == dataset:
                self.forbid(f"{what} during {invocation.about.name}'s upload to {dataset}")

    def _no_run_of(self, dataset: str, what: str, pipeline: str = "") -> None:
        """Require that no run of ours is going that uses the dataset or the pipeline."""
        for run in self.runs:
            ours = run.going and run.created_by == US
            if ours and (run.dataset == dataset or run.pipeline == pipeline):
                self.forbid(f"{what} during {run}")


def _told(run: Run) -> Execution:
    """Return a run as the client does."""
    return Execution(
        id=run.id,
        run_number=run.number,
        status=run.status,
        created_at=iso(run.created_at),
        created_by=run.created_by,
        started_at=iso(run.created_at),
        finished_at=iso(run.finished_at) if run.finished_at else None,
    )
