"""Deep links into the AWS console, and to what a run is made of."""

from urllib.parse import quote

from stp.run_facts import Run
from stp.stack import Stack
from straight_through.telling.messages import console_of


def links_of(stack: Stack, run: Run) -> dict[str, str]:
    """Return where a run's execution, file, outputs and logs are in the AWS console."""
    s3 = f"{console_of(stack.machine)}/s3"
    links = {"execution": str(run.facts["console"])}
    file = run.facts["file"]
    if file["bucket"] and file["key"]:
        links["file in S3"] = f"{s3}/object/{file['bucket']}?prefix={quote(file['key'])}"
    if run.facts["outputs"]:
        bucket, _, folder = run.facts["outputs"].removeprefix("s3://").partition("/")
        links["outputs in S3"] = f"{s3}/buckets/{bucket}?prefix={quote(folder)}"
    return links | {"logs": _logs(stack, run)}


def _logs(stack: Stack, run: Run) -> str:
    """Return the log events of the run's functions: the run is their correlation id."""
    # The console writes a percent sign as a dollar sign, and escapes twice.
    group = quote(quote(f"/aws/lambda/{stack.name}", safe=""), safe="").replace("%", "$")
    pattern = quote(quote(f'"{run.name}"', safe=""), safe="").replace("%", "$")
    return (
        f"{console_of(stack.machine)}/cloudwatch/home?region={stack.region}"
        f"#logsV2:log-groups/log-group/{group}/log-events$3FfilterPattern$3D{pattern}"
    )
