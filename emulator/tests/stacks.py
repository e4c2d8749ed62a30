"""Stacks: what CloudFormation makes of a small template."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from emulator.tests.account import Account, eventually, packed

CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND", "CAPABILITY_NAMED_IAM"]


@contextmanager
def created(
    account: Account, resources: dict[str, Any], name: str = ""
) -> Iterator[dict[str, str]]:
    """A stack of these resources for the time being: physical ids by logical id."""
    formation, name = account.client("cloudformation"), name or f"stack-{uuid.uuid4().hex[:8]}"
    template = {"Transform": "AWS::Serverless-2016-10-31", "Resources": resources}
    formation.create_stack(
        StackName=name, TemplateBody=json.dumps(template), Capabilities=CAPABILITIES
    )
    made = ended(account, name)
    assert made["StackStatus"] == "CREATE_COMPLETE", made.get("StackStatusReason")
    summaries = formation.list_stack_resources(StackName=name)["StackResourceSummaries"]
    yield {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in summaries}
    formation.delete_stack(StackName=name)
    assert ended(account, name)["StackStatus"] == "DELETE_COMPLETE"


def ended(account: Account, name: str) -> dict[str, Any]:
    """A stack as it is once nothing is in progress any more."""
    formation = account.client("cloudformation")

    def look() -> dict[str, Any]:
        # From the list, since a deleted stack is not found by its name.
        stacks = formation.describe_stacks()["Stacks"]
        found = next((stack for stack in stacks if stack["StackName"] == name), None)
        if found is None:
            return {"StackStatus": "DELETE_COMPLETE"}
        return {} if found["StackStatus"].endswith("IN_PROGRESS") else found

    return eventually(look)


def function_resource(account: Account, code: str, **properties: Any) -> dict[str, Any]:
    """An AWS::Serverless::Function whose app.py is `code`, which lies in S3."""
    s3, bucket = account.client("s3"), account.bucket()
    s3.put_object(Bucket=bucket, Key="function", Body=packed({"app.py": code}))
    return {
        "Type": "AWS::Serverless::Function",
        "Properties": {
            "Runtime": "python3.13",
            "Handler": "app.handler",
            "CodeUri": f"s3://{bucket}/function",
            "Timeout": 10,
            **properties,
        },
    }
