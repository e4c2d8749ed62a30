"""`stp doctor`: what is broken is found, and each finding says what to do."""

import json
from dataclasses import replace
from typing import Any

import pytest

from stp.doctor import BAD, GOOD, LOOK, Finding, checks
from stp.stack import Stack
from tests.cli.conftest import MACHINE


def found(stack: Stack, name: str) -> dict[str, Finding]:
    """What one check finds, by what it is about."""
    check = dict(checks(stack))[name]
    return {each.about: each for each in check()}


def made_of(stack: Stack, **resources: tuple[str, str]) -> Stack:
    """Let the stack have these resources: type and physical id."""
    vars(stack)["resources"] = resources
    return stack


def set_secret(stack: Stack, value: str) -> None:
    """Put a value into the stack's secret."""
    secret = stack.outputs["CredentialsSecretArn"]
    stack.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=value)


@pytest.mark.parametrize(
    ("status", "state"),
    [("UPDATE_COMPLETE", GOOD), ("UPDATE_ROLLBACK_COMPLETE", LOOK), ("CREATE_FAILED", BAD)],
)
def test_the_stacks_status(stack: Stack, status: str, state: str) -> None:
    assert found(replace(stack, status=status), "the stack")["stack"].state == state


def test_an_inbox_without_versions_and_events(stack: Stack) -> None:
    # Given a bucket as S3 makes it
    findings = found(stack, "the inbox")
    # Then both are missing, and the command for one is given
    assert findings["inbox versions"].state == BAD
    assert "put-bucket-versioning" in findings["inbox versions"].todo
    assert findings["inbox events"].state == BAD


def test_an_inbox_as_it_must_be(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given versions and events, which moto forgets and S3 answers with
    s3 = stack.client("s3")
    s3.put_bucket_versioning(Bucket="inbox", VersioningConfiguration={"Status": "Enabled"})
    monkeypatch.setattr(
        s3,
        "get_bucket_notification_configuration",
        lambda **_: {"EventBridgeConfiguration": {}},
    )
    # Then all is well
    assert {each.state for each in found(stack, "the inbox").values()} == {GOOD}


def test_a_rule_that_is_off(stack: Stack) -> None:
    # Given a rule with a target, switched off
    events = stack.client("events")
    events.put_rule(Name="drops", EventPattern="{}", State="DISABLED")
    events.put_targets(Rule="drops", Targets=[{"Id": "1", "Arn": "arn:aws:sqs:eu-west-1:1:q"}])
    # When the rules are checked
    finding = found(made_of(stack, DropRule=("AWS::Events::Rule", "drops")), "the rules")
    # Then the command that switches it on is given
    assert finding["rule DropRule"].todo == "aws events enable-rule --name drops"


@pytest.mark.parametrize(
    ("name", "todo"),
    [("DropsDeadLetters", "Start DLQ redrive"), ("EndsDeadLetters", "purge the queue")],
)
def test_events_in_a_dead_letter_queue(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, name: str, todo: str
) -> None:
    # Given a lost event
    sqs = stack.client("sqs")
    url = sqs.create_queue(QueueName="dead")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="lost")
    monkeypatch.setattr("stp.doctor._reader", lambda _: [])
    # When the queues are checked
    finding = found(made_of(stack, **{name: ("AWS::SQS::Queue", url)}), "the queues")
    # Then it is told, with what to do for that very queue
    assert finding[f"queue {name}"].what == "holds 1 lost event"
    assert finding[f"queue {name}"].state == BAD
    assert todo in finding[f"queue {name}"].todo


def key_with(stack: Stack, *statements: dict[str, Any]) -> Stack:
    """Give the stack a key of one's own with this policy."""
    policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    key = stack.client("kms").create_key(Policy=policy)["KeyMetadata"]["Arn"]
    return replace(stack, parameters={**stack.parameters, "DataKeyArn": key})


def lets(*services: str, **more: Any) -> dict[str, Any]:
    """A statement that lets services use a key."""
    principal = {"Service": [f"{each}.amazonaws.com" for each in services]}
    return {"Effect": "Allow", "Principal": principal, "Action": "kms:*", "Resource": "*", **more}


OURS = {"Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}}}
ROLES = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"}
LOGS = "logs.eu-west-1"


@pytest.mark.parametrize(
    ("statements", "lacks"),
    [
        ([ROLES, lets("events"), lets("cloudwatch", **OURS), lets(LOGS)], ""),
        ([ROLES, lets("events", "cloudwatch", LOGS)], ""),
        ([ROLES], "events, cloudwatch, logs"),
        ([ROLES, lets("events", "cloudwatch", **OURS), lets(LOGS)], "events"),
        ([ROLES, lets("events", LOGS), lets("cloudwatch", Effect="Deny")], "cloudwatch"),
    ],
)
def test_a_key_that_events_alarms_or_logs_may_not_use(
    stack: Stack, statements: list[dict[str, Any]], lacks: str
) -> None:
    """Amazon SNS developer guide, "Managing Amazon SNS encryption keys and costs".

    https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    """
    # Given a stack with a key of one's own, whose policy lets some services use it
    finding = found(key_with(stack, *statements), "the key")["key"]
    # Then those that it does not let are told: events that are not let in are lost
    assert finding.state == (BAD if lacks else GOOD)
    assert finding.what.endswith(f"use it: {lacks}" if lacks else "logs use it")
    assert bool(finding.todo) is bool(lacks)


def test_without_a_key_of_ones_own_none_is_asked(stack: Stack) -> None:
    assert found(stack, "the key")["key"].state == GOOD


@pytest.mark.parametrize(
    "value", ["", "s3cr3t-text", '["s3cr3t-text"]', '{"client_id": "a", "client_secret": ""}']
)
def test_a_secret_of_another_shape_is_told_and_never_shown(stack: Stack, value: str) -> None:
    # Given a secret without a value, or with another
    if value:
        set_secret(stack, value)
    # When it is checked
    finding = found(stack, "the secret and Quantemplate")["secret"]
    # Then the command for a right one is there
    secret = stack.outputs["CredentialsSecretArn"]
    assert f"put-secret-value --secret-id {secret} " in finding.todo
    # Then its shape is told, not its content
    assert finding.state == BAD
    assert "client_id" in finding.what
    assert "s3cr3t" not in str(finding)


def test_a_quantemplate_that_does_not_answer(stack: Stack) -> None:
    # Given a secret of the right shape, and nobody at the address
    set_secret(stack, json.dumps({"client_id": "me", "client_secret": "s3cr3t-text"}))
    # When it is checked
    findings = found(stack, "the secret and Quantemplate")
    # Then the two are told apart
    assert findings["secret"].state == GOOD
    assert findings["token"].state == BAD
    assert "s3cr3t" not in str(findings)


def test_no_routes_and_wrong_ones(stack: Stack) -> None:
    assert found(stack, "the routes")["routes"].state == LOOK
    stack.client("ssm").put_parameter(
        Name=f"{stack.routes_path}/claims", Value="nonsense", Type="String"
    )
    assert found(stack, "the routes")["route claims"].state == BAD


def test_a_paused_queue(stack: Stack) -> None:
    # Given a queue that somebody has paused
    paused = {"since": "2026-11-25T09:00:00.000Z", "reason": "month end"}
    stack.table.update(("queues", "p-1"), "SET #paused = :paused", paused=paused)
    # Then it is told with the command that lets it go on
    finding = found(stack, "the turns")["queue p-1"]
    assert finding.what.startswith("has been paused since 2026-11-25 ")
    assert finding.what.endswith(": month end")
    assert "stp queue resume p-1" in finding.todo


def test_alarms_that_ring_or_tell_nobody(stack: Stack) -> None:
    # Given alarms without an action, one of them on, one switched off
    cloudwatch = stack.client("cloudwatch")
    for name in ("loud", "quiet", "off"):
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            AlarmDescription="Redrive the queue.",
            ComparisonOperator="GreaterThanThreshold",
            EvaluationPeriods=1,
            MetricName="m",
            Namespace="n",
            Period=60,
            Statistic="Maximum",
            Threshold=0,
        )
    cloudwatch.set_alarm_state(AlarmName="loud", StateValue="ALARM", StateReason="over")
    cloudwatch.disable_alarm_actions(AlarmNames=["off"])
    alarm = "AWS::CloudWatch::Alarm"
    findings = found(
        made_of(stack, A=(alarm, "loud"), B=(alarm, "quiet"), C=(alarm, "off")), "the alarms"
    )
    # Then the one says what its description says, the other is to be looked at
    assert (findings["alarm loud"].state, findings["alarm loud"].todo) == (
        BAD,
        "Redrive the queue.",
    )
    assert findings["alarm quiet"].state == LOOK
    assert findings["alarm off"].todo == ("aws cloudwatch enable-alarm-actions --alarm-names off")


class FakeTopic:
    """A topic with these subscriptions, as SNS lists them."""

    def __init__(self, *arns: str) -> None:
        """Take the subscriptions' ARNs."""
        self.arns = arns

    def get_paginator(self, _: str) -> "FakeTopic":
        """Give itself."""
        return self

    def paginate(self, **_: str) -> list[dict[str, Any]]:
        """Give one page."""
        page = [{"Endpoint": "ops@example.com", "SubscriptionArn": arn} for arn in self.arns]
        return [{"Subscriptions": page}]


@pytest.mark.parametrize(
    ("arns", "state"),
    [((), LOOK), (("PendingConfirmation",), BAD), (("arn:aws:sns:eu-west-1:1:t:s",), GOOD)],
)
def test_an_e_mail_that_nobody_has_confirmed(
    stack: Stack, arns: tuple[str, ...], state: str
) -> None:
    stack._clients["sns"] = FakeTopic(*arns)
    assert found(stack, "the messages")["messages"].state == state


def test_one_subscriber_is_told_as_one(stack: Stack) -> None:
    stack._clients["sns"] = FakeTopic("arn:aws:sns:eu-west-1:1:t:s")
    assert found(stack, "the messages")["messages"].what == "go to 1 subscriber"


class FakeFunctions:
    """Lambda with these mappings, each switched off."""

    def __init__(self, *uuids: str) -> None:
        """Take their ids."""
        self.uuids = uuids

    def list_event_source_mappings(self, **_: str) -> dict[str, Any]:
        """Give them."""
        return {"EventSourceMappings": [{"UUID": u, "State": "Disabled"} for u in self.uuids]}


@pytest.mark.parametrize(
    ("uuids", "todo"),
    [
        (("u-1",), "aws lambda update-event-source-mapping --enabled --uuid u-1"),
        ((), "Deploy the stack again."),  # there is none that could be switched on
    ],
)
def test_where_nothing_reads_the_drops_what_can_be_done_is_told(
    stack: Stack, uuids: tuple[str, ...], todo: str
) -> None:
    stack._clients["lambda"] = FakeFunctions(*uuids)
    finding = found(made_of(stack), "the queues")["StartRun"]
    assert (finding.state, finding.todo) == (BAD, todo)


def test_what_may_not_be_checked_is_told(stack: Stack) -> None:
    # Given a state machine that is not there
    finding = found(stack, "the state machine")["the state machine"]
    # Then the check fails and says why
    assert finding.state == BAD
    assert MACHINE in finding.todo


def test_every_check_finds_something(stack: Stack) -> None:
    # Given a stack with next to nothing
    rule = ("AWS::Events::Rule", "gone")
    # Then no check breaks, whatever is missing
    assert all(check() for _, check in checks(made_of(stack, Rule=rule)))
