"""When the template's alarms ring, and what the template says of what it makes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from local.deploy import read_template
from tests.build.checkout import ROOT

TEMPLATE = read_template(ROOT / "template.yaml")
ALARMS: dict[str, dict[str, Any]] = {
    name: each["Properties"]
    for name, each in TEMPLATE["Resources"].items()
    if each["Type"] == "AWS::CloudWatch::Alarm"
}
RINGS, QUIET = "ALARM", "OK"
STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "Sum": sum,
    "Minimum": min,
    "Maximum": max,
    "SampleCount": len,
}
OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
}


def state_of(alarm: dict[str, Any], values: Mapping[int, Sequence[float]], before: str) -> str:
    """How an alarm is, by values of the last minutes (1 is the last) and its state before.

    As CloudWatch evaluates it, which looks back farther than it is told where values are missing,
    here by two periods, as in AWS's examples: "Alarm evaluation" and "Configuring how CloudWatch
    alarms treat missing data" (Amazon CloudWatch user guide).
    """
    assert alarm.keys().isdisjoint({"ExtendedStatistic", "Metrics", "Unit"})
    length, periods = alarm["Period"] // 60, alarm["EvaluationPeriods"]
    needed = alarm.get("DatapointsToAlarm", periods)
    known: list[bool] = []  # whether a period breaches, the newest first
    for period in range(periods + 2):
        minutes = range(period * length + 1, (period + 1) * length + 1)
        found = [value for minute in minutes for value in values.get(minute, ())]
        if found:
            statistic = STATISTICS[alarm["Statistic"]](found)
            known.append(OPERATORS[alarm["ComparisonOperator"]](statistic, threshold(alarm)))
    breaching, missing = sum(known[:periods]), max(periods - len(known), 0)
    if alarm["TreatMissingData"] == "breaching":
        breaching += missing
    if breaching >= needed:
        return RINGS
    if alarm["TreatMissingData"] == "ignore" and breaching + missing >= needed:
        return before  # too little is known for another state
    return QUIET


def threshold(alarm: dict[str, Any]) -> float:
    """An alarm's threshold, a parameter's by its default."""
    given = alarm["Threshold"]
    if isinstance(given, dict):
        given = TEMPLATE["Parameters"][given["Ref"]]["Default"]
    return float(given)


def each_minute(value: float, first: int, last: int = 1) -> dict[int, list[float]]:
    """One value in each minute from `first` ago to `last` ago."""
    return {minute: [value] for minute in range(last, first + 1)}


@dataclass(frozen=True)
class Case:
    """What CloudWatch has of the last minutes, and how the alarm is then and was before."""

    alarm: str
    what: str
    state: str
    values: Mapping[int, Sequence[float]] = field(default_factory=dict)
    before: str = QUIET


NONE: dict[int, list[float]] = {}
CASES = [
    Case("DropsDeadLettersAlarm", "a new letter", RINGS, {1: [1]}),
    Case("DropsDeadLettersAlarm", "an empty queue", QUIET, {1: [0]}, before=RINGS),
    Case("DropsDeadLettersAlarm", "a queue gone silent with its letter", RINGS, NONE, before=RINGS),
    Case("DropsDeadLettersAlarm", "a queue that never had any", QUIET, NONE),
    Case("EndsDeadLettersAlarm", "a new letter", RINGS, {1: [1]}),
    Case("EndsDeadLettersAlarm", "a queue gone silent with its letter", RINGS, NONE, before=RINGS),
    Case("EndsDeadLettersAlarm", "an empty queue", QUIET, {1: [0]}, before=RINGS),
    Case("DropsWaitAlarm", "files that StartRun tries again", QUIET, each_minute(1800, 5)),
    Case("DropsWaitAlarm", "files that nobody has fetched for an hour", RINGS, {1: [3601]}),
    Case("DropsWaitAlarm", "no file at all", QUIET, NONE, before=RINGS),
    Case("RunsFailedAlarm", "one failed run", QUIET, {3: [1]}),
    Case("RunsFailedAlarm", "the fifth within an hour", RINGS, {1: [1, 1], 30: [1], 59: [1, 1]}),
    Case("RunsFailedAlarm", "five within more than an hour", QUIET, {1: [1], 61: [1, 1, 1, 1]}),
    Case("RunsFailedAlarm", "no failure since", RINGS, {61: [9]}, before=RINGS),
    Case("RunsFailedAlarm", "hours after the last", QUIET, {181: [9]}, before=RINGS),
    Case("SweepFailsAlarm", "every sweep and each of its retries", RINGS, each_minute(1, 15)),
    Case("SweepFailsAlarm", "one that did all", QUIET, {**each_minute(1, 15), 3: [0]}),
    Case("SweepFailsAlarm", "ten minutes", QUIET, {**each_minute(0, 15), **each_minute(1, 9)}),
    Case("SweepFailsAlarm", "no sweep", QUIET, NONE, before=RINGS),
    Case("EventsFailAlarm", "one of many that failed", RINGS, {1: [0, 1, 0], 2: [0]}),
    Case("EventsFailAlarm", "none that failed", QUIET, {1: [0]}, before=RINGS),
    Case("EventsFailAlarm", "no event", QUIET, NONE, before=RINGS),
    Case("CredentialsRejectedAlarm", "one rejection", RINGS, {1: [1]}),
    Case("CredentialsRejectedAlarm", "the same one, most of an hour later", RINGS, {59: [1]}),
    Case("CredentialsRejectedAlarm", "none for longer", QUIET, {71: [1]}, before=RINGS),
    Case("QueueStandsStillAlarm", "all sweeps say so", RINGS, each_minute(1, 5)),
    Case("QueueStandsStillAlarm", "one sweep between two turns", QUIET, {1: [1], 2: [0]}),
    Case("QueueStandsStillAlarm", "it goes on", QUIET, each_minute(0, 5), before=RINGS),
    Case("QueueStandsStillAlarm", "no sweep", RINGS, NONE, before=RINGS),
    Case(
        "QueuePausedAlarm", "just paused", QUIET, {**each_minute(0, 60, 11), **each_minute(1, 10)}
    ),
    Case("QueuePausedAlarm", "paused for an hour", RINGS, each_minute(1, 60)),
    Case("QueuePausedAlarm", "two queues one after the other", RINGS, each_minute(2, 60)),
    Case("QueuePausedAlarm", "resumed", QUIET, {**each_minute(1, 60, 2), 1: [0]}, before=RINGS),
    Case("SweepAlarm", "a sweep each minute", QUIET, each_minute(0, 15)),
    Case("SweepAlarm", "one in a quarter of an hour", QUIET, {14: [7]}),
    Case("SweepAlarm", "none for a quarter of an hour, but before", QUIET, {16: [0]}),
    Case("SweepAlarm", "none for longer", RINGS, {26: [0]}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.alarm}: {case.what}")
def test_an_alarm_rings_when_it_should_and_not_before(case: Case) -> None:
    assert state_of(ALARMS[case.alarm], case.values, case.before) == case.state


def test_the_watchers_alarm_is_made_after_what_it_watches() -> None:
    assert TEMPLATE["Resources"]["SweepAlarm"]["DependsOn"] == "SweepQueuesSchedule"


def test_each_alarm_is_shown_to_ring_and_to_be_quiet() -> None:
    assert {case.alarm for case in CASES if case.state == RINGS} == ALARMS.keys()
    assert {case.alarm for case in CASES if case.state == QUIET} == ALARMS.keys()


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_says_what_happened_and_what_to_do(name: str) -> None:
    alarm = ALARMS[name]
    # Given its description, which comes by e-mail
    told = alarm["AlarmDescription"]
    text = told["Fn::Sub"] if isinstance(told, dict) else told
    # Then it is short enough for CloudWatch, and names a way to look further
    assert len(text) <= 1024
    assert "stp " in text
    # And the alarm bears the stack's name and tells the topic
    assert alarm["AlarmName"]["Fn::Sub"].startswith("${AWS::StackName}-")
    assert alarm["AlarmActions"] == [{"Ref": "Topic"}]


# --- tags ---------------------------------------------------------------------------------------
UNTAGGED = {  # kinds that have no tags, or that cost nothing
    "AWS::CloudWatch::Dashboard",
    "AWS::Events::Rule",
    "AWS::IAM::ManagedPolicy",
    "AWS::Lambda::Permission",
    "AWS::Lambda::Url",
    "AWS::Logs::QueryDefinition",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SQS::QueuePolicy",
    "AWS::Serverless::LayerVersion",
}


def test_all_that_can_be_tagged_bears_application_and_stack() -> None:
    # Given what the template makes, and what all functions have
    tags = {"application": "straight-through", "stack": {"Ref": "AWS::StackName"}}
    assert TEMPLATE["Globals"]["Function"]["Tags"] == tags
    assert TEMPLATE["Globals"]["Function"]["PropagateTags"] is True
    for name, resource in TEMPLATE["Resources"].items():
        if resource["Type"] in UNTAGGED | {"AWS::Serverless::Function"}:
            continue
        # Then each other has the same
        given = resource["Properties"]["Tags"]
        pairs = {t["Key"]: t["Value"] for t in given} if isinstance(given, list) else given
        assert pairs == tags, name
