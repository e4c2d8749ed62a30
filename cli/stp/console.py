"""Deep links into the AWS console or the local stack's page, and to what a run is made of."""

from urllib.parse import quote

from stp.run_facts import Run
from stp.stack import Stack
from straight_through.telling.messages import console_of

LOCAL_ACCOUNT = "000000000000"  # no account of AWS has this number: its console shows nothing of it
LOCAL_PAGE = "/_local/console/"


def local_page(stack: Stack, run: str) -> str:
    """Return the address of a run on the local stack's page, "" where the stack is in AWS."""
    if stack.machine.split(":")[4] != LOCAL_ACCOUNT:
        return ""
    endpoint = str(stack.client("stepfunctions").meta.endpoint_url).rstrip("/")
    return f"{endpoint}{LOCAL_PAGE}#/runs/{quote(run, safe='')}"


def links_of(stack: Stack, run: Run) -> dict[str, str]:
    """Return where a run's execution, file, outputs and logs are looked at.

    The local stack's page has all of it in one place.
    """
    if page := local_page(stack, run.name):
        return {"page": page}
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
