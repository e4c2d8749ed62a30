"""S3, DynamoDB and Secrets Manager do what the road relies on."""

import json
import string
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.tests.account import Account
from emulator.tests.stacks import created, ended

MIB = 1024 * 1024


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    """The name of an AWS error."""
    return str(error.value.response["Error"]["Code"])


def test_versions_are_read_by_their_id(account: Account) -> None:
    """Amazon S3 user guide, "Retrieving object versions from a versioning-enabled bucket"."""
    # Given
    s3, bucket = account.client("s3"), account.bucket()
    first = s3.put_object(
        Bucket=bucket, Key="key", Body=b"first", Metadata={"run": "1"}, ContentType="text/csv"
    )
    second = s3.put_object(Bucket=bucket, Key="key", Body=b"second one")
    s3.delete_object(Bucket=bucket, Key="key")

    # When
    got = s3.get_object(Bucket=bucket, Key="key", VersionId=first["VersionId"])
    head = s3.head_object(Bucket=bucket, Key="key", VersionId=second["VersionId"])

    # Then
    assert got["Body"].read() == b"first"
    assert (got["Metadata"], got["ContentType"]) == ({"run": "1"}, "text/csv")
    assert (head["ContentLength"], head["ETag"]) == (10, second["ETag"])
    with pytest.raises(ClientError) as gone:
        s3.get_object(Bucket=bucket, Key="key")
    assert code_of(gone) == "NoSuchKey"


def test_a_part_of_a_version_is_read(account: Account) -> None:
    """Amazon S3 API reference, "GetObject", Range."""
    # Given two versions
    s3, bucket = account.client("s3"), account.bucket()
    first = s3.put_object(Bucket=bucket, Key="key", Body=b"0123456789")["VersionId"]
    s3.put_object(Bucket=bucket, Key="key", Body=b"other")
    # When parts of the first are read
    version = {"Bucket": bucket, "Key": "key", "VersionId": first}
    got = s3.get_object(**version, Range="bytes=3-5")
    end = s3.get_object(**version, Range="bytes=8-99")
    # Then nothing else of it comes
    assert (got["Body"].read(), end["Body"].read()) == (b"345", b"89")
    assert (got["ContentLength"], got["ContentRange"]) == (3, "bytes 3-5/10")
    with pytest.raises(ClientError) as beyond:
        s3.get_object(**version, Range="bytes=10-11")
    assert code_of(beyond) == "InvalidRange"


def test_parts_become_one_object_only_when_completed(account: Account) -> None:
    """Amazon S3 user guide, "Uploading and copying objects using multipart upload"."""
    # Given
    s3, bucket = account.client("s3"), account.bucket()
    target = {"Bucket": bucket, "Key": "large"}
    upload = s3.create_multipart_upload(**target, Metadata={"run": "1"})["UploadId"]
    bodies = [b"a" * 5 * MIB, b"b"]

    # When
    parts = [
        {
            "PartNumber": number,
            "ETag": s3.upload_part(**target, UploadId=upload, PartNumber=number, Body=body)["ETag"],
        }
        for number, body in enumerate(bodies, 1)
    ]
    before = s3.list_objects_v2(Bucket=bucket)["KeyCount"]
    s3.complete_multipart_upload(**target, UploadId=upload, MultipartUpload={"Parts": parts})

    # Then
    assert before == 0
    end = s3.get_object(**target, Range=f"bytes={5 * MIB - 2}-")
    assert end["Body"].read() == b"aab"
    assert end["ContentRange"] == f"bytes {5 * MIB - 2}-{5 * MIB}/{5 * MIB + 1}"
    assert s3.head_object(**target)["Metadata"] == {"run": "1"}
    with pytest.raises(ClientError) as beyond:
        s3.get_object(**target, Range=f"bytes={6 * MIB}-")
    assert code_of(beyond) == "InvalidRange"


def test_an_aborted_upload_leaves_nothing(account: Account) -> None:
    """Amazon S3 API reference, "AbortMultipartUpload"."""
    # Given
    s3, bucket = account.client("s3"), account.bucket()
    upload = s3.create_multipart_upload(Bucket=bucket, Key="key")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="key", UploadId=upload, PartNumber=1, Body=b"x")

    # When
    s3.abort_multipart_upload(Bucket=bucket, Key="key", UploadId=upload)

    # Then
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_conditional_writes(account: Account) -> None:
    """Amazon S3 user guide, "How to prevent object overwrites with conditional writes"."""
    # Given
    s3, bucket = account.client("s3"), account.bucket()

    # When
    made = s3.put_object(Bucket=bucket, Key="key", Body=b"1", IfNoneMatch="*")

    # Then
    with pytest.raises(ClientError) as exists:
        s3.put_object(Bucket=bucket, Key="key", Body=b"2", IfNoneMatch="*")
    s3.put_object(Bucket=bucket, Key="key", Body=b"3", IfMatch=made["ETag"])
    with pytest.raises(ClientError) as changed:
        s3.put_object(Bucket=bucket, Key="key", Body=b"4", IfMatch=made["ETag"])
    upload = s3.create_multipart_upload(Bucket=bucket, Key="key")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="key", UploadId=upload, PartNumber=1, Body=b"x")
    with pytest.raises(ClientError) as completed:
        s3.complete_multipart_upload(
            Bucket=bucket,
            Key="key",
            UploadId=upload,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
            IfNoneMatch="*",
        )
    assert code_of(exists) == code_of(changed) == code_of(completed) == "PreconditionFailed"
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"3"


def test_a_copy_keeps_or_replaces_metadata_and_takes_one_version(account: Account) -> None:
    """Amazon S3 API reference, "CopyObject"."""
    # Given
    s3, bucket = account.client("s3"), account.bucket()
    key = "claims/mü ß+%.csv"
    old = s3.put_object(Bucket=bucket, Key=key, Body=b"old", Metadata={"a": "1"})["VersionId"]
    s3.put_object(Bucket=bucket, Key=key, Body=b"new")
    source = {"Bucket": bucket, "Key": key, "VersionId": old}

    # When
    s3.copy_object(Bucket=bucket, Key="kept", CopySource=source)
    s3.copy_object(
        Bucket=bucket,
        Key="replaced",
        CopySource=source,
        Metadata={"b": "2"},
        MetadataDirective="REPLACE",
    )

    # Then
    kept, replaced = (s3.get_object(Bucket=bucket, Key=name) for name in ("kept", "replaced"))
    assert (kept["Body"].read(), kept["Metadata"]) == (b"old", {"a": "1"})
    assert (replaced["Body"].read(), replaced["Metadata"]) == (b"old", {"b": "2"})


def test_a_secret_without_a_value_is_not_found(account: Account) -> None:
    """AWS Secrets Manager API reference, "GetSecretValue"."""
    # Given
    secrets = account.client("secretsmanager")
    secret = secrets.create_secret(Name=uuid.uuid4().hex)["ARN"]

    # When
    with pytest.raises(secrets.exceptions.ResourceNotFoundException):
        secrets.get_secret_value(SecretId=secret)
    secrets.put_secret_value(SecretId=secret, SecretString="first")

    # Then
    assert secrets.get_secret_value(SecretId=secret)["SecretString"] == "first"


def test_a_stacks_secret_is_known_by_its_arn_and_has_no_value(account: Account) -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-secretsmanager-secret.html"""
    # Given a stack with a secret of which the template says no value
    formation, secrets = account.client("cloudformation"), account.client("secretsmanager")
    name = f"stack-{uuid.uuid4().hex[:8]}"
    secret = {"Type": "AWS::SecretsManager::Secret", "Properties": {"Description": "first"}}
    with created(account, {"Secret": secret}, name) as stack:
        arn = stack["Secret"]

        # When it is updated
        changed = {**secret, "Properties": {"Description": "second"}}
        template = json.dumps({"Resources": {"Secret": changed}})
        formation.update_stack(StackName=name, TemplateBody=template)
        assert ended(account, name)["StackStatus"] == "UPDATE_COMPLETE"

        # Then it is the same, still without a value
        described = secrets.describe_secret(SecretId=arn)
        assert (described["ARN"], described["Description"]) == (arn, "second")
        with pytest.raises(secrets.exceptions.ResourceNotFoundException):
            secrets.get_secret_value(SecretId=arn)


def test_a_generated_secret_has_nothing_that_its_template_excludes(account: Account) -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-secretsmanager-secret-generatesecretstring.html"""
    # Given a key that a template lets be made, of letters and digits but for one
    generate = {
        "SecretStringTemplate": "{}",
        "GenerateStringKey": "key",
        "PasswordLength": 4000,
        "ExcludePunctuation": True,
        "ExcludeCharacters": "7",
    }
    secret = {
        "Type": "AWS::SecretsManager::Secret",
        "Properties": {"GenerateSecretString": generate},
    }
    with created(account, {"Secret": secret}) as stack:
        value = account.client("secretsmanager").get_secret_value(SecretId=stack["Secret"])
    # Then it has no other character
    key = json.loads(value["SecretString"])["key"]
    assert set(key) == set(string.ascii_letters + string.digits) - {"7"}


@pytest.fixture
def table(account: Account) -> str:
    """A table whose items have an `id`."""
    name = f"table-{uuid.uuid4().hex[:12]}"
    account.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


def test_a_transaction_writes_all_or_nothing(account: Account, table: str) -> None:
    """Amazon DynamoDB API reference, "TransactWriteItems"."""
    # Given
    dynamodb = account.client("dynamodb")
    dynamodb.put_item(TableName=table, Item={"id": {"S": "ticket"}, "token": {"S": "mine"}})

    def pass_on(token: str) -> None:
        delete: dict[str, Any] = {
            "TableName": table,
            "Key": {"id": {"S": "ticket"}},
            "ConditionExpression": "#t = :token",
            "ExpressionAttributeNames": {"#t": "token"},
            "ExpressionAttributeValues": {":token": {"S": token}},
        }
        put = {
            "TableName": table,
            "Item": {"id": {"S": "holder"}},
            "ConditionExpression": "attribute_not_exists(id)",
        }
        dynamodb.transact_write_items(TransactItems=[{"Delete": delete}, {"Put": put}])

    def items() -> set[str]:
        found = dynamodb.scan(TableName=table, ConsistentRead=True)["Items"]
        return {item["id"]["S"] for item in found}

    # When
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException) as cancelled:
        pass_on("another's")
    untouched = items()
    pass_on("mine")

    # Then
    reasons = [reason["Code"] for reason in cancelled.value.response["CancellationReasons"]]
    assert reasons == ["ConditionalCheckFailed", "None"]
    assert untouched == {"ticket"}
    assert items() == {"holder"}


def test_a_conditional_write_says_why_it_failed(account: Account, table: str) -> None:
    """Amazon DynamoDB API reference, "PutItem", ReturnValuesOnConditionCheckFailure."""
    # Given
    dynamodb = account.client("dynamodb")
    dynamodb.put_item(TableName=table, Item={"id": {"S": "1"}, "holder": {"S": "someone"}})

    # When
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException) as failed:
        dynamodb.put_item(
            TableName=table,
            Item={"id": {"S": "1"}},
            ConditionExpression="attribute_not_exists(id)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )

    # Then
    assert failed.value.response["Item"]["holder"] == {"S": "someone"}


def test_a_table_has_a_time_to_live(account: Account, table: str) -> None:
    """Amazon DynamoDB developer guide, "Using time to live (TTL) in DynamoDB"."""
    # When
    dynamodb = account.client("dynamodb")
    dynamodb.update_time_to_live(
        TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"}
    )

    # Then
    found = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert found == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}


def test_a_stacks_bucket_is_encrypted_as_its_template_says(account: Account) -> None:
    """AWS CloudFormation template reference, "AWS::S3::Bucket BucketEncryption".

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-s3-bucket-bucketencryption.html
    """
    # Given a bucket with a key, and one of which nothing is said
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/ours"}
    rule = {"ServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}
    encryption = {"ServerSideEncryptionConfiguration": [rule]}
    kind = "AWS::S3::Bucket"
    resources = {
        "Ours": {"Type": kind, "Properties": {"BucketEncryption": encryption}},
        "Plain": {"Type": kind},
    }
    # When
    with created(account, resources) as stack:
        asked = [
            account.client("s3").get_bucket_encryption(Bucket=stack[name]) for name in resources
        ]
    # Then
    ours, plain = (each["ServerSideEncryptionConfiguration"]["Rules"] for each in asked)
    assert ours == [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]
    assert plain[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
