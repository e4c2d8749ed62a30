"""One attempt to get a file through its pipeline, exactly one execution made."""

from straight_through.bodies import Body
from straight_through.errors import ApiUnavailable, ExecuteUncertain, StraightThroughError
from straight_through.quantemplate import Execution, Quantemplate
from straight_through.routes import Route


def upload_and_execute(client: Quantemplate, route: Route, body: Body) -> Execution:
    """Overwrite the route's dataset, execute its pipeline once and return the run.

    ApiThrottled, ApiUnavailable and SourceUnavailable mean that no run was made. Where that cannot
    be told, the error is ExecuteUncertain.
    """
    before = client.list_executions(route.organisation_id, route.pipeline_id)
    highest = max((execution.run_number for execution in before), default=0)
    client.upload_dataset(route.organisation_id, route.dataset_id, body)
    try:
        return client.execute_pipeline(route.organisation_id, route.pipeline_id)
    except ApiUnavailable as lost:
        if not lost.sent:
            raise
        return _adopt(client, route, highest, str(lost))


def _adopt(client: Quantemplate, route: Route, highest: int, lost: str) -> Execution:
    """Return the run that was made although Execute's reply was lost.

    The API has no idempotency key, so Execute is not repeated: it could process the file twice.
    """
    try:
        listed = client.list_executions(route.organisation_id, route.pipeline_id)
        newer = [execution for execution in listed if execution.run_number > highest]
        found = f"{len(newer)} newer runs" if newer else "no newer run"
    except StraightThroughError as error:  # also a final one, whose advice would repeat Execute
        newer, found = [], f"no list either ({error})"
    if len(newer) == 1:
        return newer[0]
    raise ExecuteUncertain(
        f"{lost} After run {highest} of pipeline {route.pipeline_id} there is {found}, so whether "
        "the file is being processed cannot be told. Look at the pipeline's runs in Quantemplate: "
        "if none of them is this file's, start a new execution with the same input."
    )
