"""What the documents say of metrics, alarms, queries and their cost is what the code has."""

import re
from datetime import timedelta
from typing import Any

import pytest

from docs.pages.metrics import page
from local.deploy import read_template
from straight_through.metrics import METRICS
from straight_through.queue.backlog import measures_of
from tests.build.checkout import ROOT

WATCH = (ROOT / "docs" / "watch.md").read_text("utf-8")
METRIC, ALARM, DASHBOARD = 0.30, 0.10, 3.00  # dollars a month
FREE_METRICS = 10


def properties(kind: str) -> list[dict[str, Any]]:
    """The properties of the template's resources of a kind."""
    resources = read_template(ROOT / "template.yaml")["Resources"].values()
    return [each["Properties"] for each in resources if each["Type"] == kind]


def short(name: dict[str, str], mark: str) -> str:
    """An alarm's or a query's name without the stack's."""
    return name["Fn::Sub"].removeprefix("${AWS::StackName}" + mark)


def cells(text: str, first: str) -> list[str]:
    """The cells of the line of a table that begins like this, without emphasis."""
    (line,) = re.findall(rf"(?m)^\| {re.escape(first)}.*$", text)
    return [cell.strip(" *") for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_each_metric_is_in_the_reference(metric: Any) -> None:
    name, unit, meaning, parts = cells(page(), f"`{metric.name}`")
    assert (name, unit, meaning) == (f"`{metric.name}`", metric.unit, metric.meaning)
    assert parts == ("yes" if metric.by_error else "")


def test_each_alarm_is_in_the_reference_and_on_the_operators_page() -> None:
    # Given the template's alarms
    alarms = {short(a["AlarmName"], "-"): a for a in properties("AWS::CloudWatch::Alarm")}
    # Then the operator's page tells of each, and of no other
    table = WATCH[WATCH.index("| alarm |") : WATCH.index("- Set `QueueAlarmHours`")]
    first = [line.split("|")[1] for line in table.strip().splitlines()[2:]]
    assert sorted(re.findall("`(.+?)`", "".join(first))) == sorted(alarms)
    # And the reference says when it rings, and of which the end is told
    for name, alarm in alarms.items():
        _, rings, *_ = cells(page(), f"`{name}`")
        assert (f"`{name}`* |" in page()) is ("OKActions" in alarm)
        assert f"{alarm['Statistic']} of `{alarm['MetricName']}`" in rings


def test_each_saved_query_is_on_the_operators_page() -> None:
    queries = {short(q["Name"], "/") for q in properties("AWS::Logs::QueryDefinition")}
    table = WATCH[WATCH.index("| query |") : WATCH.index("To see their texts")]
    assert {line.split("|")[1].strip() for line in table.strip().splitlines()[2:]} == queries


def test_the_cost_is_that_of_what_the_template_makes() -> None:
    # Given what there is
    alarms, each_minute = (
        len(properties("AWS::CloudWatch::Alarm")),
        len(measures_of([], timedelta(0))),
    )
    others = len(METRICS) - each_minute
    # Then the page counts it and adds it up
    assert float(cells(WATCH, f"{each_minute} metrics of the queues")[1]) == pytest.approx(
        each_minute * METRIC
    )
    at_most = float(cells(WATCH, f"{others} metrics of files")[1].split()[0])
    assert at_most == pytest.approx(others * METRIC)
    assert float(cells(WATCH, f"{alarms} alarms")[1]) == pytest.approx(alarms * ALARM)
    fixed = each_minute * METRIC + alarms * ALARM + DASHBOARD
    together = cells(WATCH, "**together**")[1]
    assert together.startswith(f"{fixed:.2f} to {fixed + at_most:.2f}")
    assert f"pays {(len(METRICS) - FREE_METRICS) * METRIC:.2f} at most" in WATCH
