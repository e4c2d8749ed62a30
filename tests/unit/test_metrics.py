"""What is measured reaches the log in the form that CloudWatch reads, and never fails a run."""

import json
from typing import TYPE_CHECKING, Any, cast

import jsonschema
import pytest
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit

from straight_through.errors import (
    AccessDenied,
    ApiThrottled,
    OutboxUnavailable,
    PipelineBusy,
    SourceUnavailable,
)
from straight_through.metrics import (
    API_ERRORS,
    FILES_STARTED,
    FILES_WAITING,
    METRICS,
    QUEUES_PAUSED,
    RUNS_FAILED,
    Metric,
    counting,
    record,
    record_end,
)

if TYPE_CHECKING:
    from straight_through.end_facts import Facts

NAMESPACE = "StraightThrough/one-stack"
# The parts of AWS's "Embedded metric format schema" that matter here.
SCHEMA = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "properties": {
                "Timestamp": {"type": "integer"},
                "CloudWatchMetrics": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["Namespace", "Dimensions", "Metrics"],
                        "properties": {
                            "Dimensions": {
                                "type": "array",
                                "minItems": 1,
                                "items": {"type": "array", "items": {"type": "string"}},
                            },
                        },
                    },
                },
            },
        }
    },
}
FACTS = cast(
    "Facts",
    {
        "status": "Succeeded",
        "error": None,
        "attempt": 1,
        "waited_seconds": 12.5,
        "ran_seconds": 240.0,
    },
)


@pytest.fixture(autouse=True)
def _namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack's namespace."""
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", NAMESPACE)
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "start_run")


def recorded(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, dict[str, str], float, str]]:
    """What CloudWatch makes of the lines: name, dimensions, value and unit."""
    found = []
    for text in capsys.readouterr().out.splitlines():
        line = json.loads(text)
        jsonschema.validate(line, SCHEMA)
        for directive in line["_aws"]["CloudWatchMetrics"]:
            assert directive["Namespace"] == NAMESPACE
            for names in directive["Dimensions"]:
                dimensions = {name: line[name] for name in names}
                found += [
                    (metric["Name"], dimensions, value, metric["Unit"])
                    for metric in directive["Metrics"]
                    for value in line[metric["Name"]]
                ]
    return found


def test_a_value_has_no_dimension(capsys: pytest.CaptureFixture[str]) -> None:
    record({FILES_STARTED: 1})
    assert recorded(capsys) == [("FilesStarted", {}, 1.0, "Count")]


def test_values_of_one_moment_share_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    record({FILES_WAITING: 3, QUEUES_PAUSED: 1})
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 1
    assert json.loads(out)["FilesWaiting"] == [3.0]


def test_an_errors_name_is_a_part_beside_the_whole(capsys: pytest.CaptureFixture[str]) -> None:
    record({API_ERRORS: 1}, error="ApiThrottled")
    record({API_ERRORS: 1}, error="NotFound")  # and the name before it is forgotten
    assert recorded(capsys) == [
        ("ApiErrors", {}, 1.0, "Count"),
        ("ApiErrors", {"Error": "ApiThrottled"}, 1.0, "Count"),
        ("ApiErrors", {}, 1.0, "Count"),
        ("ApiErrors", {"Error": "NotFound"}, 1.0, "Count"),
    ]


@pytest.mark.parametrize(
    ("metric", "value", "namespace"),
    [
        (FILES_STARTED, None, NAMESPACE),
        (FILES_STARTED, 1, None),
        (Metric("", "Count", "nameless"), 1, NAMESPACE),
        (Metric("FilesStarted", "Dozens", "no unit of CloudWatch's"), 1, NAMESPACE),
    ],
)
def test_what_cannot_be_recorded_is_logged_and_fails_nothing(
    metric: Metric,
    value: Any,
    namespace: str | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    # Given a value, a metric or a setting that cannot be
    if namespace is None:
        monkeypatch.delenv("POWERTOOLS_METRICS_NAMESPACE")
    # When it is recorded, nothing is raised, and the log says what is missing
    record({metric: value})
    assert "Not measured" in caplog.text
    # And the next one is recorded as if nothing had been
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", NAMESPACE)
    capsys.readouterr()
    record({FILES_STARTED: 1})
    assert recorded(capsys) == [("FilesStarted", {}, 1.0, "Count")]


# --- errors of the API --------------------------------------------------------------------------
@pytest.mark.parametrize("error", [ApiThrottled("429"), AccessDenied("403")])
def test_an_error_of_the_api_is_logged_and_counted(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    counting(Logger(service=f"of-{type(error).__name__}", stream=OUT))(error)
    lines = capsys.readouterr().out.splitlines()
    said, counted = json.loads(lines[0]), json.loads(lines[1])
    assert (said["message"], said["error"]) == ("API error", type(error).__name__)
    assert said["cause"] == str(error)
    assert counted["Error"] == said["error"]


@pytest.mark.parametrize(
    "error", [PipelineBusy("busy"), SourceUnavailable("S3"), OutboxUnavailable("S3"), OSError()]
)
def test_what_quantemplate_has_no_part_in_is_not_counted(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    counting(Logger(service="others", stream=OUT))(error)
    assert capsys.readouterr().out == ""


class _Out:
    """Standard output as it is when something is written."""

    def write(self, text: str) -> None:
        """Print."""
        print(text, end="")  # noqa: T201 - what a function's log is

    def flush(self) -> None:
        """Keep nothing back."""


OUT: Any = _Out()


# --- ends ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("status", "name"),
    [
        ("Succeeded", "RunsSucceeded"),
        ("Held", "RunsHeld"),
        ("Skipped", "RunsSkipped"),
        ("Replaced", "RunsSkipped"),
        ("Gathered", "RunsSkipped"),
        ("Aborted", "RunsStopped"),
    ],
)
def test_an_end_is_counted_by_its_result_with_its_times(
    status: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record_end({**FACTS, "status": status})
    assert recorded(capsys) == [
        (name, {}, 1.0, "Count"),
        ("TimeInQuantemplate", {}, 240.0, "Seconds"),
        ("TimeWaiting", {}, 12.5, "Seconds"),
    ]


@pytest.mark.parametrize(
    ("status", "error", "told"),
    [
        ("Failed", "NoRoute", "NoRoute"),
        ("TimedOut", "States.Timeout", "States.Timeout"),
        ("TimedOut", None, "TimedOut"),
        ("Unheard", None, "Unheard"),
    ],
)
def test_a_bad_end_is_counted_by_its_error(
    status: str, error: str | None, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record_end(
        {**FACTS, "status": status, "error": error, "waited_seconds": None, "ran_seconds": None}
    )
    assert recorded(capsys) == [
        ("RunsFailed", {}, 1.0, "Count"),
        ("RunsFailed", {"Error": told}, 1.0, "Count"),
    ]


def test_a_redriven_run_does_not_count_the_time_before_as_waiting(
    capsys: pytest.CaptureFixture[str],
) -> None:
    record_end({**FACTS, "attempt": 2})
    assert "TimeWaiting" not in {name for name, *_ in recorded(capsys)}


def test_a_release_tells_no_time_a_second_time(capsys: pytest.CaptureFixture[str]) -> None:
    record_end(FACTS, release=True)
    assert recorded(capsys) == [("RunsSucceeded", {}, 1.0, "Count")]


# --- the table ----------------------------------------------------------------------------------
def test_the_table_is_one_that_people_and_cloudwatch_understand() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS) == 20
    assert {metric.unit for metric in METRICS} <= {unit.value for unit in MetricUnit}
    assert all(metric.meaning.endswith(".") for metric in METRICS)
    assert [metric for metric in METRICS if metric.by_error] == [API_ERRORS, RUNS_FAILED]
