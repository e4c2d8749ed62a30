"""What is measured: each metric's name, unit and meaning, and the one way to record it.

CloudWatch takes the values from the functions' log lines ("Embedded metric format"), in a namespace
of the stack's own, and warns that it may count one twice. A record never fails a run.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import (
    AmazonCloudWatchEMFProvider,
)

from straight_through.errors import (
    AccessDenied,
    ApiThrottled,
    ApiUnavailable,
    CredentialsRejected,
    NotFound,
    OutputIncomplete,
    RequestRefused,
    UploadRefused,
)
from straight_through.statuses import GATHERED, HELD, REPLACED, SKIPPED, SUCCEEDED

if TYPE_CHECKING:
    from straight_through.end_facts import Facts

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Metric:
    """One metric; `by_error` ones have, beside their whole, a part for each name of an error.

    `unit` is one of CloudWatch's.
    """

    name: str
    unit: str
    meaning: str
    by_error: bool = False


# --- a file's way -------------------------------------------------------------------------------
FILES_STARTED = Metric(
    "FilesStarted", "Count", "Dropped files whose run was started; each version counts once."
)
TIME_WAITING = Metric(
    "TimeWaiting",
    "Seconds",
    "From a run's start until its turn came; told at its end, and not of redriven runs.",
)
BYTES_UPLOADED = Metric(
    "BytesUploaded", "Bytes", "Size of a dropped file that went to Quantemplate; again if redriven."
)
TIME_IN_QUANTEMPLATE = Metric(
    "TimeInQuantemplate",
    "Seconds",
    "How long the execution took; told at the end of a run that succeeded or is held.",
)
DETECTION_DELAY = Metric(
    "DetectionDelay",
    "Seconds",
    "From the end of the execution until CheckStatus saw it; twice if the function then died.",
)
BYTES_DOWNLOADED = Metric(
    "BytesDownloaded",
    "Bytes",
    "Size of an output that was stored in the outbox; twice if the function then died.",
)
API_ERRORS = Metric(
    "ApiErrors",
    "Count",
    "Calls of Quantemplate's API that failed, those that were tried again too.",
    by_error=True,
)

# --- how runs end -------------------------------------------------------------------------------
RUNS_SUCCEEDED = Metric(
    "RunsSucceeded", "Count", "Runs whose outputs were published; a release of a held run too."
)
RUNS_HELD = Metric("RunsHeld", "Count", "Runs that a gate holds.")
RUNS_SKIPPED = Metric(
    "RunsSkipped",
    "Count",
    "Runs of bytes that were processed before, which their route skips, of versions that a newer "
    "one has replaced, and of files of a set that another one's run goes on with.",
)
RUNS_FAILED = Metric(
    "RunsFailed",
    "Count",
    "Runs that failed or timed out; one that is redriven and fails again counts again.",
    by_error=True,
)
RUNS_STOPPED = Metric("RunsStopped", "Count", "Runs that somebody stopped.")

# --- how the queues stand, each minute ----------------------------------------------------------
FILES_WAITING = Metric("FilesWaiting", "Count", "Files that wait for their turn, in all queues.")
LONGEST_WAIT = Metric(
    "LongestWait", "Seconds", "How long the file has waited that has waited longest, in any queue."
)
LONGEST_TURN = Metric(
    "LongestTurn", "Seconds", "How long the turn has been held that has been held longest."
)
QUEUES_PAUSED = Metric("QueuesPaused", "Count", "Queues that are paused.")
QUEUES_STANDING_STILL = Metric(
    "QueuesStandingStill",
    "Count",
    "Queues that are not paused and where nothing has moved for longer than QueueAlarmHours: one "
    "file has held the turn, or files have waited and nobody has it.",
)

# --- Quantemplate's events, where they are taken -------------------------------------------------
EVENTS_TAKEN = Metric("EventsTaken", "Count", "Quantemplate's events that were noted.")
EVENTS_IGNORED = Metric("EventsIgnored", "Count", "Events of a kind that nobody here knows.")
EVENTS_REFUSED = Metric(
    "EventsRefused",
    "Count",
    "Requests at the address for events that were refused: without its key, or no event.",
)

METRICS = tuple(each for each in dict(globals()).values() if isinstance(each, Metric))

# By the status that `facts_of` tells.
_RUNS = {
    SUCCEEDED: RUNS_SUCCEEDED,
    HELD: RUNS_HELD,
    SKIPPED: RUNS_SKIPPED,
    REPLACED: RUNS_SKIPPED,
    GATHERED: RUNS_SKIPPED,
    "Failed": RUNS_FAILED,
    "TimedOut": RUNS_FAILED,
    "Aborted": RUNS_STOPPED,
}
_OF_API = (
    AccessDenied,
    ApiThrottled,
    ApiUnavailable,
    CredentialsRejected,
    NotFound,
    OutputIncomplete,
    RequestRefused,
    UploadRefused,
)


def record(values: Mapping[Metric, float], error: str = "") -> None:
    """Record values of metrics that belong together; `error` is the name that `by_error` asks for.

    Whatever goes wrong is logged and not raised.
    """
    try:
        # Not Metrics, which adds the function's name as a dimension that nobody asks for.
        line = AmazonCloudWatchEMFProvider(service="")
        for metric, value in values.items():
            line.add_metric(metric.name, metric.unit, value)
        if error:
            line.add_dimensions(Error=error)
        line.flush_metrics()
    except Exception:
        logger.exception("Not measured: %s", ", ".join(metric.name for metric in values))


def counting(log: Logger) -> Callable[[Exception], None]:
    """Return what logs and counts an error that ended a call, if it is of Quantemplate's API."""

    def failed(error: Exception) -> None:
        if isinstance(error, _OF_API):
            name = type(error).__name__
            log.warning("API error", error=name, cause=str(error))
            record({API_ERRORS: 1}, error=name)

    return failed


def record_end(facts: "Facts", *, release: bool = False) -> None:
    """Count an ended run by its result, with its times; `facts` are those of `facts_of`.

    A release has no times of its own: the run that it releases has told them.
    """
    status = facts["status"]
    result = _RUNS.get(status, RUNS_FAILED)
    if result.by_error:
        record({result: 1}, error=facts["error"] or status)
    else:
        record({result: 1})
    if release:
        return
    times = {TIME_IN_QUANTEMPLATE: facts["ran_seconds"]}
    if facts["attempt"] == 1:  # or it would count from the first attempt's start
        times[TIME_WAITING] = facts["waited_seconds"]
    known = {metric: seconds for metric, seconds in times.items() if seconds is not None}
    if known:
        record(known)
