"""Commands over a thousand runs keep to the quotas of AWS, on a clock of the tests' own."""

import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from moto.core.models import botocore_stubber

from stp.commands_runs import Newest
from stp.pace import Pace
from stp.said import OK
from stp.stack import Stack
from straight_through.queue.records import record_key
from tests.cli.conftest import MACHINE, Stp

# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html: at once, in a second
QUOTAS = {
    "ListExecutions": (200, 5),
    "DescribeExecution": (300, 15),
    "GetExecutionHistory": (400, 20),
    "RedriveExecution": (1300, 300),
}
BEGAN = 1_790_000_000
ROUTES = ("claims", "premiums")


def _text(told: Any) -> str:
    """Return what a request has as bytes or as a text."""
    return told.decode() if isinstance(told, bytes) else str(told)


class Clock:
    """The time of a test, which passes by sleeping alone."""

    def __init__(self) -> None:
        """Begin."""
        self.now = 0.0

    def monotonic(self) -> float:
        """Return the seconds since it began."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class Raw(BytesIO):
    """The body of an answer, as botocore reads it."""

    def stream(self, **_: Any) -> Any:
        """Yield it whole."""
        yield self.read()


@dataclass
class Account:
    """Step Functions with executions that failed, and quotas; each request is counted."""

    clock: Clock
    runs: dict[str, dict[str, Any]]
    counts: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    redriven: list[str] = field(default_factory=list)
    _left: dict[str, tuple[float, float]] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.Lock)

    def answer(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        """Answer a request, or refuse it for its quota."""
        operation = _text(request.headers["X-Amz-Target"]).rpartition(".")[2]
        with self._lock:
            self.counts[operation] += 1
            most, per_second = QUOTAS[operation]
            tokens, at = self._left.get(operation, (most, 0.0))
            tokens = min(most, tokens + (self.clock.now - at) * per_second)
            self._left[operation] = (tokens - (tokens >= 1), self.clock.now)
            self.refused[operation] += tokens < 1
            body: Any = {"__type": "ThrottlingException", "message": "Rate exceeded"}
            if tokens >= 1:
                body = getattr(self, operation)(json.loads(_text(request.body)))
        raw = Raw(json.dumps(body).encode())
        return AWSResponse(request.url, 200 if tokens >= 1 else 400, HTTPHeaders(), raw)

    def ListExecutions(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's names
        """List a page of the runs, the newest first."""
        listed = [
            {key: value for key, value in run.items() if key not in ("input", "redriveStatus")}
            for run in reversed(self.runs.values())
            if run["status"] == given.get("statusFilter", run["status"])
        ]
        begin = int(given.get("nextToken", 0))
        end = begin + given["maxResults"]
        more = {"nextToken": str(end)} if end < len(listed) else {}
        return {"executions": listed[begin:end], **more}

    def DescribeExecution(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        """Describe a run."""
        return self.runs[given["executionArn"]]

    def GetExecutionHistory(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        """Return a short history."""
        event = {"id": 9, "timestamp": BEGAN, "type": "TaskStateEntered"}
        return {"events": [{**event, "stateEnteredEventDetails": {"name": "CheckStatus"}}]}

    def RedriveExecution(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        """Let a run go on."""
        self.redriven.append(given["executionArn"].rpartition(":")[2])
        return {"redriveDate": BEGAN}


@pytest.fixture
def account(deployed: Stack, monkeypatch: pytest.MonkeyPatch) -> Account:
    """A thousand runs of two routes that failed, and a thousand that a person has stopped."""
    clock = Clock()
    monkeypatch.setattr("stp.pace.time", clock)
    arn = MACHINE.replace(":stateMachine:", ":execution:")
    runs = {}
    for number in range(2000):
        name, status = f"r{number:04}", "FAILED" if number < 1000 else "ABORTED"
        given = {"bucket": "inbox", "key": f"{ROUTES[number % 2]}/{name}.csv"}
        runs[f"{arn}:{name}"] = {
            "executionArn": f"{arn}:{name}",
            "stateMachineArn": MACHINE,
            "name": name,
            "status": status,
            "startDate": BEGAN + number,
            "stopDate": BEGAN + number + 60,
            "input": json.dumps(given),
            "redriveStatus": "REDRIVABLE",
        }
    made = Account(clock, runs)
    events = deployed.client("stepfunctions").meta.events
    events.unregister("before-send", botocore_stubber)  # moto's
    events.register("before-send.sfn", made.answer)
    return made


def test_a_thousand_failed_runs_are_redriven_under_the_quotas(stp: Stp, account: Account) -> None:
    # When all that failed are redriven
    done = stp("redrive", "--failed", "--since", "2026-01-01", "--yes", "--json")
    # Then each goes on, the oldest first, and nothing was refused for a quota
    assert done.code == OK, done.err
    assert account.redriven == [f"r{number:04}" for number in range(1000)]
    assert not account.refused.total()
    # and each was asked for once, none that a person has stopped, though the list has them
    assert account.counts == {
        "ListExecutions": 2,
        "DescribeExecution": 1000,
        "GetExecutionHistory": 1000,
        "RedriveExecution": 1000,
    }
    # and some of what a second gives was left to the functions
    assert account.clock.now > 1000 / 15


def test_runs_of_another_route_are_not_asked_for(
    stp: Stp, account: Account, deployed: Stack
) -> None:
    # Given a route, and a table that knows of fifty runs that they were of another
    deployed.client("ssm").put_parameter(
        Name=f"{deployed.routes_path}/claims", Value="{}", Type="String"
    )
    for number in range(1, 100, 2):
        deployed.table.update(record_key(f"r{number:04}"), "SET #route = :r", r="premiums")
    # When the failed runs of one route are listed
    runs = ["runs", "--failed", "--since", "2026-01-01", "--limit", "5000", "--json"]
    done = stp(*runs, "--route", "claims")
    # Then AWS was asked for all but these
    assert done.code == OK, done.err
    assert account.counts["DescribeExecution"] == 2000 - 50
    assert not account.refused.total()


def test_who_watches_asks_for_what_has_changed(account: Account, deployed: Stack) -> None:
    # Given the newest runs, as they were seen
    newest = Newest(deployed)
    seen = newest.look()
    before = account.counts["DescribeExecution"]
    assert before == len(seen) == 20
    # When one of them goes on
    run = next(each for each in account.runs.values() if each["name"] == "r1995")
    run |= {"status": "RUNNING", "redriveCount": 1}
    # Then it alone is asked for
    assert [each.name for each in newest.look() if each.running] == ["r1995"]
    assert account.counts["DescribeExecution"] == before + 1


def test_a_thousand_runs_are_listed_under_the_quotas(stp: Stp, account: Account) -> None:
    # When as many are listed as AWS does not describe at once
    done = stp("runs", "--since", "2026-01-01", "--limit", "1000", "--json")
    # Then all are, the newest first, by as few requests
    assert done.code == OK, done.err
    assert [each["run"] for each in done.json] == [f"r{n:04}" for n in range(1999, 999, -1)]
    assert account.counts == {"ListExecutions": 1, "DescribeExecution": 1000}
    assert not account.refused.total()


def test_a_pace_gives_at_once_what_it_has_and_the_rest_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a bucket of three, which gets two a second
    clock = Clock()
    monkeypatch.setattr("stp.pace.time", clock)
    pace = Pace(3, 2)
    # When seven are taken, then the first three wait for nothing and the others half a second each
    times = []
    for _ in range(7):
        pace.wait()
        times.append(clock.now)
    assert times == pytest.approx([0, 0, 0, 0.5, 1, 1.5, 2], abs=0.01)
