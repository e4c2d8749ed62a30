"""SNS topics, where ministack's are otherwise than AWS's."""

import json
from collections.abc import Callable
from typing import Any

from ministack.services import sns
from ministack.services.cloudformation import provisioners

from emulator.seams import replace, replace_item, seam

Parameters = dict[str, Any]
LONGEST_SUBJECT = 100


def install() -> None:
    """Let a topic be only for those who may, and refuse a subject that e-mail could not have."""
    replace_item(provisioners, "_RESOURCE_HANDLERS", "AWS::SNS::Topic", for_their_owners)
    replace(sns, "_publish", with_a_subject_of_one_line)


def for_their_owners(handlers: dict[str, Any]) -> dict[str, Any]:
    """Give a stack's topic the policy of other topics, and its key: ministack's has neither.

    AWS documentation: "Give users permissions to publish to the Amazon SNS topic";
    "AWS::SNS::Topic" (AWS CloudFormation template reference).
    """
    topics, create = seam(sns, "_topics"), handlers["create"]

    def create_topic(logical_id: str, properties: Parameters, stack: str) -> Any:
        arn, attributes = create(logical_id, properties, stack)
        policy = json.loads(topics[arn]["attributes"]["Policy"])
        owner = arn.split(":")[4]
        for statement in policy["Statement"]:
            statement["Condition"] = {"StringEquals": {"AWS:SourceOwner": owner}}
        topics[arn]["attributes"]["Policy"] = json.dumps(policy)
        if key := properties.get("KmsMasterKeyId"):
            topics[arn]["attributes"]["KmsMasterKeyId"] = key
        return arn, attributes

    return {**handlers, "create": create_topic}


def with_a_subject_of_one_line(publish: Callable[[Parameters], Any]) -> Callable[..., Any]:
    """Refuse a subject that is too long or has control characters.

    AWS documentation: "Publish" (Amazon SNS API reference).
    """
    refusal, value_of = seam(sns, "_error"), seam(sns, "_p")

    def publish_message(parameters: Parameters) -> Any:
        subject = value_of(parameters, "Subject") or ""
        if len(subject) > LONGEST_SUBJECT or any(ord(character) < 32 for character in subject):
            return refusal("InvalidParameter", "Invalid parameter: Subject", 400)
        return publish(parameters)

    return publish_message
