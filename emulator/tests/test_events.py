"""From an object in S3 over EventBridge and SQS to a function."""

import functools
import json
import time
import uuid
from pathlib import Path

import pytest

from emulator.tests.account import Account, eventually

NAMES = ["a b.csv", "a+b.csv", "a%b.csv", "a%20b.csv", "müßig é.csv", "🙂.csv", "n" * 893]

REPORTING = """
import json

def handler(event, context):
    keys = {record["messageId"]: json.loads(record["body"])["key"] for record in event["Records"]}
    with open(LOG, "a") as log:
        log.write(json.dumps(sorted(keys.values())) + "\\n")
    return {"batchItemFailures": [{"itemIdentifier": message} for message, key in keys.items()
                                  if key.startswith("bad")]}
"""


@pytest.fixture
def inbox(account: Account) -> tuple[str, str]:
    """A versioned bucket, and the URL of a queue that gets the events of new objects in it."""
    bucket = account.bucket()
    url, arn = account.queue()
    pattern = {"detail-type": ["Object Created"], "detail": {"bucket": {"name": [bucket]}}}
    account.rule({"source": ["aws.s3"], **pattern}, arn)
    return bucket, url


def test_keys_are_in_events_as_they_are_in_s3(account: Account, inbox: tuple[str, str]) -> None:
    """Amazon S3 user guide, "EventBridge event message structure": keys are not URL-encoded."""
    # Given
    bucket, queue = inbox
    keys = {f"claims/{name}" for name in NAMES}

    # When
    for key in keys:
        account.client("s3").put_object(Bucket=bucket, Key=key, Body=b"x")

    # Then
    events = account.received(queue, len(keys))
    assert {event["detail"]["object"]["key"] for event in events} == keys


def test_an_event_says_what_amazon_s3_says(account: Account, inbox: tuple[str, str]) -> None:
    """Amazon S3 user guide, "EventBridge event message structure"."""
    # Given
    bucket, queue = inbox

    # When
    made = account.client("s3").put_object(Bucket=bucket, Key="may.csv", Body=b"twelve bytes")

    # Then
    (event,) = account.received(queue, 1)
    assert event["source"] == "aws.s3"
    assert event["detail-type"] == "Object Created"
    assert event["region"] == "eu-west-1"
    assert event["resources"] == [f"arn:aws:s3:::{bucket}"]
    assert event["time"].endswith("Z")
    detail = event["detail"]
    assert detail["version"] == "0"
    assert detail["bucket"] == {"name": bucket}
    assert detail["reason"] == "PutObject"
    assert detail["object"].pop("sequencer")
    assert detail["object"] == {
        "key": "may.csv",
        "size": 12,
        "etag": made["ETag"].strip('"'),
        "version-id": made["VersionId"],
    }


def test_the_sequencer_rises_within_a_key(account: Account, inbox: tuple[str, str]) -> None:
    """Amazon S3 user guide, "Event ordering and duplicate events"."""
    # Given
    bucket, queue = inbox

    # When
    put = account.client("s3").put_object
    versions = [put(Bucket=bucket, Key="key", Body=b"x")["VersionId"] for _ in range(5)]

    # Then
    objects = [event["detail"]["object"] for event in account.received(queue, 5)]
    in_order = sorted(objects, key=lambda one: str(one["sequencer"]))
    assert [one["version-id"] for one in in_order] == versions
    assert len({one["sequencer"] for one in objects}) == 5


def test_copies_and_multipart_uploads_give_their_reason(
    account: Account, inbox: tuple[str, str]
) -> None:
    """Amazon S3 user guide, "EventBridge event message structure", `reason`."""
    # Given
    bucket, queue = inbox
    s3 = account.client("s3")

    # When
    s3.put_object(Bucket=bucket, Key="put", Body=b"x")
    s3.copy_object(Bucket=bucket, Key="copied", CopySource={"Bucket": bucket, "Key": "put"})
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"part")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    whole = s3.complete_multipart_upload(
        Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload=parts
    )

    # Then
    details = [event["detail"] for event in account.received(queue, 3)]
    assert {detail["object"]["key"]: detail["reason"] for detail in details} == {
        "put": "PutObject",
        "copied": "CopyObject",
        "parts": "CompleteMultipartUpload",
    }
    by_key = {detail["object"]["key"]: detail["object"] for detail in details}
    assert by_key["parts"]["etag"] == whole["ETag"].strip('"')
    assert by_key["parts"]["version-id"] == whole["VersionId"]
    assert by_key["parts"]["size"] == 4


def test_an_unversioned_bucket_has_no_version_ids(account: Account) -> None:
    """Amazon S3 user guide, "EventBridge event message structure": if versioned."""
    # Given
    bucket = account.bucket(versioned=False)
    queue, arn = account.queue()
    account.rule({"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}}, arn)

    # When
    account.client("s3").put_object(Bucket=bucket, Key="key", Body=b"x")

    # Then
    (event,) = account.received(queue, 1)
    assert "version-id" not in event["detail"]["object"]


def test_an_object_reaches_the_function_in_less_than_a_second(account: Account) -> None:
    """AWS Lambda developer guide, "Using Lambda with Amazon SQS": no batching window, no wait."""
    # Given
    bucket, (_, arn) = account.bucket(), account.queue()
    account.rule({"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}}, arn)
    code = """
import json, time

def handler(event, context):
    for record in event["Records"]:
        print(json.loads(record["body"])["detail"]["object"]["key"], time.time())
"""
    function = account.function(code)
    account.client("lambda").create_event_source_mapping(
        EventSourceArn=arn, FunctionName=function, MaximumBatchingWindowInSeconds=0
    )
    group = f"/aws/lambda/{function.split(':')[-1]}"

    def arrival(key: str) -> float | None:
        found = account.client("logs").filter_log_events(logGroupName=group, filterPattern=key)
        return next((float(event["message"].split()[1]) for event in found["events"]), None)

    account.client("logs").create_log_group(logGroupName=group)
    taken = []
    for key in ("cold", "warm", "again"):
        # When
        put_at = time.time()
        account.client("s3").put_object(Bucket=bucket, Key=key, Body=b"x")

        # Then
        taken.append(eventually(functools.partial(arrival, key)) - put_at)
    assert min(taken) < 1, taken  # a process takes its time to start, and a machine to be free


def test_failed_items_of_a_batch_come_again_and_end_in_the_dead_letter_queue(
    account: Account, tmp_path: Path
) -> None:
    """AWS Lambda developer guide, "Handling errors for an SQS event source in Lambda"."""
    # Given
    log = tmp_path / "log"
    log.touch()
    letters, letters_arn = account.queue()
    redrive = json.dumps({"deadLetterTargetArn": letters_arn, "maxReceiveCount": 2})
    url, arn = account.queue(VisibilityTimeout="1", RedrivePolicy=redrive)
    keys = ["bad", "good 1", "good 2"]
    account.client("sqs").send_message_batch(
        QueueUrl=url,
        Entries=[{"Id": str(i), "MessageBody": json.dumps({"key": k})} for i, k in enumerate(keys)],
    )

    # When
    account.client("lambda").create_event_source_mapping(
        EventSourceArn=arn,
        FunctionName=account.function(f"LOG = {str(log)!r}\n{REPORTING}", Timeout=1),
        BatchSize=10,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )

    # Then
    assert account.received(letters, 1) == [{"key": "bad"}]
    assert [json.loads(line) for line in log.read_text().splitlines()] == [keys, ["bad"]]
    waiting = account.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    assert waiting["Attributes"]["ApproximateNumberOfMessages"] == "0"
    assert waiting["Attributes"]["ApproximateNumberOfMessagesNotVisible"] == "0"


def test_a_batch_whose_function_fails_comes_again_after_the_visibility_timeout(
    account: Account, tmp_path: Path
) -> None:
    """AWS Lambda developer guide, "Handling errors for an SQS event source in Lambda"."""
    # Given
    log = tmp_path / "log"
    log.touch()
    code = f"""
import time

def handler(event, context):
    with open({str(log)!r}, "a") as log:
        log.write(event["Records"][0]["attributes"]["ApproximateReceiveCount"]
                  + " " + str(time.time()) + "\\n")
    if event["Records"][0]["attributes"]["ApproximateReceiveCount"] == "1":
        raise ValueError("first time")
"""
    url, arn = account.queue(VisibilityTimeout="1")
    account.client("lambda").create_event_source_mapping(
        EventSourceArn=arn, FunctionName=account.function(code, Timeout=1)
    )

    # When
    account.client("sqs").send_message(QueueUrl=url, MessageBody="{}")

    # Then
    eventually(lambda: len(log.read_text().splitlines()) == 2)
    (first, first_at), (second, second_at) = (line.split() for line in log.read_text().splitlines())
    assert (first, second) == ("1", "2")
    assert 0.8 < float(second_at) - float(first_at) < 4


def test_a_rule_takes_a_rate_in_whole_minutes(account: Account) -> None:
    """Amazon EventBridge user guide, "Creating a rule that runs on a schedule"."""
    # Given
    name = f"rule-{uuid.uuid4().hex[:12]}"
    _, arn = account.queue()

    # When
    events = account.client("events")
    events.put_rule(Name=name, ScheduleExpression="rate(1 minute)")
    failed = events.put_targets(Rule=name, Targets=[{"Id": "target", "Arn": arn}])

    # Then
    assert failed["FailedEntryCount"] == 0
    assert events.describe_rule(Name=name)["ScheduleExpression"] == "rate(1 minute)"
    with pytest.raises(events.exceptions.ClientError, match="ValidationException"):
        events.put_rule(Name=name, ScheduleExpression="rate(1 minutes and a bit)")
