"""SNS: from a function over a topic to those who subscribe to it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.tests.account import Account
from emulator.tests.sessions import WHOAMI, clients_of
from emulator.tests.stacks import created, function_resource

TOPIC: dict[str, Any] = {"Type": "AWS::SNS::Topic"}


def subscription(queue: str, **properties: Any) -> dict[str, Any]:
    """A subscription of a queue to the topic Failures."""
    endpoint = {"Fn::GetAtt": [queue, "Arn"]}
    return {
        "Type": "AWS::SNS::Subscription",
        "Properties": {
            "TopicArn": {"Ref": "Failures"},
            "Protocol": "sqs",
            "Endpoint": endpoint,
            **properties,
        },
    }


@pytest.fixture(scope="module")
def stack(account: Account) -> Iterator[dict[str, str]]:
    """Two topics, queues of which two may hear the first, and a function that may publish to it."""
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": "*",
        "Condition": {"ArnEquals": {"aws:SourceArn": {"Ref": "Failures"}}},
    }
    publish = {"Effect": "Allow", "Action": "sns:Publish", "Resource": {"Ref": "Failures"}}
    resources = {
        "Failures": TOPIC,
        "Others": TOPIC | {"Properties": {"KmsMasterKeyId": "alias/ours"}},
        **{each: {"Type": "AWS::SQS::Queue"} for each in ("Heard", "Raw", "Closed")},
        "Policy": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {
                "Queues": [{"Ref": "Heard"}, {"Ref": "Raw"}],
                "PolicyDocument": {"Version": "2012-10-17", "Statement": [allow]},
            },
        },
        "HeardSubscription": subscription("Heard"),
        "RawSubscription": subscription("Raw", RawMessageDelivery=True),
        "ClosedSubscription": subscription("Closed"),
        "Publisher": function_resource(
            account, WHOAMI, Policies=[{"Version": "2012-10-17", "Statement": [publish]}]
        ),
    }
    with created(account, resources) as made:
        yield made


def test_a_message_of_a_function_comes_to_the_queues_that_let_it(
    account: Account, stack: dict[str, str]
) -> None:
    """Amazon SNS developer guide, "Fanout to Amazon SQS queues" and "Raw message delivery"."""
    # Given
    sns = clients_of(account, stack["Publisher"])("sns")

    # When
    sent = sns.publish(
        TopicArn=stack["Failures"],
        Subject="FAILED: claims/may.csv",
        Message='{"text": "müßig 🙂"}',
        MessageAttributes={"route": {"DataType": "String", "StringValue": "claims"}},
    )

    # Then
    (heard,) = account.received(stack["Heard"], 1)
    assert heard["Type"] == "Notification"
    assert heard["MessageId"] == sent["MessageId"]
    assert heard["TopicArn"] == stack["Failures"]
    assert heard["Subject"] == "FAILED: claims/may.csv"
    assert json.loads(heard["Message"]) == {"text": "müßig 🙂"}
    assert heard["MessageAttributes"] == {"route": {"Type": "String", "Value": "claims"}}
    assert account.received(stack["Raw"], 1) == [{"text": "müßig 🙂"}]
    waiting = account.client("sqs").receive_message(QueueUrl=stack["Closed"])
    assert "Messages" not in waiting


def test_a_message_of_several_forms_comes_to_each_protocol_in_its_own(
    account: Account, stack: dict[str, str]
) -> None:
    """Amazon SNS API reference, "Publish": MessageStructure.

    https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
    """
    # Given
    sns = account.client("sns")
    forms = {"default": '"for others"', "https": '"for chats"'}

    # When
    for more in ({}, {"sqs": '"for queues"'}):
        sns.publish(
            TopicArn=stack["Failures"], Message=json.dumps(forms | more), MessageStructure="json"
        )

    # Then
    heard = account.received(stack["Heard"], 2)
    assert [json.loads(each["Message"]) for each in heard] == ["for others", "for queues"]
    assert account.received(stack["Raw"], 2) == ["for others", "for queues"]


def test_a_function_publishes_only_to_the_topics_that_its_role_allows(
    account: Account, stack: dict[str, str]
) -> None:
    """AWS service authorization reference, "Actions for Amazon SNS": Publish, on a topic."""
    # Given
    sns = clients_of(account, stack["Publisher"])("sns")

    # When, then
    with pytest.raises(ClientError, match=r"AuthorizationError.*sns:Publish"):
        sns.publish(TopicArn=stack["Others"], Message="{}")


def test_a_stacks_topic_has_its_key(account: Account, stack: dict[str, str]) -> None:
    """AWS CloudFormation template reference, "AWS::SNS::Topic": KmsMasterKeyId.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-sns-topic.html
    """
    sns = account.client("sns")
    keys = [
        sns.get_topic_attributes(TopicArn=stack[topic])["Attributes"].get("KmsMasterKeyId")
        for topic in ("Others", "Failures")
    ]
    assert keys == ["alias/ours", None]


@pytest.mark.parametrize("subject", ["two\nlines", "x" * 101])
def test_a_subject_is_one_line_of_at_most_100_characters(
    account: Account, stack: dict[str, str], subject: str
) -> None:
    """Amazon SNS API reference, "Publish": Subject."""
    # When, then
    with pytest.raises(ClientError, match=r"InvalidParameter.*Subject"):
        account.client("sns").publish(TopicArn=stack["Others"], Subject=subject, Message="{}")
