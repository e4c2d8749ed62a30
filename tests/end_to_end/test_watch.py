"""What an operator watches the deployment by: dashboard, alarms, saved queries, tags."""

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from local.quantemplate import Control
from straight_through.metrics import METRICS
from tests.end_to_end.road import Road, Run
from tests.end_to_end.stack import make_route

STACK = "straight-through"
DASHBOARD = f"{STACK}-eu-west-1"  # dashboards are the account's, in all regions
NAMESPACE = f"StraightThrough/{STACK}"
CLEAN, REPORT = "Clean claims: Sheet 1", "Validation report: Sheet 1"
# Of "Available CloudWatch metrics for Amazon SQS" and "Types of metrics for Lambda functions", with
# the dimension by which each is asked for.
DOCUMENTED = {
    ("AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName"),
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName"),
    ("AWS/Lambda", "Errors", "FunctionName"),
}
SEARCH = re.compile(r"""SEARCH\('\{"(.+)",(\w+)\} MetricName="(\w+)"', '\w+'\)""")


@dataclass(frozen=True)
class Asked:
    """A metric that a widget or an alarm asks for; `dimensions` None is any value of Error."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] | None = ()


@pytest.fixture(scope="module")
def runs(road: Road, stand_in: Control) -> dict[str, Run]:
    """Runs of each result, an API that fails in passing and for good, and a paused queue."""
    file = f"reference,amount\n{uuid.uuid4().hex},100\n".encode()
    done: dict[str, Run] = {}
    # A success, and the same bytes again, which the route skips.
    good = make_route(road, stand_in, CLEAN, identical="skip")
    stand_in.trouble("list_executions", "reply", id=good.pipeline_id, status=503)
    done["succeeded"] = road.processed(f"{good.name}/may.csv", file)
    done["skipped"] = road.processed(f"{good.name}/june.csv", file)
    # A report with rows.
    gated = make_route(road, stand_in, CLEAN, REPORT, hold_if_rows=["Validation report: *"])
    done["held"] = road.processed(f"{gated.name}/may.csv", file)
    # A pipeline that fails, and one that somebody gives up on.
    bad = make_route(road, stand_in, CLEAN)
    stand_in.trouble("execute_pipeline", "run", id=bad.pipeline_id, run={"end_status": "Failed"})
    done["failed"] = road.processed(f"{bad.name}/may.csv", file)
    stand_in.trouble("execute_pipeline", "run", id=bad.pipeline_id, run={"never_ends": True})
    key = f"{bad.name}/june.csv"
    road.drop(key, file)
    (arn,) = road.until(lambda: road.executions_of(key), "an execution")
    going = Run(arn, "", "", "", "", "", {})
    road.until(lambda: "CheckStatus" in road.entered(going), "a run that goes on")
    road.client("stepfunctions").stop_execution(executionArn=arn)
    done["stopped"] = road.ended(arn)
    # Credentials that are rejected, which pauses the queue.
    refused = make_route(road, stand_in, CLEAN)
    stand_in.trouble("upload_dataset", "reply", id=refused.dataset_id, status=401, times=None)
    done["refused"] = road.processed(f"{refused.name}/may.csv", file)
    stand_in.clear_troubles()
    for run in done.values():
        told = lambda: '"Told"' in "".join(road.logs(run.name))  # noqa: B023, E731
        road.until(told, f"the end of {run.name}")
    return done


@pytest.fixture(scope="module")
def measured(road: Road, runs: dict[str, Run]) -> set[Asked]:
    """What CloudWatch has of our namespace after these runs and a sweep."""
    assert runs

    def recorded() -> set[Asked]:
        pages = road.client("cloudwatch").get_paginator("list_metrics")
        return {
            Asked(
                NAMESPACE,
                metric["MetricName"],
                tuple((d["Name"], d["Value"]) for d in metric["Dimensions"]),
            )
            for page in pages.paginate(Namespace=NAMESPACE)
            for metric in page["Metrics"]
        }

    road.until(lambda: any(each.name == "QueuesPaused" for each in recorded()), "a sweep")
    return recorded()


@pytest.fixture(scope="module")
def dashboard(road: Road) -> list[dict[str, Any]]:
    """The widgets of the stack's dashboard."""
    body = road.client("cloudwatch").get_dashboard(DashboardName=DASHBOARD)["DashboardBody"]
    return list(json.loads(body)["widgets"])


@pytest.fixture(scope="module")
def alarms(road: Road) -> list[dict[str, Any]]:
    """The stack's alarms."""
    pages = road.client("cloudwatch").get_paginator("describe_alarms")
    return [
        alarm for page in pages.paginate(AlarmNamePrefix=STACK) for alarm in page["MetricAlarms"]
    ]


def asked_by_dashboard(widgets: list[dict[str, Any]]) -> list[Asked]:
    """The metrics of all widgets."""
    asked = []
    for widget in widgets:
        for row in widget["properties"].get("metrics", ()):
            if isinstance(row[0], dict):
                found = SEARCH.fullmatch(row[0]["expression"])
                assert found, row
                assert found[2] == "Error"
                asked.append(Asked(found[1], found[3], None))
                continue
            names = [part for part in row[2:] if isinstance(part, str)]
            pairs = tuple(zip(names[::2], names[1::2], strict=True))
            asked.append(Asked(row[0], row[1], pairs))
    return asked


def asked_by_alarms(alarms: list[dict[str, Any]]) -> list[Asked]:
    """The metrics of all alarms."""
    return [
        Asked(
            alarm["Namespace"],
            alarm["MetricName"],
            tuple((d["Name"], d["Value"]) for d in alarm["Dimensions"]),
        )
        for alarm in alarms
    ]


def is_among(asked: Asked, measured: set[Asked]) -> bool:
    """Whether a metric was recorded as it is asked for."""
    if asked.dimensions is not None:
        return asked in measured
    return any(
        each.name == asked.name and [name for name, _ in each.dimensions or ()] == ["Error"]
        for each in measured
    )


# --- metrics ------------------------------------------------------------------------------------
def test_what_dashboard_and_alarms_ask_for_is_recorded(
    measured: set[Asked], dashboard: list[dict[str, Any]], alarms: list[dict[str, Any]]
) -> None:
    # Given runs of every result
    asked = asked_by_dashboard(dashboard) + asked_by_alarms(alarms)
    ours = [each for each in asked if not each.namespace.startswith("AWS/")]
    # Then no widget and no alarm is about a metric that nobody records
    assert [each for each in ours if not is_among(each, measured)] == []
    # And those of AWS are documented ones, of this stack's own parts
    others = {each for each in asked if each.namespace.startswith("AWS/")}
    names = {(a.namespace, a.name, *(n for n, _ in a.dimensions or ())) for a in others}
    assert names <= DOCUMENTED
    assert all(value.startswith(STACK) for a in others for _, value in a.dimensions or ())


# Recorded where Quantemplate's events are taken, which this stack does not.
OF_EVENTS = {"EventsTaken", "EventsIgnored", "EventsRefused"}


def test_what_is_recorded_is_explained_and_shown(
    measured: set[Asked], dashboard: list[dict[str, Any]]
) -> None:
    # Given what was recorded, the reference, and the dashboard
    explained = {metric.name for metric in METRICS} - OF_EVENTS
    shown = {each.name for each in asked_by_dashboard(dashboard) if each.namespace == NAMESPACE}
    # Then it is the same everywhere
    assert {each.name for each in measured} == explained == shown
    # And no metric has a part that nobody asked for: each costs
    by_error = {metric.name for metric in METRICS if metric.by_error}
    parted = {each.name for each in measured if each.dimensions}
    assert parted == by_error
    assert {name for each in measured for name, _ in each.dimensions or ()} == {"Error"}


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("RunsFailed", "PipelineFailed"),
        ("RunsFailed", "CredentialsRejected"),
        ("ApiErrors", "CredentialsRejected"),
        ("ApiErrors", "ApiUnavailable"),  # which ended no run
    ],
)
def test_errors_are_told_apart(measured: set[Asked], name: str, error: str) -> None:
    assert Asked(NAMESPACE, name, (("Error", error),)) in measured


def test_every_alarm_is_on_the_dashboard_and_tells_the_topic(
    road: Road, dashboard: list[dict[str, Any]], alarms: list[dict[str, Any]]
) -> None:
    # Given the stack's alarms
    shown = [arn for widget in dashboard for arn in widget["properties"].get("alarms", ())]
    # Then the dashboard has each, and each tells people what happened and what to do
    assert sorted(shown) == sorted(alarm["AlarmArn"] for alarm in alarms)
    assert all(alarm["AlarmActions"] == [road.topic] for alarm in alarms)
    assert all(len(alarm["AlarmDescription"]) > 80 for alarm in alarms)


def test_widgets_do_not_overlap_and_are_of_this_region(dashboard: list[dict[str, Any]]) -> None:
    taken: set[tuple[int, int]] = set()
    for widget in dashboard:
        columns = range(widget["x"], widget["x"] + widget["width"])
        rows = range(widget["y"], widget["y"] + widget["height"])
        area = {(x, y) for x in columns for y in rows}
        assert max(x for x, _ in area) < 24
        assert not area & taken, widget["properties"].get("title")
        taken |= area
        assert widget["properties"].get("region", "eu-west-1") == "eu-west-1"
    assert "${" not in json.dumps(dashboard)


# --- saved queries ------------------------------------------------------------------------------
QUERY_WORDS = {
    *("fields", "filter", "sort", "stats", "limit", "by", "as", "asc", "desc", "and", "or", "in"),
    *("like", "ispresent", "count", "avg", "max"),
}


@pytest.fixture(scope="module")
def queries(road: Road) -> dict[str, str]:
    """The stack's saved queries by name."""
    found = road.client("logs").describe_query_definitions(queryDefinitionNamePrefix=f"{STACK}/")
    definitions = found["queryDefinitions"]
    assert all(d["logGroupNames"] == [f"/aws/lambda/{STACK}"] for d in definitions)
    return {d["name"].removeprefix(f"{STACK}/"): d["queryString"] for d in definitions}


def fields_of(query: str) -> set[str]:
    """The fields of log lines that a query reads."""
    text = re.sub(r'#.*|"[^"]*"|/[^/\n]*/', " ", query)  # no comments, texts and patterns
    named = set(re.findall(r"\bas (\w+)", text))
    words = set(re.findall(r"@?[A-Za-z_][\w.]*", text))
    return {word for word in words if not word.startswith("@")} - QUERY_WORDS - named


def _is(field: str, wanted: str, line: dict[str, Any]) -> bool:
    return line.get(field) == wanted


def _is_in(field: str, wanted: list[str], line: dict[str, Any]) -> bool:
    return line.get(field) in wanted


def _is_like(field: str, pattern: str, line: dict[str, Any]) -> bool:
    return bool(re.search(pattern, str(line.get(field))))


def _is_there(field: str, line: dict[str, Any]) -> bool:
    return line.get(field) is not None


def lines_of(road: Road, query: str) -> list[dict[str, Any]]:
    """The log lines that pass a query's filter: `=`, `in`, `like` and `ispresent`, all together."""
    (condition,) = re.findall(r"(?m)^\W*filter (.+)$", query)
    tests: list[Callable[[dict[str, Any]], bool]] = []
    for term in condition.split(" and "):
        if found := re.fullmatch(r'(\w+) = "(.+)"', term):
            tests.append(partial(_is, found[1], found[2]))
        elif found := re.fullmatch(r"(\w+) in \[(.+)\]", term):
            values = re.findall('"(.+?)"', found[2])
            tests.append(partial(_is_in, found[1], values))
        elif found := re.fullmatch(r"(\w+) like /(.+)/", term):
            tests.append(partial(_is_like, found[1], found[2]))
        else:
            found = re.fullmatch(r"ispresent\((\w+)\)", term)
            assert found, term
            tests.append(partial(_is_there, found[1]))
    lines = [json.loads(line) for line in road.logs() if line.startswith("{")]
    return [line for line in lines if all(test(line) for test in tests)]


def test_the_saved_queries_find_what_the_functions_log(
    road: Road, runs: dict[str, Run], queries: dict[str, str]
) -> None:
    # Given runs of every result, and an operator who has put a run's name into the first query
    assert len(queries) == 5
    one, failed = "One run, from start to end", runs["failed"].name
    queries = queries | {one: queries[one].replace("claims-may", failed)}
    for name, query in queries.items():
        # When a query's filter is put to the functions' own lines
        lines = lines_of(road, query)
        # Then there are some, and every field that it reads is in one of them
        assert lines, name
        filled = {field for line in lines for field, value in line.items() if value is not None}
        assert fields_of(query) - filled == set(), name


def test_one_runs_query_tells_its_whole_road(
    road: Road, runs: dict[str, Run], queries: dict[str, str]
) -> None:
    # Given the query with the name of the run that succeeded
    query = queries["One run, from start to end"].replace("claims-may", runs["succeeded"].name)
    # Then every function on its road says something
    assert {line["service"] for line in lines_of(road, query)} == {
        "start_run",
        "check_file",
        "take_turn",
        "upload_and_execute",
        "check_status",
        "download_output",
        "publish_run",
        "run_ended",
    }


def test_the_failed_runs_query_counts_each_failed_run_once(
    road: Road, runs: dict[str, Run], queries: dict[str, str]
) -> None:
    lines = lines_of(road, queries["Failed runs by error and route"])
    ours = [line for line in lines if line["correlation_id"] in {r.name for r in runs.values()}]
    assert sorted((line["correlation_id"], line["error"]) for line in ours) == sorted(
        [
            (runs["failed"].name, "PipelineFailed"),
            (runs["refused"].name, "CredentialsRejected"),
        ]
    )


# --- tags ---------------------------------------------------------------------------------------
def test_what_costs_bears_the_stacks_name(road: Road) -> None:
    # When functions, queues, table and topic are asked for by the tags
    wanted = {"application": "straight-through", "stack": STACK}
    filters = [{"Key": name, "Values": [value]} for name, value in wanted.items()]
    pages = road.client("resourcegroupstaggingapi").get_paginator("get_resources")
    arns = [
        each["ResourceARN"]
        for page in pages.paginate(TagFilters=filters)
        for each in page["ResourceTagMappingList"]
    ]
    # Then they are all found
    services = [arn.split(":")[2] for arn in arns]
    assert services.count("lambda") == 10
    assert services.count("sqs") == 3
    assert {"dynamodb", "sns"} <= set(services)
    # And secret, state machine and logs say the same when they are described
    client = road.client
    machine = client("stepfunctions").list_tags_for_resource(resourceArn=road.state_machine)
    secret = client("secretsmanager").describe_secret(SecretId=road.secret)
    logs = client("logs").list_tags_log_group(logGroupName=f"/aws/lambda/{STACK}")["tags"]
    assert wanted.items() <= {each["key"]: each["value"] for each in machine["tags"]}.items()
    assert wanted.items() <= {each["Key"]: each["Value"] for each in secret["Tags"]}.items()
    assert wanted.items() <= logs.items()
