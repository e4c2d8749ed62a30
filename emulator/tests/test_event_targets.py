"""From an execution's status or a schedule over EventBridge to a queue or a function."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.tests.account import Account, eventually
from emulator.tests.stacks import created, function_resource
from emulator.tests.state_machines import TIME_SCALE, StateMachines

SUCCEED = {"Only": {"Type": "Succeed"}}
FAIL = {"Only": {"Type": "Fail", "Error": "Refused", "Cause": "as asked"}}
LOGGING = """
import json, os, time

def handler(event, context):
    with open(os.environ["LOG"], "a") as log:
        log.write(json.dumps({"event": event, "at": time.time()}) + "\\n")
"""


def status_pattern(machine: str, *statuses: str) -> dict[str, Any]:
    """The pattern of a rule about the ends of a machine's executions."""
    return {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {"status": list(statuses), "stateMachineArn": [machine]},
    }


def allow_rule(rule: str, *queues: str) -> dict[str, Any]:
    """The policy that lets a rule send to queues, over TLS only, as EventBridge does.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-encryption.html
    """
    arns = [{"Fn::GetAtt": [queue, "Arn"]} for queue in queues]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arns,
        "Condition": {
            "ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": [rule, "Arn"]}},
            "Bool": {"aws:SecureTransport": "true"},
        },
    }
    document = {"Version": "2012-10-17", "Statement": [statement]}
    references = [{"Ref": queue} for queue in queues]
    return {
        "Type": "AWS::SQS::QueuePolicy",
        "Properties": {"Queues": references, "PolicyDocument": document},
    }


def logged(log: Path) -> list[dict[str, Any]]:
    """What the function LOGGING was given, and when."""
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


@pytest.fixture
def machine(machines: StateMachines) -> str:
    """A machine whose executions fail."""
    return machines.create(FAIL)


def test_a_plain_rule_brings_failed_executions_to_a_queue_and_a_function(
    account: Account, machines: StateMachines, machine: str, tmp_path: Path
) -> None:
    """AWS CloudFormation template reference, "AWS::Events::Rule" and "AWS::Lambda::Permission"."""
    # Given
    log, other = tmp_path / "log", machines.create(SUCCEED)
    targets = [
        {
            "Id": each,
            "Arn": {"Fn::GetAtt": [each, "Arn"]},
            "DeadLetterConfig": {"Arn": {"Fn::GetAtt": ["Letters", "Arn"]}},
        }
        for each in ("Ended", "RunEnded")
    ]
    resources = {
        "Ended": {"Type": "AWS::SQS::Queue"},
        "Letters": {"Type": "AWS::SQS::Queue"},
        "Policy": allow_rule("Rule", "Ended", "Letters"),
        "RunEnded": function_resource(
            account, LOGGING, Environment={"Variables": {"LOG": str(log)}}
        ),
        "Rule": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "EventPattern": status_pattern(machine, "FAILED", "TIMED_OUT", "ABORTED"),
                "Targets": targets,
            },
        },
        "Permission": {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "Action": "lambda:InvokeFunction",
                "FunctionName": {"Ref": "RunEnded"},
                "Principal": "events.amazonaws.com",
                "SourceArn": {"Fn::GetAtt": ["Rule", "Arn"]},
            },
        },
    }
    with created(account, resources) as stack:
        # When
        machines.end(machines.start(other))
        failed = machines.start(machine)

        # Then
        (event,) = account.received(stack["Ended"], 1)
        detail = event["detail"]
        assert (detail["executionArn"], detail["status"]) == (failed, "FAILED")
        assert (detail["error"], detail["cause"]) == ("Refused", "as asked")
        assert eventually(lambda: logged(log))[0]["event"] == event

        # When the function may not be invoked any more, then
        name = stack["RunEnded"]
        policy = json.loads(account.client("lambda").get_policy(FunctionName=name)["Policy"])
        for statement in policy["Statement"]:
            account.client("lambda").remove_permission(
                FunctionName=name, StatementId=statement["Sid"]
            )
        machines.start(machine)
        letter = account.dead_letter(stack["Letters"])
        assert letter["attributes"]["ERROR_CODE"] == "NO_PERMISSIONS"
        assert letter["attributes"]["TARGET_ARN"].endswith(f":function:{name}")
        assert f":rule/{stack['Rule']}" in letter["attributes"]["RULE_ARN"]
        assert letter["body"]["detail"]["status"] == "FAILED"

        # When the queue is gone, then
        account.client("sqs").delete_queue(QueueUrl=stack["Ended"])
        machines.start(machine)
        codes = {account.dead_letter(stack["Letters"])["attributes"]["ERROR_CODE"] for _ in "12"}
        assert codes == {"NO_PERMISSIONS", "NO_RESOURCE"}
        assert len(logged(log)) == 1


@pytest.fixture
def stack_of_sam_events(
    account: Account, machine: str, tmp_path: Path
) -> Iterator[tuple[dict[str, str], Path]]:
    """A stack of a function with both events of SAM, and the function's log."""
    log = tmp_path / "log"
    letters = {"DeadLetterConfig": {"Arn": {"Fn::GetAtt": ["Letters", "Arn"]}}}
    events = {
        "Ended": {
            "Type": "EventBridgeRule",
            "Properties": {"Pattern": status_pattern(machine, "FAILED"), **letters},
        },
        "EveryMinute": {"Type": "Schedule", "Properties": {"Schedule": "rate(1 minute)"}},
    }
    function = function_resource(
        account, LOGGING, Environment={"Variables": {"LOG": str(log)}}, Events=events
    )
    resources = {"Letters": {"Type": "AWS::SQS::Queue"}, "RunEnded": function}
    with created(account, resources) as stack:
        yield stack, log


def test_the_events_of_a_sam_function_reach_it(
    machines: StateMachines,
    machine: str,
    stack_of_sam_events: tuple[dict[str, str], Path],
) -> None:
    """AWS SAM developer guide, event sources "EventBridgeRule" and "Schedule"."""
    # Given
    _, log = stack_of_sam_events

    # When
    failed = machines.start(machine)

    # Then
    def told() -> list[str]:
        events = [line["event"] for line in logged(log) if line["event"]["source"] == "aws.states"]
        return [event["detail"]["executionArn"] for event in events]

    assert eventually(told) == [failed]


def test_a_rate_of_a_minute_fires_once_a_minute_of_the_time_scale(
    stack_of_sam_events: tuple[dict[str, str], Path],
) -> None:
    """Amazon EventBridge user guide, "Creating a rule that runs on a schedule"."""
    # Given
    stack, log = stack_of_sam_events

    def fired() -> list[dict[str, Any]]:
        return [line for line in logged(log) if line["event"]["source"] == "aws.events"]

    # When
    eventually(lambda: len(fired()) == 3)

    # Then
    times = [line["at"] for line in fired()]
    minute = 60 * TIME_SCALE
    assert 0.9 * minute < (times[2] - times[0]) / 2 < 1.2 * minute
    event = fired()[0]["event"]
    assert event["detail-type"] == "Scheduled Event"
    assert event["detail"] == {}
    assert stack["RunEndedEveryMinute"] in event["resources"][0]
