"""The metrics and the alarms, from `metrics.py` of the layer and from the template."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from local.deploy import read_template
from straight_through.metrics import METRICS

ROOT = Path(__file__).parents[2]
ABOUT = """# Metrics and alarms

How to watch a deployment by them: [Watch it](../watch.md).

## Metrics

In CloudWatch's namespace `StraightThrough/<stack name>`, without dimensions. Those with a part for
each error are there once as a whole and once for each value of the dimension `Error`, an
[error's name](errors.md). CloudWatch takes them from the functions' log and may, by its own
documentation, now and then count a value twice.
"""
ALARMS = """## Alarms

Each is named `<stack name>-<name>` and tells the stack's topic when it begins to ring. Of those
marked with *, the topic also hears the end.
"""
BREACH = {
    "GreaterThanThreshold": "above",
    "GreaterThanOrEqualToThreshold": "at least",
    "LessThanThreshold": "below",
}
MISSING = {
    "ignore": "stays as it was",
    "notBreaching": "is quiet",
    "breaching": "rings",
}


def page() -> str:
    """Return the page."""
    template = read_template(ROOT / "template.yaml")
    resources = template["Resources"].values()
    alarms = [e["Properties"] for e in resources if e["Type"] == "AWS::CloudWatch::Alarm"]
    metrics = table(
        ["metric", "unit", "meaning", "for each error"],
        ((f"`{m.name}`", m.unit, m.meaning, "yes" if m.by_error else "") for m in METRICS),
    )
    rung = table(["name", "rings while", "without data it", "says"], map(_alarm, alarms))
    return "\n".join([ABOUT, metrics, "", ALARMS, rung])


def _alarm(alarm: dict[str, Any]) -> Sequence[str]:
    """Return an alarm's line."""
    name = _text(alarm["AlarmName"]).rpartition(">-")[2]
    return (
        f"`{name}`{'*' if 'OKActions' in alarm else ''}",
        _condition(alarm),
        MISSING[alarm["TreatMissingData"]],
        _text(alarm["AlarmDescription"]),
    )


def _condition(alarm: dict[str, Any]) -> str:
    """Return when an alarm rings."""
    errors = [d["Value"] for d in alarm.get("Dimensions", ()) if d["Name"] == "Error"]
    of = f"`{alarm['MetricName']}`" + "".join(f" (`{error}`)" for error in errors)
    given, times = alarm["Threshold"], alarm["EvaluationPeriods"]
    threshold = f"`{given['Ref']}`" if isinstance(given, dict) else f"{given:,}"
    is_so = f"is {BREACH[alarm['ComparisonOperator']]} {threshold}"
    needed = alarm.get("DatapointsToAlarm", times)
    often = f", {times} times in a row" if needed == times else f", in {needed} of {times}"
    often = often if times > 1 else ""
    return f"{alarm['Statistic']} of {of} in {alarm['Period'] // 60} min {is_so}{often}"


def _text(value: Any) -> str:
    """Return a text of the template; a parameter in it is shown by its name."""
    text = value["Fn::Sub"] if isinstance(value, dict) else value
    text = text.replace("${AWS::StackName}", "<stack name>")
    return re.sub(r"\$\{(\w+)\}", r"`\1`", text)


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of Markdown."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
