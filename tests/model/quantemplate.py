"""A Quantemplate in memory: it keeps datasets and runs, lists late and loses replies.

Its clock may differ from ours, its times may be odd, and its list may be an older copy.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, NoReturn

from quantemplate.executions import Execution, execution_of
from quantemplate.listing import Listing, reduced
from straight_through.errors import (
    ApiThrottled,
    ApiUnavailable,
    CredentialsRejected,
    NotFound,
    StraightThroughError,
)
from straight_through.moments import iso
from straight_through.statuses import STARTED
from tests.model.invocations import running, stop

US, SOMEBODY_ELSE = "u-us", "u-somebody-else"
BAD = ("Failed", "Cancelled")
# How it writes a time; None for not at all.
STYLES: dict[str, Callable[[datetime], str | None]] = {
    "with a zone": iso,
    "without a zone": lambda moment: iso(moment).removesuffix("Z"),
    "unreadable": lambda moment: f"{int(moment.timestamp() * 1000)}",
    "none": lambda _moment: None,
}


@dataclass
class Run:
    """One run of a pipeline, with what the model knows of it."""

    id: str
    number: int
    pipeline: str
    created_at: datetime
    created_by: str
    listed_from: datetime
    datasets: list[str] = field(default_factory=list)
    content: bytes = b""  # of the datasets when the run was made
    made_for: str = ""  # an execution's name
    attempt: int = 0  # its redrive count
    status: str = STARTED
    finished_at: datetime | None = None

    @property
    def going(self) -> bool:
        """Whether it has not ended."""
        return self.finished_at is None

    @property
    def by_hand(self) -> bool:
        """Whether our user has made it without us."""
        return self.created_by == US and not self.made_for


@dataclass
class FakeQuantemplate:
    """What the client's calls find; `now` is Quantemplate's own clock."""

    now: Callable[[], datetime]
    forbid: Callable[[str], NoReturn]  # says that an invariant does not hold
    kept: Callable[[str], int]  # the highest run number that we keep of a pipeline
    content: Callable[[Any], bytes]  # that an execution's run must be made from
    style: str = "with a zone"  # of the times that it tells
    dated: bool = True  # whether it tells its own time
    late_by: timedelta = timedelta(0)  # how long the next new run is missing from the list
    behind: timedelta = timedelta(0)  # how much older the list is: it goes backwards
    gone: bool = False  # whether it answers every list with 404
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

    def list_executions(
        self, _organisation_id: str, pipeline_id: str, *, after: int, ours: Collection[str]
    ) -> Listing:
        """Return the runs that the list shows by now."""
        self._answer(stop(f"list {pipeline_id}"), "list_executions")
        if self.gone:
            raise _at("list_executions", NotFound("404"))
        listed = [r for r in self.runs if r.pipeline == pipeline_id and self._shows(r)]
        told = [self._told(run) for run in (reversed(listed) if self.newest_first else listed)]
        date = self.now().replace(microsecond=0) if self.dated else None
        return reduced(told, after=after, ours=ours, date=date)

    def _shows(self, run: Run) -> bool:
        """Whether the list shows a run; what our user makes by hand is hidden only once we know it.

        Before that nothing tells it from a run whose reply was lost: a limit that is documented.
        """
        unknown = run.by_hand and run.number > self.kept(run.pipeline)
        behind = timedelta(0) if unknown else self.behind
        return run.listed_from <= self.now() and run.created_at + behind <= self.now()

    def upload_dataset(self, _organisation_id: str, dataset_id: str, body: Any) -> None:
        """Overwrite a dataset: it takes from one call to the next."""
        self._answer(stop(f"upload begins {dataset_id}"), "upload_dataset")
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
            raise _at("upload_dataset", ApiUnavailable("The upload broke off."))
        self.datasets[dataset_id] = content
        if invocation:
            invocation.uploaded.append(dataset_id)
        if trouble == "lost":
            raise _at("upload_dataset", ApiUnavailable("The upload's reply was lost."))

    def execute_pipeline(self, _organisation_id: str, pipeline_id: str) -> Execution:
        """Make a run."""
        trouble = stop(f"execute {pipeline_id}")
        if trouble == "refused":
            raise _at("execute_pipeline", ApiUnavailable("Its request was lost, or its reply."))
        if trouble == "unsent":
            raise _at("execute_pipeline", ApiUnavailable("It was not sent.", sent=False))
        self._answer(trouble, "execute_pipeline")
        run = self._made(pipeline_id)
        self.runs.append(run)
        if trouble == "lost":
            raise _at("execute_pipeline", ApiUnavailable("Execute's reply was lost."))
        return execution_of(self._told(run))

    def somebody_executes(self, pipeline_id: str) -> None:
        """Make a run that is none of ours."""
        self.runs.append(self._new(pipeline_id, SOMEBODY_ELSE))

    def executed_by_hand(self, pipeline_id: str) -> None:
        """Make a run with our user, and not by one of our executions."""
        self.runs.append(self._new(pipeline_id, US))

    def end(self, run: Run, status: str) -> None:
        """End a run."""
        run.status, run.finished_at = status, self.now()

    def _made(self, pipeline_id: str) -> Run:
        """Return the run that the invocation makes, if it may make one now."""
        invocation = running()
        if not invocation or not invocation.call:
            self.forbid("Execute without an execution")
        datasets, execution = invocation.uploaded, invocation.about
        if bool(datasets) == ("route" in execution.input):
            self.forbid(f"Execute {'with' if datasets else 'without'} an upload")
        for dataset in datasets:
            self._no_upload(dataset, "Execute is sent")
        for dataset in datasets or [""]:
            self._no_run_of(dataset, "Execute is sent", pipeline_id)
        attempt = invocation.call.attempt
        for earlier in (run for run in self.runs if run.made_for == execution.name):
            if earlier.status not in BAD or earlier.attempt >= attempt:
                self.forbid(f"{execution.name} is executed again after {earlier}")
        run = self._new(pipeline_id, US)
        run.datasets = datasets
        run.content = b"".join(self.datasets[dataset] for dataset in datasets)
        run.made_for, run.attempt = execution.name, attempt
        if run.content != self.content(execution):
            self.forbid(f"{execution.name} is executed with {run.content!r}")
        return run

    def _new(self, pipeline_id: str, user: str) -> Run:
        """Return the pipeline's next run."""
        number = 1 + sum(run.pipeline == pipeline_id for run in self.runs)
        run_id, late_by = f"e-{pipeline_id}-{number}", self.late_by
        self.late_by = timedelta(0)
        return Run(run_id, number, pipeline_id, self.now(), user, self.now() + late_by)

    def _answer(self, trouble: str, call: str) -> None:
        """Fail as Quantemplate does, where it has trouble."""
        if self.down or trouble in ("refused", "unsent"):
            raise _at(call, ApiUnavailable("Quantemplate is down.", sent=False))
        if trouble == "throttled":
            raise _at(call, ApiThrottled("Too many requests.", retry_after=30))
        if self.rejects:
            raise _at("token", CredentialsRejected("Quantemplate rejects the client id."))

    def _no_upload(self, dataset: str, what: str) -> None:
        """Require that nobody uploads to the dataset."""
        for busy, invocation in self.uploading:
            if busy == dataset:
                self.forbid(f"{what} during {invocation.about.name}'s upload to {dataset}")

    def _no_run_of(self, dataset: str, what: str, pipeline: str = "") -> None:
        """Require that no run of ours is going that uses the dataset or the pipeline."""
        for run in self.runs:
            ours = run.going and run.made_for
            if ours and (dataset in run.datasets or run.pipeline == pipeline):
                self.forbid(f"{what} during {run}")

    def _told(self, run: Run) -> dict[str, Any]:
        """Return a run as the API tells it."""
        time = STYLES[self.style]
        return {
            "id": run.id,
            "runNumber": run.number,
            "status": run.status,
            "createdAt": time(run.created_at),
            "createdBy": run.created_by,
            "startedAt": time(run.created_at),
            # That it has ended is told in any case.
            "finishedAt": (time(run.finished_at) or "then") if run.finished_at else None,
        }


def _at(call: str, error: StraightThroughError) -> StraightThroughError:
    """Return an error that a call of the API has met."""
    error.call = call
    return error
