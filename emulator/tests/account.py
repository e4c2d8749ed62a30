"""An AWS account on the local AWS: clients, and the few things that most tests make in it."""

import functools
import io
import json
import time
import uuid
import zipfile
from collections.abc import Callable
from typing import Any, TypeVar

import boto3
from botocore.config import Config

Found = TypeVar("Found")
REGION = "eu-west-1"
ANYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
SERVICES = ["lambda.amazonaws.com", "states.amazonaws.com"]


def eventually(look: Callable[[], Found | None], seconds: float = 60) -> Found:
    """What `look` finds as soon as it finds anything; fails after `seconds`."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"nothing found within {seconds} s"
        time.sleep(0.02)
    return found


def packed(files: dict[str, str]) -> bytes:
    """A zip archive of files."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


class Account:
    """The root user of an account at one endpoint."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    @functools.cache  # noqa: B019 - as long as the tests run
    def client(self, service: str) -> Any:
        """A client that does not try again."""
        session: Any = boto3.Session()  # its types know services by their literal names only
        return session.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(
                retries={"total_max_attempts": 1},
                s3={"addressing_style": "path"},
                max_pool_connections=50,
            ),
        )

    def bucket(self, *, versioned: bool = True) -> str:
        """A new bucket that sends its events to EventBridge."""
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        s3 = self.client("s3")
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
        if versioned:
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def queue(self, **attributes: str) -> tuple[str, str]:
        """URL and ARN of a new queue that takes messages from EventBridge."""
        sqs, name = self.client("sqs"), f"queue-{uuid.uuid4().hex[:12]}"
        arn = f"arn:aws:sqs:{REGION}:000000000000:{name}"
        allow = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        made = sqs.create_queue(QueueName=name, Attributes={"Policy": policy, **attributes})
        return made["QueueUrl"], arn

    def received(self, queue_url: str, count: int, seconds: float = 10) -> list[Any]:
        """The bodies of `count` JSON messages, taken from a queue."""
        sqs = self.client("sqs")
        bodies: list[Any] = []
        end = time.monotonic() + seconds
        while len(bodies) < count:
            assert time.monotonic() < end, f"{len(bodies)} of {count} messages came"
            reply = sqs.receive_message(
                QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1
            )
            for message in reply.get("Messages", []):
                bodies.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    def dead_letter(self, queue_url: str) -> dict[str, Any]:
        """A JSON message of a dead-letter queue, taken from it: `body` and `attributes`."""
        sqs = self.client("sqs")
        request = {"QueueUrl": queue_url, "MessageAttributeNames": ["All"], "WaitTimeSeconds": 1}
        (message,) = eventually(lambda: sqs.receive_message(**request).get("Messages"))
        sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        attributes = message.get("MessageAttributes", {}).items()
        return {
            "body": json.loads(message["Body"]),
            "attributes": {name: value["StringValue"] for name, value in attributes},
        }

    def rule(self, pattern: dict[str, Any], target_arn: str) -> None:
        """Send events that match `pattern` to a target."""
        events, name = self.client("events"), f"rule-{uuid.uuid4().hex[:12]}"
        events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=name, Targets=[{"Id": "target", "Arn": target_arn}])

    def role(self, *statements: dict[str, Any]) -> str:
        """The ARN of a new role for functions and state machines that may do `statements`."""
        name = f"role-{uuid.uuid4().hex[:12]}"
        trust = {"Effect": "Allow", "Principal": {"Service": SERVICES}, "Action": "sts:AssumeRole"}
        role = self.client("iam").create_role(
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        )
        self.allow(name, *statements)
        return str(role["Role"]["Arn"])

    def allow(self, role_arn: str, *statements: dict[str, Any]) -> None:
        """Let a role do `statements`, and nothing else."""
        document = json.dumps({"Version": "2012-10-17", "Statement": statements or [ANYTHING]})
        self.client("iam").put_role_policy(
            RoleName=role_arn.rpartition("/")[2], PolicyName="allowed", PolicyDocument=document
        )

    def function(self, code: str, **settings: Any) -> str:
        """The ARN of a new function whose app.py is `code`."""
        made = self.client("lambda").create_function(
            **{
                "FunctionName": f"function-{uuid.uuid4().hex[:12]}",
                "Runtime": "python3.13",
                "Role": settings.pop("Role", None) or self.role(),
                "Handler": "app.handler",
                "Code": {"ZipFile": packed({"app.py": code})},
                "Timeout": 20,
                **settings,
            }
        )
        return str(made["FunctionArn"])

    def invoked(self, function: str, payload: Any = None) -> Any:
        """What a function returns, or its error as {"errorType": …, "errorMessage": …}."""
        reply = self.client("lambda").invoke(FunctionName=function, Payload=json.dumps(payload))
        return json.loads(reply["Payload"].read())
