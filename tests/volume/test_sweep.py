"""The sweep of a large stack: in AWS's quotas, in time and in memory. All time is virtual."""

import tracemalloc
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from straight_through.moments import iso
from straight_through.queue.notices import Notices
from straight_through.queue.reconcile import Reconciler, SweepIncomplete
from straight_through.queue.table import Table
from straight_through.time_left import unhurried
from tests.unit.fake_states import FakeStates

START = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)
DEADLINE = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
PAGE = 1000  # tickets: with their tokens and their ARNs 1 MB, which is DynamoDB's page
MIB = 1024 * 1024
# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html: of DescribeExecution, in
# eu-west-1 and the other large regions; elsewhere 250 and 10.
BUCKET, REFILL = 300, 15
# Seconds that a call takes within a region, generously.
A_PAGE, A_LOOK, AN_END = 0.015, 0.03, 0.03
TRIES = 3  # of a call that is throttled


class Account(FakeStates):
    """An account with many queues, whose calls take time and whose quota ends."""

    def __init__(self, exceptions: Any, holders: int, waiting: int, idle: int = 0) -> None:
        """Have queues that are held, each with so many tickets, and others where nobody waits."""
        super().__init__(exceptions)
        self.now = START
        self.queues = [f"q-{number:05}" for number in range(holders)]
        self.idle = [f"r-{number:05}" for number in range(idle)]
        self.tickets = {queue: list(range(waiting)) for queue in self.queues}
        self.asked_at = iso(START)
        self.left, self.filled = float(BUCKET), START
        self.described: list[str] = []
        self.throttled = 0
        self.silent = False
        self.notices: dict[str, bool] = {}  # execution ARN: whether it was told
        self.requests: Counter[str] = Counter()

    # --- Step Functions -------------------------------------------------------------------------
    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        """Answer while the bucket has something in it; else as botocore does after its tries."""
        for _ in range(TRIES):
            self.take(A_LOOK, "DescribeExecution")
            passed = (self.now - self.filled).total_seconds()
            self.left, self.filled = min(BUCKET, self.left + passed * REFILL), self.now
            if self.left >= 1 and not self.silent:
                self.left -= 1
                self.described.append(executionArn)
                return super().describe_execution(executionArn=executionArn)
            self.throttled += 1
        raise ClientError({"Error": {"Code": "ThrottlingException"}}, "DescribeExecution")

    def send_task_failure(self, *, taskToken: str, error: str, cause: str) -> None:  # noqa: N803
        """Fail whoever waits."""
        self.take(AN_END, "SendTaskFailure")
        self.answers[taskToken] = {"error": error, "cause": cause}

    # --- DynamoDB -------------------------------------------------------------------------------
    def query(self, **asked: Any) -> dict[str, Any]:
        """Give a page of queues or of tickets, each made for this request."""
        self.take(A_PAGE, "Query")
        pk = asked["ExpressionAttributeValues"][":pk"]["S"]
        if pk == "queues":
            held = [self.queue_item(queue) for queue in self.queues]
            return {"Items": held + [{"sk": {"S": queue}} for queue in self.idle]}
        if pk == "notices":
            return {"Items": [self.notice(arn) for arn in self.notices]}
        queue = pk.removeprefix("tickets#")
        waiting = self.tickets.get(queue, [])
        at = int(asked.get("ExclusiveStartKey", {"sk": {"N": "0"}})["sk"]["N"])
        size = asked.get("Limit", PAGE)
        page: dict[str, Any] = {
            "Items": [self.ticket(queue, each) for each in waiting[at : at + size]]
        }
        if at + size < len(waiting):
            page["LastEvaluatedKey"] = {"sk": {"N": str(at + size)}}
        return page

    def get_item(self, **_asked: Any) -> dict[str, Any]:
        """Know of no item."""
        self.take(A_PAGE, "GetItem")
        return {}

    def delete_item(self, **asked: Any) -> dict[str, Any]:
        """Delete a ticket."""
        self.take(A_PAGE, "DeleteItem")
        queue = asked["Key"]["pk"]["S"].removeprefix("tickets#")
        self.tickets[queue].remove(int(asked["Key"]["sk"]["S"]))
        return {}

    def update_item(self, **asked: Any) -> dict[str, Any]:
        """Note that a notice is being told, or was."""
        self.take(A_PAGE, "UpdateItem")
        if ":yes" in asked["ExpressionAttributeValues"]:
            self.notices[asked["Key"]["sk"]["S"]] = True
        return {"Attributes": {}}

    def take(self, seconds: float, request: str) -> None:
        """Let time pass for a request."""
        self.requests[request] += 1
        self.now += timedelta(seconds=seconds)

    def queue_item(self, queue: str) -> dict[str, Any]:
        """A queue whose turn somebody has."""
        texts = {"execution_arn": arn_of(queue), "run": queue, "token": "t" * 800}
        texts |= {"route": queue, "turn_id": "u" * 32, "granted_at": iso(START)}
        holder: dict[str, Any] = {name: {"S": text} for name, text in texts.items()}
        holder |= {"redrive_count": {"N": "0"}, "kills": {"N": "0"}, "entered": {"BOOL": True}}
        return {"sk": {"S": queue}, "holder": {"M": holder}}

    def notice(self, arn: str) -> dict[str, Any]:
        """What is due of a run that has waited for an hour."""
        texts = {"sk": arn, "arn": arn, "due": self.asked_at, "subject": "Waits", "text": arn}
        return {name: {"S": text} for name, text in texts.items()} | {
            "told": {"BOOL": self.notices[arn]}
        }

    def ticket(self, queue: str, number: int) -> dict[str, Any]:
        """One that waits; a token of Step Functions has some 800 characters."""
        run = f"{queue}-{number}"
        return {
            "pk": {"S": f"tickets#{queue}"},
            "sk": {"S": f"{number:06}"},
            "run": {"S": run},
            "execution_arn": {"S": arn_of(run)},
            "route": {"S": queue},
            "token": {"S": f"{queue} {number:0790}"},
            "asked_at": {"S": self.asked_at},
            "redrive_count": {"N": "0"},
        }


def arn_of(name: str) -> str:
    """The ARN of an execution."""
    return f"arn:aws:states:eu-west-1:000000000000:execution:straight-through:{name}"


Made = Callable[..., Account]


@pytest.fixture
def account(states: FakeStates) -> Made:
    """Make an account."""
    return lambda *sizes: Account(states.exceptions, *sizes)


def reconciler_of(account: Account) -> Reconciler:
    """What a function's process has."""
    table = Table(account, "turns")  # type: ignore[arg-type]
    return Reconciler(table, account, now=lambda: account.now)  # type: ignore[arg-type]


def test_a_hundred_thousand_waiting_files_are_never_in_memory_at_once(account: Made) -> None:
    # Given one queue in which they all wait
    waiting = account(1, 100_000)
    reconciler = reconciler_of(waiting)
    # When the sweep counts them
    tracemalloc.start()
    try:
        (standing,) = reconciler.sweep(DEADLINE)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Then it has seen all, and held few
    assert standing.waiting == 100_000
    assert peak < 128 * MIB
    assert peak < 16 * MIB, f"{peak / MIB:.0f} MiB"


def test_two_thousand_queues_are_swept_within_the_minute_and_the_quota(account: Made) -> None:
    # Given 2,000 queues with a holder and 5 waiting files each, and 1,000 where nothing happens; 50
    # would be a page of the table, too
    large = account(2_000, 5, 1_000)
    reconciler = reconciler_of(large)
    took, asked = [], []
    # When they are swept each minute
    for number in range(10):
        large.now = max(large.now, START + number * MINUTE)
        began, before = large.now, large.requests.copy()
        standing = reconciler.sweep(DEADLINE)
        took.append((large.now - began).total_seconds())
        asked.append(large.requests - before)
        assert sum(queue.waiting for queue in standing) == 10_000
    # Then each sweep has ended when the next one comes
    assert max(took) < 60
    # And others have most of the quota, in small regions too
    assert large.throttled == 0
    assert max(each["DescribeExecution"] for each in asked) <= 250
    # And a queue is one request to the table
    assert max(each["Query"] for each in asked) == 1 + 3_000
    assert not any(each["GetItem"] for each in asked)
    # And each holder was looked at
    assert set(large.described) == {arn_of(queue) for queue in large.queues}


def test_every_holder_has_its_turn_also_where_each_sweep_is_a_new_process(account: Made) -> None:
    # Given 2,000 holders, and processes that live for one sweep
    large = account(2_000, 0)
    for number in range(9):
        large.now = max(large.now, START + number * MINUTE)
        reconciler_of(large).sweep(DEADLINE)
    # Then no holder was left out
    assert set(large.described) == {arn_of(queue) for queue in large.queues}


def test_a_quota_that_others_have_used_up_is_not_fought_for(account: Made) -> None:
    # Given an account whose quota is empty, whoever has used it
    large = account(2_000, 1)
    large.silent = True
    reconciler = reconciler_of(large)
    # When the sweep comes
    with pytest.raises(SweepIncomplete, match="HTTP 400, ThrottlingException") as met:
        reconciler.sweep(DEADLINE)
    # Then it asks a few times, says so, and measures all queues
    assert large.throttled <= 5 * TRIES
    assert len(met.value.standing) == 2_000
    # And when there is room again, it begins where it has stopped
    large.silent = False
    for _ in range(9):
        large.now += MINUTE
        reconciler.sweep(DEADLINE)
    assert set(large.described) == {arn_of(queue) for queue in large.queues}


def test_many_overdue_files_are_told_so_over_some_minutes(account: Made) -> None:
    # Given 2,000 files in each of two queues, whose turn has not come in time
    large = account(2, 2_000)
    large.asked_at = iso(START - 2 * DEADLINE)
    reconciler = reconciler_of(large)
    took = []
    # When the sweep comes each minute
    while sum(map(len, large.tickets.values())):
        began = large.now
        before = sum(map(len, large.tickets.values()))
        reconciler.sweep(DEADLINE)
        took.append((large.now - began).total_seconds())
        assert sum(map(len, large.tickets.values())) < before
    # Then each has ended when the next one comes, and all are told once
    assert max(took) < 60
    assert large.requests["SendTaskFailure"] == len(large.answers) == 4_000


def test_two_thousand_files_that_wait_for_an_hour_are_told_within_the_quota(account: Made) -> None:
    # Given 2,000 queues whose holders have waited for Quantemplate for an hour
    large = account(2_000, 1)
    large.notices = {arn_of(queue): False for queue in large.queues}
    table = Table(large, "turns")  # type: ignore[arg-type]
    reconciler, notices = reconciler_of(large), Notices(table)
    told, took, sweeps = [], [], 0
    # When they are swept each minute
    while not all(large.notices.values()):
        large.now = max(large.now, START + sweeps * MINUTE)
        began, before = large.now, large.requests["DescribeExecution"]
        reconciler.sweep(10 * DEADLINE)
        notices.tell_due(
            lambda _subject, text: told.append(text),
            reconciler.ended,
            reconciler.may_look,
            large.now,
            unhurried,
        )
        # Then a sweep asks for no more than what the account has
        assert large.requests["DescribeExecution"] - before <= BUCKET
        took.append((large.now - began).total_seconds())
        sweeps += 1
    assert large.throttled == 0
    assert max(took) < 60
    # And each is told once, in less than an hour
    assert sorted(told) == sorted(large.notices)
    assert sweeps < 60
