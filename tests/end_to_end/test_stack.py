"""CloudFormation makes of the project's template what it makes of it on AWS."""

import io
import json
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError
from samtranslator.yaml_helper import yaml_parse

from local.deploy import REGION, clients
from local.process import ROOT

HANDLER = """
import json, os, layered

def handler(event, context):
    names = ("QUANTEMPLATE_API_URL", "OUTBOX_BUCKET", "STATE_MACHINE_ARN")
    print(json.dumps({"event": event, "environment": {n: os.environ.get(n) for n in names}}))
    return {"batchItemFailures": []} if "Records" in event else event
"""
Client = Callable[[str], Any]
API_URL = "http://127.0.0.1:1/external/v1"


@pytest.fixture(scope="module")
def client(local_aws: str) -> Client:
    """Makes clients of the local AWS."""
    return clients(local_aws)


def new_bucket(client: Client) -> str:
    """A bucket that keeps versions and sends its events to EventBridge."""
    name, s3 = f"bucket-{uuid.uuid4().hex[:12]}", client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_notification_configuration(
        Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def new_key(client: Client) -> str:
    """The ARN of a key of one's own."""
    return str(client("kms").create_key()["KeyMetadata"]["Arn"])


def packed(name: str, text: str) -> bytes:
    """A zip archive of one file."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(name, text)
    return content.getvalue()


def eventually(look: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
    """What `look` finds as soon as it finds anything; fails after a minute."""
    end = time.monotonic() + 60
    while not (found := look()):
        assert time.monotonic() < end, "nothing found within a minute"
        time.sleep(0.02)
    return found


def packaged_template(client: Client) -> str:
    """The project's template, its code in S3: functions that only tell what they are given."""
    s3, bucket = client("s3"), new_bucket(client)
    asl = (ROOT / "statemachine/straight_through.asl.yaml").read_bytes()
    s3.put_object(Bucket=bucket, Key="function", Body=packed("app.py", HANDLER))
    s3.put_object(Bucket=bucket, Key="layer", Body=packed("python/layered.py", ""))
    s3.put_object(Bucket=bucket, Key="machine", Body=asl)
    template = yaml_parse((ROOT / "template.yaml").read_text())
    code = {"CodeUri": "function", "ContentUri": "layer", "DefinitionUri": "machine"}
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        properties.update({k: f"s3://{bucket}/{code[k]}" for k in code.keys() & properties.keys()})
    s3.put_object(Bucket=bucket, Key="template", Body=json.dumps(template).encode())
    return f"{s3.meta.endpoint_url}/{bucket}/template"


def stack_made(client: Client, name: str, **parameters: str) -> dict[str, Any]:
    """A stack of the template, as it is when it has been made or refused."""
    formation = client("cloudformation")
    formation.create_stack(
        StackName=name,
        TemplateURL=packaged_template(client),
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND", "CAPABILITY_NAMED_IAM"],
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
    )

    def ended() -> dict[str, Any] | None:
        (found,) = formation.describe_stacks(StackName=name)["Stacks"]
        return None if found["StackStatus"].endswith("IN_PROGRESS") else found

    return eventually(ended)


@contextmanager
def stack_of(client: Client, **parameters: str) -> Iterator[dict[str, Any]]:
    """The outputs of a stack of the template, its name, and its resources by logical id."""
    formation, name = client("cloudformation"), f"stack-{uuid.uuid4().hex[:8]}"
    made = stack_made(client, name, **parameters)
    assert made["StackStatus"] == "CREATE_COMPLETE", made.get("StackStatusReason")
    resources = formation.list_stack_resources(StackName=name)["StackResourceSummaries"]
    yield {
        "name": name,
        **{output["OutputKey"]: output["OutputValue"] for output in made["Outputs"]},
        **{each["LogicalResourceId"]: each["PhysicalResourceId"] for each in resources},
    }
    formation.delete_stack(StackName=name)


@pytest.fixture(scope="module")
def stack(client: Client) -> Iterator[dict[str, Any]]:
    """A stack that makes its inbox, where nothing else is said."""
    with stack_of(client, QuantemplateApiUrl=API_URL) as made:
        yield made


@pytest.fixture(scope="module")
def stack_beside(client: Client) -> Iterator[dict[str, Any]]:
    """A stack whose inbox exists already, under "existing", and has claims/ for it."""
    existing, lake = new_bucket(client), new_bucket(client)
    keys = [new_key(client) for _ in range(3)]
    with stack_of(
        client,
        ExistingInboxBucket=existing,
        InboxPrefix="claims/",
        InboxKeyArn=keys[0],
        DestinationBuckets=lake,
        DestinationKeyArns=",".join(keys[1:]),
    ) as made:
        yield made | {"existing": existing, "keys": set(keys)}


@pytest.fixture(scope="module")
def stack_within(client: Client) -> Iterator[dict[str, Any]]:
    """A stack with a key, a boundary and a network, each under its parameter's name."""
    ec2, everything = client("ec2"), {"Effect": "Allow", "Action": "*", "Resource": "*"}
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24")["Subnet"]["SubnetId"]
        for n in range(2)
    ]
    group = ec2.create_security_group(GroupName="files", Description="-", VpcId=vpc)["GroupId"]
    boundary = client("iam").create_policy(
        PolicyName=f"boundary-{uuid.uuid4().hex[:8]}",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [everything]}),
    )["Policy"]["Arn"]
    given = {
        "DataKeyArn": new_key(client),
        "PermissionsBoundaryArn": boundary,
        "SubnetIds": ",".join(subnets),
        "SecurityGroupIds": group,
    }
    with stack_of(client, **given) as made:
        yield made | given


def test_a_key_of_ones_own_encrypts_what_the_stack_keeps(
    client: Client, stack_within: dict[str, Any]
) -> None:
    """docs/keys.md: DataKeyArn."""
    # Given a stack with a key, then each of its services has it
    key, made = stack_within["DataKeyArn"], stack_within
    table = client("dynamodb").describe_table(TableName=made["TurnsTable"])["Table"]
    assert table["SSEDescription"]["KMSMasterKeyArn"] == key
    secret = client("secretsmanager").describe_secret(SecretId=made["CredentialsSecretArn"])
    assert secret["KmsKeyId"] == key
    topic = client("sns").get_topic_attributes(TopicArn=made["TopicArn"])["Attributes"]
    assert topic["KmsMasterKeyId"] == key
    for queue in ("Drops", "DropsDeadLetters", "EndsDeadLetters"):
        asked = {"QueueUrl": made[queue], "AttributeNames": ["All"]}
        assert client("sqs").get_queue_attributes(**asked)["Attributes"]["KmsMasterKeyId"] == key
    for group in ("FunctionLogs", "StateMachineLogs"):
        asked = {"logGroupNamePrefix": made[group]}
        (found,) = [
            each
            for each in client("logs").describe_log_groups(**asked)["logGroups"]
            if each["logGroupName"] == made[group]
        ]
        assert found["kmsKeyId"] == key
    for bucket in ("InboxBucket", "OutboxBucket"):
        asked = client("s3").get_bucket_encryption(Bucket=made[bucket])
        (rule,) = asked["ServerSideEncryptionConfiguration"]["Rules"]
        default = rule["ApplyServerSideEncryptionByDefault"]
        assert default == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    # And a drop reaches StartRun as ever
    client("s3").put_object(Bucket=made["InboxBucket"], Key="claims/may.csv", Body=b"x")
    assert told_by_start_run(client, made)["event"]["Records"]


def test_every_role_has_the_boundary_and_every_function_the_network(
    client: Client, stack_within: dict[str, Any]
) -> None:
    """docs/keys.md: PermissionsBoundaryArn, SubnetIds, SecurityGroupIds."""
    roles = [name for logical, name in stack_within.items() if logical.endswith("Role")]
    assert len(roles) == 11
    for name in roles:
        role = client("iam").get_role(RoleName=name)["Role"]
        boundary = role["PermissionsBoundary"]["PermissionsBoundaryArn"]
        assert boundary == stack_within["PermissionsBoundaryArn"]
    pages = client("lambda").get_paginator("list_functions").paginate()
    functions = [each for page in pages for each in page["Functions"]]
    ours = [each for each in functions if each["FunctionName"].startswith(stack_within["name"])]
    assert len(ours) == 10
    for function in ours:
        network = function["VpcConfig"]
        assert ",".join(network["SubnetIds"]) == stack_within["SubnetIds"]
        assert ",".join(network["SecurityGroupIds"]) == stack_within["SecurityGroupIds"]


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({"SubnetIds": "subnet-1"}, "Functions in SubnetIds need SecurityGroupIds too"),
        ({"SecurityGroupIds": "sg-1"}, "give both or neither"),
        ({"InboxKeyArn": "arn:aws:kms:eu-west-1:1:key/a"}, "the key of ExistingInboxBucket"),
        ({"DataKeyArn": "alias/mine"}, "DataKeyArn"),
    ],
)
def test_parameters_that_do_not_belong_together_are_refused(
    client: Client, parameters: dict[str, str], why: str
) -> None:
    """AWS CloudFormation user guide, "Rules"."""
    with pytest.raises(ClientError, match=why):
        stack_made(client, f"stack-{uuid.uuid4().hex[:8]}", **parameters)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("aws-files", "No access to reserved parameter name"),
        ("SSM-files", "ssm"),
        ("b" + "-files" * 7 + "-eu", "cannot be validated against allowedPattern: ^.{1,45}$"),
    ],
)
def test_a_name_that_cannot_work_is_refused_before_anything_else_is_made(
    client: Client, name: str, why: str
) -> None:
    """docs/deploy.md: The stack's name."""
    # When a stack is to have a name that is too long, or that Parameter Store keeps for AWS
    made = stack_made(client, name)
    # Then it is refused with what is wrong
    assert made["StackStatus"] == "ROLLBACK_COMPLETE"
    events = client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    failed = [each for each in events if each["ResourceStatus"] == "CREATE_FAILED"]
    reasons = [each["ResourceStatusReason"] for each in failed if "StackName" in str(each)]
    assert why in next(each for each in reasons if "cancelled" not in each)
    # And no bucket is left behind
    buckets = [each["Name"] for each in client("s3").list_buckets()["Buckets"]]
    assert not [bucket for bucket in buckets if bucket.startswith(name.lower()[:20])]


def test_the_longest_name_works(client: Client) -> None:
    """docs/deploy.md: The stack's name."""
    # Given a name of 45 characters
    name = "a" + "-files" * 7 + "-e"
    assert len(name) == 45
    # When
    made = stack_made(client, name)
    # Then
    assert made["StackStatus"] == "CREATE_COMPLETE"
    client("cloudformation").delete_stack(StackName=name)


def test_the_buckets_are_versioned_encrypted_private_and_tls_only(
    client: Client, stack: dict[str, Any]
) -> None:
    """AWS CloudFormation template reference, "AWS::S3::Bucket" and "AWS::S3::BucketPolicy"."""
    for bucket in (stack["InboxBucket"], stack["OutboxBucket"]):
        s3 = client("s3")
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
        encryption = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
        default = encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"]
        assert default["SSEAlgorithm"] == "AES256"
        private = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        assert set(private.values()) == {True}
        (deny,) = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
        assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_secret_has_no_value_until_one_is_put(client: Client, stack: dict[str, Any]) -> None:
    """AWS CloudFormation template reference, "AWS::SecretsManager::Secret"."""
    # Given
    secrets, secret = client("secretsmanager"), stack["CredentialsSecretArn"]

    # Then
    assert secret.startswith(f"arn:aws:secretsmanager:{REGION}:000000000000:secret:")
    assert secrets.describe_secret(SecretId=secret)["ARN"] == secret
    with pytest.raises(secrets.exceptions.ResourceNotFoundException):
        secrets.get_secret_value(SecretId=secret)

    # When
    secrets.put_secret_value(SecretId=secret, SecretString="{}")

    # Then
    assert secrets.get_secret_value(SecretId=secret)["SecretString"] == "{}"


def test_an_existing_bucket_takes_the_place_of_the_inbox(
    client: Client, stack_beside: dict[str, Any]
) -> None:
    """docs/deploy.md: ExistingInboxBucket, InboxPrefix."""
    # Given a stack with the parameter
    existing = stack_beside["existing"]
    # Then it has made no inbox, and its rule and its roles are about that bucket alone
    assert stack_beside["InboxBucket"] == existing
    assert "InboxBucketPolicy" not in stack_beside
    buckets = [each["Name"] for each in client("s3").list_buckets()["Buckets"]]
    assert not [name for name in buckets if name.startswith(f"{stack_beside['name']}-inbox")]
    rule = client("events").describe_rule(Name=stack_beside["DropRule"])
    assert json.loads(rule["EventPattern"])["detail"]["bucket"]["name"] == [existing]
    readable = readable_objects(client, stack_beside["UploadAndExecuteRole"])
    assert readable == {f"{existing}/claims/*"}
    # And PublishRun may use the keys of inbox and destinations
    used = resources_of(client, stack_beside["PublishRunRole"], "kms:GenerateDataKey")
    assert used == stack_beside["keys"]
    # When something else is put there, and then a file is dropped below the prefix
    client("s3").put_object(Bucket=existing, Key="photos/cat.jpg", Body=b"x")
    client("s3").put_object(Bucket=existing, Key="claims/may.csv", Body=b"x")
    # Then the file reaches StartRun, and it alone
    line = told_by_start_run(client, stack_beside)
    detail = json.loads(line["event"]["Records"][0]["body"])["detail"]
    assert (detail["bucket"]["name"], detail["object"]["key"]) == (existing, "claims/may.csv")


def test_a_drop_reaches_start_run_with_its_layer_environment_and_log_group(
    client: Client, stack: dict[str, Any]
) -> None:
    """AWS SAM developer guide, "AWS::Serverless::Function", `SQS` event source."""
    # When
    client("s3").put_object(Bucket=stack["InboxBucket"], Key="claims/a+b ü.csv", Body=b"x")

    # Then
    line = told_by_start_run(client, stack)
    body = json.loads(line["event"]["Records"][0]["body"])
    assert body["detail"]["object"]["key"] == "claims/a+b ü.csv"
    assert line["environment"]["STATE_MACHINE_ARN"] == stack["StateMachineArn"]


def test_a_function_of_the_stack_has_its_parameters_and_names(
    client: Client, stack: dict[str, Any]
) -> None:
    """AWS SAM developer guide, "AWS::Serverless::Function" and "Globals section"."""
    # When
    function = client("lambda").get_function_configuration(
        FunctionName=f"{stack['name']}-download_output"
    )

    # Then
    variables = function["Environment"]["Variables"]
    assert variables["QUANTEMPLATE_API_URL"] == API_URL
    assert variables["OUTBOX_BUCKET"] == stack["OutboxBucket"]
    assert variables["CREDENTIALS_SECRET_ARN"] == stack["CredentialsSecretArn"]
    assert (function["Runtime"], function["Timeout"]) == ("python3.13", 900)
    reply = client("lambda").invoke(FunctionName=stack["PublishRun"], Payload=b'{"a": 1}')
    assert json.load(reply["Payload"]) == {"a": 1}


def test_the_state_machine_calls_the_functions_of_the_stack(
    client: Client, stack: dict[str, Any]
) -> None:
    """AWS SAM developer guide, "AWS::Serverless::StateMachine", DefinitionSubstitutions."""
    # When
    machine = client("stepfunctions").describe_state_machine(
        stateMachineArn=stack["StateMachineArn"]
    )

    # Then
    assert machine["name"] == stack["name"]
    definition = json.loads(machine["definition"])
    called = definition["States"]["UploadAndExecute"]["Parameters"]["FunctionName"]
    prefix = f"arn:aws:lambda:{REGION}:000000000000:function:"
    assert called == f"{prefix}{stack['name']}-upload_and_execute"


def test_the_state_machine_logs_and_traces(client: Client, stack: dict[str, Any]) -> None:
    """AWS SAM developer guide, "AWS::Serverless::StateMachine", Logging and Tracing."""
    # Given the stack's template as CloudFormation took it
    template = client("cloudformation").get_template(
        StackName=stack["name"], TemplateStage="Processed"
    )["TemplateBody"]
    template = json.loads(template) if isinstance(template, str) else template
    # Then executions are traced
    machine = template["Resources"]["StateMachine"]
    assert machine["Type"] == "AWS::StepFunctions::StateMachine"
    assert machine["Properties"]["TracingConfiguration"] == {"Enabled": True}
    # And what fails is logged, without the files' data
    logging = machine["Properties"]["LoggingConfiguration"]
    assert (logging["Level"], logging["IncludeExecutionData"]) == ("ERROR", False)
    assert logging["Destinations"] == [
        {"CloudWatchLogsLogGroup": {"LogGroupArn": {"Fn::GetAtt": ["StateMachineLogs", "Arn"]}}}
    ]


def test_the_queue_passes_what_it_cannot_deliver_to_the_dead_letters(
    client: Client, stack: dict[str, Any]
) -> None:
    """AWS CloudFormation template reference, "AWS::SQS::Queue" and "AWS::CloudWatch::Alarm"."""
    # When
    drops = client("sqs").get_queue_attributes(QueueUrl=stack["Drops"], AttributeNames=["All"])[
        "Attributes"
    ]
    letters = client("sqs").get_queue_attributes(
        QueueUrl=stack["DropsDeadLetters"], AttributeNames=["QueueArn"]
    )["Attributes"]
    alarms = client("cloudwatch").describe_alarms(AlarmNames=[stack["DropsDeadLettersAlarm"]])[
        "MetricAlarms"
    ]
    targets = client("events").list_targets_by_rule(Rule=stack["DropRule"])["Targets"]

    # Then
    assert json.loads(drops["RedrivePolicy"])["deadLetterTargetArn"] == letters["QueueArn"]
    assert drops["VisibilityTimeout"] == "360"
    name = letters["QueueArn"].split(":")[-1]
    assert alarms[0]["Dimensions"] == [{"Name": "QueueName", "Value": name}]
    assert targets[0]["DeadLetterConfig"] == {"Arn": letters["QueueArn"]}


# --- what a stack has made ---------------------------------------------------------------------
def told_by_start_run(client: Client, stack: dict[str, Any]) -> dict[str, Any]:
    """What StartRun of a stack says of the messages that it was given."""

    def told() -> dict[str, Any] | None:
        found = client("logs").filter_log_events(logGroupName=f"/aws/lambda/{stack['name']}")
        lines = [event["message"] for event in found["events"]]
        return next((json.loads(line) for line in lines if '"Records"' in line), None)

    return eventually(told)


def readable_objects(client: Client, role: str) -> set[str]:
    """The objects that a role may read, as bucket and key."""
    arns = resources_of(client, role, "s3:GetObject")
    return {arn.removeprefix("arn:aws:s3:::") for arn in arns}


def resources_of(client: Client, role: str, action: str) -> set[str]:
    """What a role may do this with."""
    iam = client("iam")
    documents = [
        iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    ]
    for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        arn = policy["PolicyArn"]
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        found = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]
        documents.append(found["Document"])
    statements = [statement for document in documents for statement in document["Statement"]]
    named = [each["Resource"] for each in statements if action in each["Action"]]
    return {arn for each in named for arn in ([each] if isinstance(each, str) else each)}
