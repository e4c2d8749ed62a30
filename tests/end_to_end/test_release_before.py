"""A stack is updated while executions of the release before go on."""

import json
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from local.quantemplate import Control
from tests.end_to_end.road import Road
from tests.end_to_end.stack import make_route
from tests.machine.definition import definition_of


@contextmanager
def before_the_update(road: Road) -> Iterator[None]:
    """The stack has the definition of release 1.0.0, and after the update that of now."""
    states, machine = road.client("stepfunctions"), road.state_machine
    now = states.describe_state_machine(stateMachineArn=machine)["definition"]
    arns = re.findall(r"arn:aws:lambda:[\w:-]+:straight-through-\w+", now)
    named = {arn.rpartition("-")[2].title().replace("_", ""): arn for arn in arns}
    old = re.sub(r"\$\{(\w+)\}", lambda found: named[found[1]], json.dumps(definition_of("1.0.0")))
    states.update_state_machine(stateMachineArn=machine, definition=old)
    try:
        yield
    finally:
        states.update_state_machine(stateMachineArn=machine, definition=now)


def test_a_file_that_was_dropped_before_the_update_goes_through_after_it(
    road: Road, stand_in: Control
) -> None:
    # Given an execution of the old definition, whose file has another header than its route
    route = make_route(road, stand_in, "Copy: Sheet 1", header=["reference", "amount"])
    content = f"reference,paid\n{uuid.uuid4().hex},100\n".encode()
    with before_the_update(road):
        run = road.processed(f"{route.name}/may.csv", content)
    # Then it was checked when it asked for its turn
    assert (run.error, run.failed_at) == ("HeaderMismatch", "TakeTurn")
    assert "CheckFile" not in road.entered(run)
    # When the stack has been updated, the route is mended and the execution redriven
    road.change(route, header=["reference", "paid"])
    again = road.redrive(run)
    # Then it goes through, by its own definition
    assert again.status == "SUCCEEDED", again.cause
    assert "CheckFile" not in road.entered(again)
    (output,) = road.manifest(again)["outputs"]
    assert road.stored(output["key"]) == content
    # And a file that is dropped now is checked first
    assert "CheckFile" in road.entered(road.processed(f"{route.name}/june.csv", content))
