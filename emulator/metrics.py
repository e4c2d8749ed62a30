"""CloudWatch metrics from log lines in the embedded metric format."""

import itertools
import json

from ministack.services import cloudwatch


def record_embedded_metrics(line: str) -> None:
    """Record what a log line in CloudWatch's embedded metric format measures; ignore any other.

    AWS documentation: "Specification: Embedded metric format".
    """
    if '"_aws"' not in line:
        return
    try:
        entry = json.loads(line)
        for directive in entry["_aws"]["CloudWatchMetrics"]:
            dimension_sets = directive.get("Dimensions") or [[]]
            for names, metric in itertools.product(dimension_sets, directive["Metrics"]):
                values = entry[metric["Name"]]
                dimensions = {name: str(entry[name]) for name in names}
                for value in values if isinstance(values, list) else [values]:
                    cloudwatch.record_metric(
                        directive["Namespace"],
                        metric["Name"],
                        value,
                        metric.get("Unit", "None"),
                        dimensions,
                    )
    except (ValueError, KeyError, TypeError):
        return  # CloudWatch, too, keeps a malformed line as a plain log line
