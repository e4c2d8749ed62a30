"""Permissions are enforced, so that one that is missing fails here and not in the cloud."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from emulator.tests.account import ANYTHING, REGION, Account, eventually
from emulator.tests.sessions import WHOAMI, clients_of, session_clients
from emulator.tests.stacks import created, function_resource


class Things:
    """One of each thing that a function of the road may need."""

    def __init__(self, account: Account) -> None:
        name = uuid.uuid4().hex[:12]
        self.bucket = account.bucket()
        account.client("s3").put_object(Bucket=self.bucket, Key="key", Body=b"x")
        self.parameter = f"/routes/{name}"
        account.client("ssm").put_parameter(Name=self.parameter, Type="String", Value="{}")
        self.secret = account.client("secretsmanager").create_secret(Name=name, SecretString="{}")[
            "ARN"
        ]
        self.machine = account.client("stepfunctions").create_state_machine(
            name=name,
            roleArn=account.role(),
            definition=json.dumps({"StartAt": "Only", "States": {"Only": {"Type": "Succeed"}}}),
        )["stateMachineArn"]
        self.table = name
        account.client("dynamodb").create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )

    def arn(self, service: str, resource: str) -> str:
        """The ARN of something in this account."""
        return f"arn:aws:{service}:{REGION}:000000000000:{resource}"

    def calls(self, client: Callable[[str], Any]) -> dict[str, tuple[Callable[[], Any], str]]:
        """For each permission a call that needs it, and the resource that it names."""
        item = {"id": {"S": "1"}}
        objects = f"arn:aws:s3:::{self.bucket}/*"
        return {
            "s3:GetObject": (
                lambda: client("s3").get_object(Bucket=self.bucket, Key="key"),
                objects,
            ),
            "s3:PutObject": (
                lambda: client("s3").put_object(Bucket=self.bucket, Key="new", Body=b"x"),
                objects,
            ),
            "s3:ListBucket": (
                lambda: client("s3").list_objects_v2(Bucket=self.bucket),
                f"arn:aws:s3:::{self.bucket}",
            ),
            "ssm:GetParametersByPath": (
                lambda: client("ssm").get_parameters_by_path(Path="/routes"),
                self.arn("ssm", "parameter/routes"),
            ),
            "ssm:GetParameters": (
                lambda: client("ssm").get_parameters(Names=[self.parameter]),
                self.arn("ssm", "parameter/routes/*"),
            ),
            "secretsmanager:GetSecretValue": (
                lambda: client("secretsmanager").get_secret_value(SecretId=self.secret),
                self.secret,
            ),
            "states:StartExecution": (
                lambda: client("stepfunctions").start_execution(stateMachineArn=self.machine),
                self.machine,
            ),
            "dynamodb:PutItem": (
                lambda: client("dynamodb").transact_write_items(
                    TransactItems=[{"Put": {"TableName": self.table, "Item": item}}]
                ),
                self.arn("dynamodb", f"table/{self.table}"),
            ),
        }


@pytest.fixture(scope="module")
def things(account: Account) -> Things:
    """What the calls below are about."""
    return Things(account)


@pytest.mark.parametrize(
    "permission",
    [
        "s3:GetObject",
        "s3:PutObject",
        "s3:ListBucket",
        "ssm:GetParametersByPath",
        "ssm:GetParameters",
        "secretsmanager:GetSecretValue",
        "states:StartExecution",
        "dynamodb:PutItem",
    ],
)
def test_a_function_may_do_what_its_role_allows_and_nothing_else(
    account: Account, things: Things, permission: str
) -> None:
    """AWS IAM user guide, "Policy evaluation logic": what is not allowed is denied."""
    # Given a role that may do this one thing, on this one resource
    _, resource = things.calls(account.client)[permission]
    allowed = {"Effect": "Allow", "Action": permission, "Resource": resource}
    role = account.role(allowed)
    calls = things.calls(session_clients(account, role))

    # When it is done, then
    calls[permission][0]()

    # When the permission is gone, then
    elsewhere = resource.replace(REGION, "eu-central-1").replace(":s3:::", ":s3:::other-")
    account.allow(role, {**allowed, "Resource": elsewhere})
    with pytest.raises(ClientError) as denied:
        calls[permission][0]()
    assert denied.value.response["Error"]["Code"].startswith("AccessDenied")


@pytest.mark.parametrize("key", ["claims/a\nb.csv", "claims/a\r\n"])
def test_a_wildcard_stands_for_any_characters(account: Account, things: Things, key: str) -> None:
    """AWS IAM user guide, "IAM JSON policy elements: Resource": `*` is any characters."""
    # Given a role that may write and read below a folder
    s3_actions = {"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject"]}
    resource = f"arn:aws:s3:::{things.bucket}/claims/*"
    role = account.role({**s3_actions, "Resource": resource})
    s3 = session_clients(account, role)("s3")

    # When a key has line breaks in it
    s3.put_object(Bucket=things.bucket, Key=key, Body=b"x")

    # Then
    assert s3.get_object(Bucket=things.bucket, Key=key)["Body"].read() == b"x"


@pytest.mark.parametrize("parts", [False, True])
def test_an_object_with_tags_needs_a_right_of_its_own(
    account: Account, things: Things, *, parts: bool
) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html ("Permissions")."""
    # Given a role that may write a key, and may not tag it
    resource = f"arn:aws:s3:::{things.bucket}/claims/*"
    allowed = {"Effect": "Allow", "Action": ["s3:PutObject"], "Resource": resource}
    role = account.role(allowed)
    s3 = session_clients(account, role)("s3")
    named = {"Bucket": things.bucket, "Key": "claims/für a.csv"}
    write = s3.create_multipart_upload if parts else s3.put_object

    # When it is written without tags, and with some, then
    write(**named)
    with pytest.raises(ClientError, match="AccessDenied"):
        write(**named, Tagging="retention=outbox")

    # When it may tag it too, then
    account.allow(role, {**allowed, "Action": ["s3:PutObject", "s3:PutObjectTagging"]})
    write(**named, Tagging="retention=outbox")


def test_what_a_policy_names_whole_is_that_and_no_line_more(
    account: Account, things: Things
) -> None:
    """AWS IAM user guide, "IAM JSON policy elements: Resource"."""
    # Given a role that may write one key
    resource = f"arn:aws:s3:::{things.bucket}/claims/a"
    role = account.role({"Effect": "Allow", "Action": "s3:PutObject", "Resource": resource})
    s3 = session_clients(account, role)("s3")

    # When, then
    s3.put_object(Bucket=things.bucket, Key="claims/a", Body=b"x")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket=things.bucket, Key="claims/a\n", Body=b"x")


def test_a_missing_key_is_not_found_only_for_those_who_may_list(
    account: Account, things: Things
) -> None:
    """Amazon S3 API reference, "GetObject": 403 without s3:ListBucket, 404 with it."""
    # Given
    read = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    role = account.role(read)
    s3 = session_clients(account, role)("s3")

    def codes() -> list[str]:
        found = []
        for call in (s3.get_object, s3.head_object):
            with pytest.raises(ClientError) as error:
                call(Bucket=things.bucket, Key="missing")
            found.append(error.value.response["Error"]["Code"])
        return found

    # When
    without = codes()
    account.allow(role, read, {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"})

    # Then
    assert without == ["AccessDenied", "403"]
    assert codes() == ["NoSuchKey", "404"]


def test_a_state_machine_may_do_what_its_role_allows_and_nothing_else(account: Account) -> None:
    """AWS Step Functions developer guide, "IAM policies for calling AWS Lambda"."""
    # Given
    function = account.function("def handler(event, context): return 1")
    allowed = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": function}
    role = account.role(allowed)
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": function},
        "End": True,
    }
    states = account.client("stepfunctions")
    machine = states.create_state_machine(
        name=f"machine-{uuid.uuid4().hex[:12]}",
        roleArn=role,
        definition=json.dumps({"StartAt": "Task", "States": {"Task": task}}),
    )["stateMachineArn"]

    def run() -> dict[str, Any]:
        arn = states.start_execution(stateMachineArn=machine)["executionArn"]

        def ended() -> dict[str, Any]:
            found: dict[str, Any] = states.describe_execution(executionArn=arn)
            return found if found["status"] != "RUNNING" else {}

        return eventually(ended)

    # When
    before = run()
    account.allow(role, {**allowed, "Action": "lambda:GetFunction"})
    after = run()

    # Then
    assert before["status"] == "SUCCEEDED"
    assert after["status"] == "FAILED"
    assert "not authorized to perform: lambda:InvokeFunction" in after["cause"]


def test_a_bucket_policy_is_enforced_and_loopback_counts_as_tls(account: Account) -> None:
    """Amazon S3 user guide, "Bucket policy examples using condition keys": aws:SecureTransport."""
    # Given
    bucket = account.bucket()
    everything = {"Principal": "*", "Resource": f"arn:aws:s3:::{bucket}/*"}
    tls_only = {
        "Effect": "Deny",
        "Action": "s3:*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        **everything,
    }
    no_tagging = {"Effect": "Deny", "Action": "s3:PutObjectTagging", **everything}
    s3 = session_clients(account, account.role(ANYTHING))("s3")

    # When
    document = {"Version": "2012-10-17", "Statement": [tls_only, no_tagging]}
    account.client("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))

    # Then
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object_tagging(Bucket=bucket, Key="key", Tagging={"TagSet": []})


def test_a_condition_may_name_the_source_of_events(account: Account) -> None:
    """Amazon EventBridge user guide, "Using IAM policy conditions": the key events:source."""
    # Given a role that may put events of one source
    allow = {
        "Effect": "Allow",
        "Action": "events:PutEvents",
        "Resource": "*",
        "Condition": {"StringEquals": {"events:source": "ours"}},
    }
    client = session_clients(account, account.role(allow))
    entry = {"DetailType": "x", "Detail": "{}"}
    # When it puts events of this and of another
    put = client("events").put_events
    # Then it may only put its own
    assert put(Entries=[{**entry, "Source": "ours"}])["FailedEntryCount"] == 0
    for sources in (["theirs"], ["ours", "theirs"]):
        with pytest.raises(ClientError, match="AccessDenied"):
            put(Entries=[{**entry, "Source": source} for source in sources])


def test_several_parameters_are_given_only_to_who_may_have_each(account: Account) -> None:
    """AWS service authorization reference, "AWS Systems Manager": GetParameters."""
    # Given
    path = f"/routes-{uuid.uuid4().hex[:12]}"
    names = [f"{path}/mine/a", f"{path}/mine/b", f"{path}/other"]
    for name in names:
        account.client("ssm").put_parameter(Name=name, Type="String", Value="{}")
    mine = f"arn:aws:ssm:{REGION}:000000000000:parameter{path}/mine/*"
    role = account.role({"Effect": "Allow", "Action": "ssm:GetParameters", "Resource": mine})
    ssm = session_clients(account, role)("ssm")

    # When
    found = ssm.get_parameters(Names=[*names[:2], f"{path}/mine/none"])

    # Then
    assert [parameter["Name"] for parameter in found["Parameters"]] == names[:2]
    assert found["InvalidParameters"] == [f"{path}/mine/none"]
    with pytest.raises(ClientError, match=f"AccessDenied.*{path}/other"):
        ssm.get_parameters(Names=names)


def test_a_stacks_role_may_no_more_than_its_boundary(account: Account) -> None:
    """AWS CloudFormation template reference, "AWS::IAM::Role": PermissionsBoundary.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
    """
    # Given a stack's function that may list all buckets, and a boundary that allows one
    ours, other = account.bucket(), account.bucket()
    listing = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}
    within = listing | {"Resource": f"arn:aws:s3:::{ours}"}
    boundary = account.client("iam").create_policy(
        PolicyName=f"boundary-{uuid.uuid4().hex[:12]}",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [within]}),
    )["Policy"]["Arn"]
    policies = [{"Version": "2012-10-17", "Statement": [listing]}]
    function = function_resource(account, WHOAMI, Policies=policies, PermissionsBoundary=boundary)
    # When it lists them
    with created(account, {"Lister": function}) as stack:
        s3 = clients_of(account, stack["Lister"])("s3")
        # Then it may list that one
        s3.list_objects_v2(Bucket=ours)
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.list_objects_v2(Bucket=other)


def test_a_wrong_secret_key_is_refused(account: Account) -> None:
    """AWS IAM user guide, "AWS Signature Version 4 for API requests"."""
    # Given
    user = account.client("iam").create_user(UserName=f"user-{uuid.uuid4().hex[:12]}")["User"]
    key = account.client("iam").create_access_key(UserName=user["UserName"])["AccessKey"]
    s3 = boto3.client(
        "s3",
        endpoint_url=account.endpoint,
        region_name=REGION,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key="wrong",
    )

    # When, then
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        s3.list_buckets()
