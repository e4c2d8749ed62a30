"""The deployed stack: found by its name, through CloudFormation's outputs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from quantemplate.client import Quantemplate
from stp.pace import paced
from stp.said import NO_STACK, NOT_NOW, USAGE, Stop
from straight_through.aws import PASSES
from straight_through.executing.connection import connected, read_credentials
from straight_through.queue.table import Table

NEEDED = ("InboxBucket", "OutboxBucket", "StateMachineArn", "RoutesPath", "TurnsTable")
THROTTLED, FAULTS = 429, 500  # the least status of a fault of AWS's own
# Codes by which AWS says that it does not know, or no longer knows, who asks.
NOT_SIGNED_IN = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "AuthFailure",
}


@dataclass(frozen=True)
class Stack:
    """A deployed stack: its outputs and parameters by name, and clients of its AWS."""

    name: str
    region: str
    session: Any = field(repr=False)
    status: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    _clients: dict[str, Any] = field(default_factory=dict, repr=False)

    def client(self, service: str) -> Any:
        """Return a boto3 client, the same for each service."""
        if service not in self._clients:
            self._clients[service] = client_of(self.session, service)
        return self._clients[service]

    @property
    def machine(self) -> str:
        """The state machine's ARN."""
        return self.outputs["StateMachineArn"]

    @property
    def routes_path(self) -> str:
        """The path below which each route is a parameter."""
        return self.outputs["RoutesPath"]

    @property
    def inbox_prefix(self) -> str:
        """How the keys begin that the stack takes from its inbox."""
        return self.parameters.get("InboxPrefix", "")

    @property
    def takes_events(self) -> bool:
        """Whether it takes Quantemplate's events."""
        return "EventsUrl" in self.outputs

    @cached_property
    def table(self) -> Table:
        """The table of turns and run records."""
        return Table(self.client("dynamodb"), self.outputs["TurnsTable"])

    @cached_property
    def quantemplate(self) -> Quantemplate:
        """Quantemplate, with the stack's own credentials. Raises CredentialsMissing."""
        secret = self.outputs["CredentialsSecretArn"]
        return connected(
            read_credentials(self.client("secretsmanager"), secret),
            api_url=self.parameters["QuantemplateApiUrl"],
            token_url=self.parameters["QuantemplateTokenUrl"],
        )

    @cached_property
    def resources(self) -> dict[str, tuple[str, str]]:
        """Type and physical id of each resource, by its name in the template."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources")
        return {
            each["LogicalResourceId"]: (each["ResourceType"], each.get("PhysicalResourceId", ""))
            for page in pages.paginate(StackName=self.name)
            for each in page["StackResourceSummaries"]
        }

    def execution_arn(self, run: str) -> str:
        """Return the ARN of the execution of this name."""
        return f"{self.machine.replace(':stateMachine:', ':execution:')}:{run}"


def client_of(session: Any, service: str) -> Any:
    """Return a client that gives up soon enough for a person who waits.

    That of Step Functions keeps to its quotas, and slows down where others have used them up.
    """
    slow = service == "stepfunctions"
    retries: Any = {
        "mode": "adaptive" if slow else "legacy",
        "total_max_attempts": 10 if slow else 4,
    }
    config = Config(connect_timeout=5, read_timeout=65, retries=retries)
    client = session.client(service, config=config)
    return paced(client) if slow else client


def open_stack(name: str, profile: str | None, region: str | None) -> Stack:
    """Return the stack. Raises Stop where there is none or AWS does not let us in."""
    try:
        session = boto3.Session(profile_name=profile, region_name=region)
        cloudformation = client_of(session, "cloudformation")
        found = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            raise Stop(_no_stack(name, session.region_name), NO_STACK) from None
        raise
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", ())}
    missing = [output for output in NEEDED if output not in outputs]
    if missing:
        raise Stop(
            f"Stack {name} ({found['StackStatus']}) has no output {', '.join(missing)}: it is "
            "another application's, an older version, or was not made to its end. Name yours "
            "with --stack, or deploy this version: make build, then sam deploy.",
            NO_STACK,
        )
    parameters = {p["ParameterKey"]: p["ParameterValue"] for p in found.get("Parameters", ())}
    status = found["StackStatus"]
    return Stack(name, str(session.region_name), session, status, outputs, parameters)


def trouble_with_aws(error: BotoCoreError | ClientError) -> Stop:
    """Return what an error of AWS means for a person at a terminal."""
    return _refused(error) if isinstance(error, ClientError) else _unasked(error)


def _refused(error: ClientError) -> Stop:
    """Return what an answer of AWS means that is no good one."""
    code, operation = error.response["Error"]["Code"], error.operation_name
    said = error.response["Error"].get("Message") or code
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in NOT_SIGNED_IN:
        return Stop(
            f"AWS does not accept your credentials ({code}). Sign in anew (aws sso login) or "
            "name another profile with --profile.",
            NO_STACK,
        )
    if "AccessDenied" in code or code in ("403", "UnauthorizedOperation"):
        return Stop(
            f"Your AWS user may not do this: {operation} ({said}). Have it allowed, or name "
            "another profile with --profile.",
            NO_STACK,
        )
    if status == THROTTLED or any(part in code for part in PASSES):
        return Stop(
            f"AWS throttles {operation} ({code}): others of the account ask for as much. Try "
            "again in a minute.",
            NOT_NOW,
        )
    if status >= FAULTS or code in ("InternalFailure", "ServiceUnavailable"):
        return Stop(
            f"AWS failed at {operation} ({code}: {said}): a fault of its own. Try again in a "
            "minute; whether there is more: https://health.aws.amazon.com",
            NOT_NOW,
        )
    return Stop(f"AWS refused {operation}: {said}")


def _unasked(error: BotoCoreError) -> Stop:
    """Return what it means that AWS was not asked, or has not answered."""
    kind = type(error).__name__
    if kind == "ParamValidationError":
        return Stop(f"AWS has nothing of this name: {error} Check what you have typed.", USAGE)
    if kind in ("ReadTimeoutError", "ConnectionClosedError", "ResponseStreamingError"):
        return Stop(f"AWS does not answer in time: {error} Try again in a minute.", NOT_NOW)
    if kind == "ProfileNotFound":
        return Stop(f"{error}. See yours: aws configure list-profiles", NO_STACK)
    if kind == "NoRegionError":
        todo = "Name a region with --region or AWS_REGION"
    elif kind in ("EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError"):
        todo = "Check the network and the region. Is it the local stack? Then: make up"
    else:
        todo = "Sign in (aws sso login, aws configure) or name a profile with --profile"
    why = str(error).rstrip(".")
    return Stop(
        f"AWS cannot be asked: {why}. {todo}. For the local stack: . .local/stack.env", NO_STACK
    )


def _no_stack(name: str, region: str | None) -> str:
    """Say that there is no stack of this name, and what to do."""
    return (
        f"There is no stack {name!r} in region {region}. Name yours with --stack or STACK_NAME, "
        "the region with --region, the account with --profile. For the local stack: make up, then "
        "in this shell: . .local/stack.env"
    )
