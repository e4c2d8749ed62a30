"""CloudWatch Logs: saved queries of a stack, and pages of events."""

import time
from itertools import islice
from typing import Any

import pytest

from emulator.tests.account import Account
from emulator.tests.stacks import created


def test_a_stacks_queries_come_and_go_with_it(account: Account) -> None:
    """AWS CloudFormation template reference, "AWS::Logs::QueryDefinition"."""
    logs = account.client("logs")

    def listed(prefix: str = "mine/") -> list[dict[str, object]]:
        found = logs.describe_query_definitions(queryDefinitionNamePrefix=prefix)
        return list(found["queryDefinitions"])

    # Given a stack with a query
    query = "fields @timestamp | limit 5"
    properties = {"Name": "mine/one", "QueryString": query, "LogGroupNames": ["/aws/lambda/a"]}
    resource = {"Type": "AWS::Logs::QueryDefinition", "Properties": properties}
    with created(account, {"One": resource}) as stack:
        # Then it is listed by its name, and Ref is its id
        assert listed() == [
            {
                "queryDefinitionId": stack["One"],
                "name": "mine/one",
                "queryString": query,
                "logGroupNames": ["/aws/lambda/a"],
            }
        ]
        assert listed("theirs/") == []
    # And it goes with the stack
    assert listed() == []


def test_an_event_has_an_id_of_its_own_which_stays(account: Account) -> None:
    """Amazon CloudWatch Logs API reference, "FilteredLogEvent".

    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilteredLogEvent.html
    """
    # Given two events that say the same at one instant, and one before
    logs, now = account.client("logs"), int(time.time() * 1000)
    logs.create_log_group(logGroupName="/ids")
    logs.create_log_stream(logGroupName="/ids", logStreamName="a")
    events = [{"timestamp": at, "message": "same"} for at in (now - 9, now, now)]
    logs.put_log_events(logGroupName="/ids", logStreamName="a", logEvents=events)
    # When they are read from the beginning, and from later on
    every, later = (
        [each["eventId"] for each in logs.filter_log_events(logGroupName="/ids", **since)["events"]]
        for since in ({}, {"startTime": now})
    )
    # Then each has one id
    assert len(set(every)) == 3
    assert later == every[1:]


@pytest.mark.parametrize("limit", [1, 3, 10_000])
def test_events_come_by_pages(account: Account, limit: int) -> None:
    """Amazon CloudWatch Logs API reference, "FilterLogEvents": at most 10,000, then a token.

    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
    """
    # Given more events than one page has, many of one instant, in two streams
    logs, now = account.client("logs"), int(time.time() * 1000)
    group = f"/pages/{limit}"
    logs.create_log_group(logGroupName=group)
    count = 12_500 if limit == 10_000 else 10
    for stream in ("a", "b"):
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        events = [
            {"timestamp": now - count + each // 4 * 4, "message": f"{stream}{each}"}
            for each in range(count)
        ]
        for first in range(0, count, 5000):
            logs.put_log_events(
                logGroupName=group, logStreamName=stream, logEvents=events[first : first + 5000]
            )
    # When all pages are read, and no more than there may be
    most = 2 * count // limit + 2

    def pages_of(asked: dict[str, Any]) -> list[Any]:
        return list(islice(logs.get_paginator("filter_log_events").paginate(**asked), most))

    asked: dict[str, Any] = {"logGroupName": group, "limit": limit}
    pages = pages_of(asked)
    # Then each event comes once, in order, and no page is longer than asked
    found = [event for page in pages for event in page["events"]]
    assert max(len(page["events"]) for page in pages) == limit
    assert len({each["message"] for each in found}) == len(found) == 2 * count
    times = [each["timestamp"] for each in found]
    assert times == sorted(times)
    # And a filter and a beginning hold on each page
    asked = {**asked, "filterPattern": "a1", "startTime": now - count + 1}
    pages = pages_of(asked)
    some = [event["message"] for page in pages for event in page["events"]]
    expected = [f"a{each}" for each in range(count) if f"a{each}".startswith("a1") and each > 3]
    assert some == expected
