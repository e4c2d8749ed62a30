"""`stp remove` where something is in its way, on moto's AWS with CloudFormation pretended."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import boto3
import pytest

from stp.doctor import BAD, GOOD, Finding, checks
from stp.said import FAILED, OK
from stp.stack import Stack
from tests.cli.conftest import Stp

ID = "arn:aws:cloudformation:eu-west-1:123456789012:stack/straight-through/1"
ENDS = "ends"
SWEEP, TAKES_EVENTS = "sweep", "take-event"
RESOURCE = "00000000-0000-4000-8000-000000000000"
LATE = "/aws/lambda/straight-through"


class Formation:
    """A stack: the statuses that it has, one after the other, and whether it is protected."""

    def __init__(self, *statuses: str, protected: bool = False) -> None:
        """Nothing was done yet."""
        self.statuses, self.protected = list(statuses), protected
        self.calls: Counter[str] = Counter()

    def describe_stacks(self, **_: Any) -> dict[str, Any]:
        """The stack; the next time it has its next status."""
        status = self.statuses.pop(0) if self.calls["delete_stack"] else "CREATE_COMPLETE"
        found = {
            "StackId": ID,
            "StackStatus": status,
            "EnableTerminationProtection": self.protected,
        }
        return {"Stacks": [found]}

    def delete_stack(self, **asked: Any) -> None:
        """Begin."""
        assert asked == {"StackName": ID}
        self.calls["delete_stack"] += 1

    def get_paginator(self, operation: str) -> Any:
        """The stack's resources."""
        assert operation == "list_stack_resources"
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        """A page of them: a queue, and rules and an event source that are gone already."""
        own = {"EndsRule": ENDS, "SweepQueuesSchedule": SWEEP, "TakeEvent": TAKES_EVENTS}
        kinds = {"Drops": "SQS::Queue", "DropRule": "Events::Rule"}
        kinds |= {"SweepQueuesSchedule": "Events::Rule", "TakeEvent": "Lambda::Function"}
        kinds |= {"StartRunDrops": "Lambda::EventSourceMapping", "EndsRule": "Events::Rule"}
        return [
            {
                "StackResourceSummaries": [
                    {
                        "LogicalResourceId": name,
                        "PhysicalResourceId": own.get(name, RESOURCE),
                        "ResourceType": f"AWS::{kind}",
                        "ResourceStatus": f"{'CREATE' if name == 'Drops' else 'DELETE'}_COMPLETE",
                    }
                    for name, kind in kinds.items()
                ]
            }
        ]

    def describe_stack_events(self, **_: Any) -> dict[str, Any]:
        """Why it failed."""
        event = {"LogicalResourceId": "Drops", "ResourceStatus": "DELETE_FAILED"}
        return {"StackEvents": [event | {"ResourceStatusReason": "denied by a policy"}]}


@pytest.fixture
def formed(monkeypatch: pytest.MonkeyPatch, deployed: Stack) -> Callable[[Formation], None]:
    """Let the stack be of this CloudFormation; nothing runs in it."""
    monkeypatch.setattr("stp.removal.LOOK_EVERY", 0)
    monkeypatch.setattr("stp.removal.GOING", ())
    client = type(deployed).client

    def become(formation: Formation) -> None:
        monkeypatch.setattr(
            Stack,
            "client",
            lambda stack, name: formation if name == "cloudformation" else client(stack, name),
        )

    return become


def make_function(name: str) -> Callable[[], Any]:
    """Make a function; return what tells how many of it may run."""
    trust = {"AssumeRolePolicyDocument": "{}", "RoleName": name}
    role = boto3.client("iam").create_role(**trust)["Role"]["Arn"]
    functions = boto3.client("lambda")
    functions.create_function(
        FunctionName=name,
        Role=role,
        Runtime="python3.13",
        Handler="app.handler",
        Code={"S3Bucket": "outbox", "S3Key": "held/claims/may/manifest.json"},
    )
    return lambda: functions.get_function_concurrency(FunctionName=name)


def events_of(stack: Stack) -> list[Finding]:
    """What the doctor finds of a stack's events."""
    taking = replace(stack, outputs={**stack.outputs, "EventsUrl": "https://…"})
    vars(taking)["resources"] = {"TakeEvent": ("AWS::Lambda::Function", TAKES_EVENTS)}
    (check,) = [check for name, check in checks(taking) if name == "the events"]
    return check()


def test_a_protected_stack_is_left_as_it_is(stp: Stp, formed: Callable[[Formation], None]) -> None:
    # Given a stack that is protected from being deleted
    formation = Formation(protected=True)
    formed(formation)
    # When it is to be removed, then nothing is done, and it is said how it could be
    done = stp("remove", "--yes")
    assert done.code == FAILED
    assert "Nothing was changed" in done.err
    assert "--no-enable-termination-protection" in done.err
    assert not formation.calls


def test_what_cannot_be_deleted_is_told_with_its_reason(
    stp: Stp, formed: Callable[[Formation], None]
) -> None:
    # Given a stack of which one resource cannot be deleted, and others are gone
    formed(Formation("DELETE_IN_PROGRESS", "DELETE_FAILED"))
    # When it is removed, then that one is named, and how to go on
    done = stp("remove", "--yes")
    assert done.code == FAILED
    assert "Drops: denied by a policy" in done.err
    assert "Its intake stays stopped" in done.err
    assert "stp remove --stack straight-through" in done.err


def test_a_log_group_that_late_lines_made_anew_and_held_outputs_are_named(
    stp: Stp, formed: Callable[[Formation], None], deployed: Stack
) -> None:
    # Given a stack with outputs that a gate holds, and a log group that is there after its end
    formed(Formation("DELETE_IN_PROGRESS", "DELETE_COMPLETE"))
    deployed.client("s3").put_object(
        Bucket="outbox", Key="held/claims/may/manifest.json", Body=b"1"
    )
    boto3.client("logs").create_log_group(logGroupName=LATE)
    boto3.client("logs").create_log_group(logGroupName=f"{LATE}-other")
    events = boto3.client("events")
    for rule in (RESOURCE, ENDS, SWEEP):
        events.put_rule(Name=rule, EventPattern='{"source": ["aws.s3"]}')
    function = make_function(TAKES_EVENTS)
    assert [each.state for each in events_of(deployed)] == [GOOD]
    # When it is removed
    done = stp("remove", "--yes")
    # Then both are said, and what a deployment under the same name takes
    assert done.code == OK, done.err
    assert "s3://outbox/held/" in done.err
    assert f"aws logs delete-log-group --log-group-name {LATE} (late" in done.out
    assert "ExistingInboxBucket=inbox" in done.out
    assert "-other" not in done.out
    # and all that starts runs was switched off before: drops, schedules, and what tells of updates
    for rule in (RESOURCE, SWEEP):
        assert events.describe_rule(Name=rule)["State"] == "DISABLED"
    assert function()["ReservedConcurrentExecutions"] == 0
    (found,) = events_of(deployed)
    command = f"aws lambda delete-function-concurrency --function-name {TAKES_EVENTS}"
    assert (found.state, found.todo) == (BAD, command)
    vars(deployed)["parameters"] = {**deployed.parameters, "EventsConcurrency": "5"}
    (found,) = events_of(deployed)
    assert "--reserved-concurrent-executions 5" in found.todo
    # but not what tells of runs that were stopped
    assert events.describe_rule(Name=ENDS)["State"] == "ENABLED"
