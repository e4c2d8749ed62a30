"""Our AWS answers as moto's does: each call that a function or its world makes."""

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from tests.machine.aws import serve_boto3

IN, OUT, PATH = "inbox", "outbox", "/routes"
NAMES = [f"{PATH}/{number:02}" for number in range(23)]
# What differs in each account, or is told by moto alone.
OWN = {"ETag", "LastModified", "MessageId", "UploadId", "VersionId"}
KNOWN = {
    *("AWS", "Body", "ContentLength", "ContentType", "Contents", "CopyPartResult", "Key"),
    *(
        "InvalidParameters",
        "FailedEntryCount",
        "KeyCount",
        "Metadata",
        "Name",
        "NextToken",
        "Parameter",
        "Parameters",
    ),
    *("InvalidParameters", "IsTruncated", "SecretString", "Size", "TagSet", "Value", "Code"),
    *("HTTPStatusCode", "DeletedParameters", *OWN),
}


class Account:
    """One account, and all that it has answered."""

    def __init__(self) -> None:
        """Ask nothing yet."""
        make: Callable[..., Any] = boto3.Session("a", "b", region_name="eu-west-1").client
        self.s3, self.ssm, self.sns = make("s3"), make("ssm"), make("sns")
        self.secrets, self.events = make("secretsmanager"), make("events")
        self.answers: list[Any] = []
        for bucket in (IN, OUT):
            self.s3.create_bucket(
                Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
            )
            self.s3.put_bucket_versioning(
                Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
            )

    def ask(self, call: Callable[..., Any], **given: Any) -> Any:
        """Make a call, and keep what is answered."""
        try:
            answer = call(**given)
        except ClientError as error:
            kind = type(error).__name__
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            self.answers.append(
                (kind, error.operation_name, error.response["Error"]["Code"], status)
            )
            return None
        if "Body" in answer:
            answer["Body"] = answer["Body"].read()
        self.answers.append(known(answer))
        return answer


def known(answer: Any) -> Any:
    """What both tell of an answer: where a value is the account's own, that there is one."""
    if isinstance(answer, list):
        return [known(each) for each in answer]
    if not isinstance(answer, dict):
        return answer
    return {
        name: (type(value).__name__ if name in OWN else known(value))
        for name, value in answer.items()
        if name in KNOWN
    }


# --- the calls ------------------------------------------------------------------------------------
def objects(account: Account) -> None:
    """Objects are written, overwritten, described, opened, listed and deleted."""
    s3, ask = account.s3, account.ask
    for key in ("a/x", "a/y", "b/x"):
        ask(s3.put_object, Bucket=IN, Key=key, Body=key.encode(), Metadata={"order": key})
    first = ask(s3.put_object, Bucket=IN, Key="a/x", Body=b"0123456789", ContentType="text/csv")
    tag, there = first["ETag"], {"Bucket": IN, "Key": "a/x"}
    account.answers.append(tag)
    old = {**there, "VersionId": first["VersionId"]}
    ask(s3.put_object, **there, Body=b"newer", Tagging="retention=outbox&by=us")
    for where in (there, old):
        ask(s3.head_object, **where)
        ask(s3.get_object, **where)
        ask(s3.get_object, **where, Range="bytes=2-3")
        ask(s3.get_object, **where, Range="bytes=2-300")
        ask(s3.get_object, **where, IfMatch=tag)
        ask(s3.get_object, **where, IfMatch=tag.strip('"'))
        ask(s3.get_object_tagging, **where)
    ask(s3.put_object_tagging, **old, Tagging={"TagSet": [{"Key": "b", "Value": "c"}]})
    ask(s3.get_object_tagging, **old)
    ask(s3.get_object, **there, Range="bytes=100-200")
    for prefix in ("a/", "c/", ""):
        ask(s3.list_objects_v2, Bucket=IN, Prefix=prefix)
    ask(s3.delete_object, **there)
    ask(s3.list_objects_v2, Bucket=IN, Prefix="a/")
    ask(s3.get_object, **old)
    for gone in (there, {"Bucket": IN, "Key": "none"}):
        ask(s3.head_object, **gone)
        ask(s3.get_object, **gone)
    ask(s3.get_object, Bucket="no-bucket", Key="x")
    ask(s3.put_object, Bucket="no-bucket", Key="x", Body=b"x")


def conditions(account: Account) -> None:
    """Objects are written where there is none, or where there is the one that was seen."""
    s3, ask, there = account.s3, account.ask, {"Bucket": OUT, "Key": "row"}
    ask(s3.put_object, **there, Body=b"1", IfMatch='"none"')
    for body in (b"2", b"3"):
        ask(s3.put_object, **there, Body=body, IfNoneMatch="*")
    tag = ask(s3.head_object, **there)["ETag"]
    for body in (b"4", b"5"):
        ask(s3.put_object, **there, Body=body, IfMatch=tag)
    ask(s3.get_object, **there)
    ask(s3.delete_object, **there)
    ask(s3.put_object, **there, Body=b"6", IfNoneMatch="*")


def parts(account: Account) -> None:
    """Objects are made of parts, on a condition, or given up."""
    s3, ask, there = account.s3, account.ask, {"Bucket": OUT, "Key": "large"}
    source = ask(s3.put_object, Bucket=IN, Key="source", Body=b"0123456789")
    copied = {"CopySource": {"Bucket": IN, "Key": "source"}, "CopySourceRange": "bytes=2-5"}
    for condition in ({}, {"IfNoneMatch": "*"}, {}):
        begun = ask(
            s3.create_multipart_upload,
            **there,
            ContentType="text/csv",
            Metadata={"order": "1"},
            Tagging="by=us",
        )
        upload = {**there, "UploadId": begun["UploadId"]}
        made = [
            ask(s3.upload_part, **upload, PartNumber=1, Body=b"one "),
            ask(
                s3.upload_part_copy,
                **upload,
                **copied,
                PartNumber=2,
                CopySourceIfMatch=source["ETag"],
            )["CopyPartResult"],
        ]
        account.answers.append([part["ETag"] for part in made])
        all_of_it = [{"PartNumber": n, "ETag": part["ETag"]} for n, part in enumerate(made, 1)]
        wrong = [all_of_it[0], {"PartNumber": 2, "ETag": '"none"'}]
        for those in (wrong, all_of_it):
            ask(
                s3.complete_multipart_upload,
                **upload,
                **condition,
                MultipartUpload={"Parts": those},
            )
        ask(s3.abort_multipart_upload, **upload)
        ask(s3.abort_multipart_upload, **upload)
        found = ask(s3.get_object, **there)
        account.answers.append(found["ETag"])
        ask(s3.get_object_tagging, **there)


def parameters(account: Account) -> None:
    """Parameters are written, overwritten, read page by page, and deleted."""
    ssm, ask = account.ssm, account.ask
    for name in NAMES:
        ask(ssm.put_parameter, Name=name, Value=name, Type="String")
    ask(ssm.put_parameter, Name=NAMES[0], Value="another", Type="String")
    ask(ssm.put_parameter, Name=NAMES[0], Value="newer", Type="String", Overwrite=True)
    ask(ssm.put_parameter, Name=NAMES[1], Value="newer", Overwrite=True)
    ask(ssm.put_parameter, Name=f"{PATH}-more", Value="no route", Type="String")
    for name in (NAMES[0], "none"):
        ask(ssm.get_parameter, Name=name)
    answer = ask(ssm.get_parameters, Names=[NAMES[1], "none", NAMES[0]])
    account.answers[-1] = sorted(each["Value"] for each in answer["Parameters"])
    for most in ({}, {"MaxResults": 7}):
        pages = list(
            ssm.get_paginator("get_parameters_by_path").paginate(Path=PATH, Recursive=True, **most)
        )
        account.answers += [
            [len(page["Parameters"]) for page in pages],
            {each["Name"]: each["Value"] for page in pages for each in page["Parameters"]},
        ]
    ask(ssm.delete_parameters, Names=[NAMES[2], NAMES[3]])
    ask(ssm.get_parameter, Name=NAMES[2])


def others(account: Account) -> None:
    """People and systems are told, and a secret is read."""
    ask, told = account.ask, {"Subject": "s", "Message": "m"}
    topic = ask(account.sns.create_topic, Name="topic")["TopicArn"]
    account.answers.append(topic)
    attributes = {"status": {"DataType": "String", "StringValue": "Failed"}}
    forms = {"default": "text", "https": "{}"}
    ask(account.sns.publish, TopicArn=topic, **told, MessageAttributes=attributes)
    ask(account.sns.publish, TopicArn=topic, **(told | {"Subject": "s" * 101}))
    given = told | {"Message": json.dumps(forms), "MessageStructure": "json"}
    ask(account.sns.publish, TopicArn=topic, **given)
    ask(account.sns.publish, TopicArn=f"{topic}-none", **told)
    entry = {"Source": "us", "DetailType": "run", "Detail": "{}", "Resources": ["arn:aws:x"]}
    ask(account.events.put_events, Entries=[entry])
    secret = ask(account.secrets.create_secret, Name="credentials", SecretString="{}")["ARN"]
    ask(account.secrets.get_secret_value, SecretId=secret)


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """No address of another AWS is in the environment."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)


@pytest.mark.parametrize("calls", [objects, conditions, parts, parameters, others])
def test_each_call_is_answered_as_by_moto(
    calls: Callable[[Account], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given what moto answers, which takes parts of any size here
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)
    with mock_aws():
        motos = Account()
        calls(motos)
    # When ours is asked the same
    serve_boto3(monkeypatch)
    ours = Account()
    calls(ours)
    # Then it says the same
    for number, (one, other) in enumerate(zip(ours.answers, motos.answers, strict=True)):
        assert one == other, number


def test_what_moto_does_not_know_is_refused_as_aws_documents_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serve_boto3(monkeypatch)
    account = Account()
    s3, ask, there = account.s3, account.ask, {"Bucket": OUT, "Key": "large"}
    # Given an object, and one of two parts that is begun
    tag = ask(s3.put_object, **there, Body=b"0123456789")["ETag"]
    upload = {**there, "UploadId": ask(s3.create_multipart_upload, **there)["UploadId"]}
    made = [ask(s3.upload_part, **upload, PartNumber=n, Body=b"x")["ETag"] for n in (1, 2)]
    parts = [{"PartNumber": n, "ETag": each} for n, each in enumerate(made, 1)]
    copied = {**upload, "PartNumber": 3, "CopySourceRange": "bytes=0-1"}
    gone = {"Bucket": OUT, "Key": "none"}
    del account.answers[:]
    # When the source of a part is another by now, or gone, or the object is, or parts are out of
    # order; when a message has no text for all, and a secret is unknown
    ask(s3.upload_part_copy, **copied, CopySource=there, CopySourceIfMatch='"none"')
    ask(s3.upload_part_copy, **copied, CopySource=gone, CopySourceIfMatch=tag)
    complete = s3.complete_multipart_upload
    ask(complete, **upload, MultipartUpload={"Parts": parts}, IfMatch='"none"')
    ask(complete, **upload, MultipartUpload={"Parts": parts[::-1]}, IfMatch=tag)
    topic = account.sns.create_topic(Name="topic")["TopicArn"]
    ask(account.sns.publish, TopicArn=topic, Subject="s", Message="{}", MessageStructure="json")
    ask(account.secrets.get_secret_value, SecretId="none")
    # Then each is refused
    assert [(code, status) for _, _, code, status in account.answers] == [
        ("PreconditionFailed", 412),
        ("NoSuchKey", 404),
        ("PreconditionFailed", 412),
        ("InvalidPartOrder", 400),
        ("InvalidParameter", 400),
        ("ResourceNotFoundException", 400),
    ]
    # And the object is made where it is still the one that was seen
    ask(complete, **upload, MultipartUpload={"Parts": parts}, IfMatch=tag)
    assert s3.get_object(**there)["Body"].read() == b"xx"


@pytest.mark.parametrize("given", [{"StorageClass": "STANDARD"}, {"IfNoneMatch": "tag"}])
def test_what_is_not_played_is_an_error(
    given: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_boto3(monkeypatch)
    account = Account()
    with pytest.raises((AssertionError, TypeError)):
        account.s3.put_object(Bucket=IN, Key="x", Body=b"", **given)
    with pytest.raises(AttributeError):
        account.s3.get_bucket_policy(Bucket=IN)
