"""Status-change events can be lost, doubled or late, as AWS's best effort allows."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from emulator.tests.account import Account, eventually
from emulator.tests.server_process import running_aws
from emulator.tests.state_machines import StateMachines
from emulator.tests.status_trouble import counts, told, troubled


@dataclass(frozen=True)
class Watched:
    """A machine that succeeds at once, and the queue of its ends."""

    account: Account
    machines: StateMachines
    machine: str
    queue: str

    def run(self, count: int) -> list[str]:
        """The ARNs of so many executions, one after the other, when their events are published."""
        before = counts(self.account.endpoint)["published"]
        started = []
        for _ in range(count):
            started.append(self.machines.start(self.machine))
            self.machines.end(started[-1])
        eventually(
            lambda: counts(self.account.endpoint)["published"] == before + 2 * count
        )  # each begins and ends
        return started

    def events(self) -> list[dict[str, Any]]:
        """The events that have come, taken from the queue."""
        sqs, found = self.account.client("sqs"), []
        while messages := sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in messages:
                found.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return found


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """A local AWS of their own, in which no other test's executions are counted."""
    with running_aws(tmp_path_factory.mktemp("troubled") / "log") as (endpoint, _):
        yield Account(endpoint)


@pytest.fixture(scope="module")
def machines(account: Account) -> StateMachines:
    """What state machines need, on that local AWS."""
    return StateMachines(account, account.role(), function="none")


@pytest.fixture
def watched(account: Account, machines: StateMachines) -> Watched:
    """A new machine, and a rule about its ends."""
    machine = machines.create({"Only": {"Type": "Succeed"}})
    queue, arn = account.queue()
    detail = {"status": ["SUCCEEDED"], "stateMachineArn": [machine]}
    account.rule({"source": ["aws.states"], "detail": detail}, arn)
    return Watched(account, machines, machine, queue)


def executions(events: list[dict[str, Any]]) -> list[str]:
    """The ARNs of the executions that events are about."""
    return [event["detail"]["executionArn"] for event in events]


def test_lost_events_never_come_and_others_are_not_touched(
    account: Account, watched: Watched
) -> None:
    """Amazon EventBridge reference, "Delivery level for AWS service events": best effort."""
    # Given
    bucket = account.bucket()
    queue, arn = account.queue()
    account.rule({"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}}, arn)

    # When
    with troubled(account.endpoint, lost=1.0):
        watched.run(3)
        account.client("s3").put_object(Bucket=bucket, Key="key", Body=b"x")
        lost = counts(account.endpoint)
    again = watched.run(1)

    # Then
    assert lost == {"published": 6, "lost": 6, "doubled": 0, "late": 0}
    assert executions(watched.events()) == again
    assert len(account.received(queue, 1)) == 1


def test_doubled_events_come_twice_with_one_id(account: Account, watched: Watched) -> None:
    """Amazon EventBridge user guide, "Troubleshooting": a rule may run twice for one event."""
    # When
    with troubled(account.endpoint, doubled=1.0):
        started = watched.run(3)

    # Then
    events = watched.events()
    assert sorted(executions(events)) == sorted(started * 2)
    assert len({event["id"] for event in events}) == 3


def test_late_events_come_after_their_time_and_hold_up_no_others(
    account: Account, watched: Watched
) -> None:
    """Amazon EventBridge reference, "Delivery level for AWS service events": best effort."""
    # When
    with troubled(account.endpoint, late=1.0, late_seconds=3):
        begun = time.monotonic()
        late = watched.run(2)
    at_once = watched.run(1)

    # Then
    assert executions(watched.events()) == at_once
    assert time.monotonic() - begun < 3
    assert sorted(executions(account.received(watched.queue, 2))) == sorted(late)
    assert time.monotonic() - begun >= 3


def test_a_seed_gives_the_same_trouble_again(account: Account, watched: Watched) -> None:
    def arrived() -> list[bool]:
        """Which of ten executions an event came of."""
        with troubled(account.endpoint, lost=0.5, seed=7):
            started = watched.run(10)
        found = executions(watched.events())
        return [execution in found for execution in started]

    # When
    first, second = arrived(), arrived()

    # Then
    assert first == second
    assert 0 < sum(first) < 10


@pytest.mark.parametrize(
    "settings", [{"lost": 2}, {"late": -1}, {"seed": "x"}, {"lots": 1}, [], {"late": True}]
)
def test_settings_that_make_no_sense_are_refused(account: Account, settings: Any) -> None:
    # When
    answer = told(account.endpoint, "PUT", settings)

    # Then
    assert answer.status_code == 400
    assert answer.json()["message"]
    assert told(account.endpoint, "POST", {}).status_code == 405
    assert told(account.endpoint, "GET").json()["lost"] == 0
