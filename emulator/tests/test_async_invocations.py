"""Functions that are invoked asynchronously, as events invoke them."""

import time
from pathlib import Path
from typing import Any

from emulator.tests.account import Account
from emulator.tests.stacks import created, function_resource
from emulator.tests.state_machines import TIME_SCALE

FAILING = """
import os, time

def handler(event, context):
    with open(os.environ["LOG"], "a") as log:
        log.write(str(time.time()) + "\\n")
    raise ValueError("as asked")
"""
MINUTE = 60 * TIME_SCALE
LETTERS = {"Fn::GetAtt": ["Letters", "Arn"]}
QUEUE = {"Type": "AWS::SQS::Queue"}


def failing(account: Account, log: Path, **settings: Any) -> dict[str, Any]:
    """A function that notes when it is invoked, and fails."""
    return function_resource(
        account, FAILING, Environment={"Variables": {"LOG": str(log)}}, **settings
    )


def test_a_failed_function_is_invoked_twice_more_and_then_reported(
    account: Account, tmp_path: Path
) -> None:
    """AWS Lambda developer guide, "How Lambda handles errors ... asynchronous invocation"."""
    # Given
    log = tmp_path / "log"
    function = failing(
        account,
        log,
        EventInvokeConfig={
            "DestinationConfig": {"OnFailure": {"Type": "SQS", "Destination": LETTERS}}
        },
    )
    with created(account, {"Letters": QUEUE, "Failing": function}) as stack:
        # When
        started = time.time()
        account.client("lambda").invoke(
            FunctionName=stack["Failing"], InvocationType="Event", Payload=b'{"a": 1}'
        )

        # Then
        (report,) = account.received(stack["Letters"], 1, seconds=30)
    assert report["requestPayload"] == {"a": 1}
    assert report["requestContext"]["condition"] == "RetriesExhausted"
    assert report["responsePayload"]["errorMessage"] == "as asked"
    first, second, third = map(float, log.read_text().split())
    assert first - started < 0.5 * MINUTE
    assert 0.9 * MINUTE < second - first < 1.5 * MINUTE
    assert 1.9 * MINUTE < third - second < 2.5 * MINUTE


def test_the_event_of_a_failed_function_is_its_dead_letter(
    account: Account, tmp_path: Path
) -> None:
    """AWS Lambda developer guide, "Capturing records ... asynchronous invocations"."""
    # Given
    log = tmp_path / "log"
    function = failing(
        account,
        log,
        EventInvokeConfig={"MaximumRetryAttempts": 0},
        DeadLetterQueue={"Type": "SQS", "TargetArn": LETTERS},
    )
    with created(account, {"Letters": QUEUE, "Failing": function}) as stack:
        # When
        account.client("lambda").invoke(
            FunctionName=stack["Failing"], InvocationType="Event", Payload=b'{"a": 1}'
        )

        # Then
        letter = account.dead_letter(stack["Letters"])
    assert letter["body"] == {"a": 1}
    assert letter["attributes"]["ErrorMessage"] == "as asked"
    assert len(log.read_text().split()) == 1
