"""Requests beyond an account's quota are refused as the services refuse them.

https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html, "Quotas related to API
action throttling" and "Quotas related to state throttling" (Europe (Ireland))
https://docs.aws.amazon.com/general/latest/gr/ssm.html, "Default throughput" of Parameter Store
https://docs.aws.amazon.com/step-functions/latest/apireference/CommonErrors.html
"""

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.quotas import AWS, Quotas, Settings, UrlRates
from emulator.tests.account import Account, eventually
from emulator.tests.quotas import limited, told
from emulator.tests.server_process import running_aws
from emulator.tests.state_machines import StateMachines

NEVER = 0.000001  # so many come back in a second
THROTTLED = (400, "ThrottlingException", "Rate exceeded")
DONE = {"Done": {"Type": "Pass"}}


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def refused(call: Callable[[], Any]) -> bool:
    """Whether a call is refused for its quota; any other answer will do."""
    try:
        call()
    except ClientError as error:
        status, told = error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]
        return (status, told["Code"], told["Message"]) == THROTTLED
    return False


def test_a_bucket_empties_and_fills_again() -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/APIReference/throttling.html, token buckets."""
    # Given a bucket of three, to which two come back in a second
    clock = Clock()
    quotas = Quotas(Settings(rates={"StartExecution": (3, 2)}), clock)

    def taken(count: int) -> list[bool]:
        return [quotas.take("StartExecution") for _ in range(count)]

    # When, then
    assert taken(4) == [True, True, True, False]
    clock.now += 0.4
    assert taken(1) == [False]
    clock.now += 0.1
    assert taken(2) == [True, False]
    clock.now += 3600
    assert taken(4) == [True, True, True, False]
    # And what has no bucket is never refused
    assert quotas.take("DescribeExecution")


def test_parameters_share_one_bucket(account: Account) -> None:
    """https://docs.aws.amazon.com/general/latest/gr/ssm.html, "Shared by the following"."""
    # Given
    ssm, name = account.client("ssm"), f"/parameter/{uuid.uuid4().hex}"
    ssm.put_parameter(Name=name, Value="x", Type="String")
    calls: list[Callable[[], Any]] = [
        lambda: ssm.get_parameter(Name=name),
        lambda: ssm.get_parameters(Names=[name]),
        lambda: ssm.get_parameters_by_path(Path="/parameter"),
    ]
    # When four are asked for where three may be
    with limited(account.endpoint, rates={"GetParameter": [3, NEVER]}):
        seen = [refused(call) for call in [*calls, *calls]]
        # Then all further ones are refused, and counted; writing is not
        assert seen == [False, False, False, True, True, True]
        counts = told(account.endpoint, "GET").json()["counts"]
        assert counts["GetParameter"] == {"taken": 3, "refused": 3}
        ssm.put_parameter(Name=name, Value="y", Type="String", Overwrite=True)
    assert not refused(calls[0])


@pytest.mark.parametrize(
    "action",
    [
        "StartExecution",
        "StopExecution",
        "DescribeExecution",
        "ListExecutions",
        "GetExecutionHistory",
        "DescribeStateMachine",
        "SendTaskSuccess",
        "SendTaskFailure",
    ],
)
def test_each_action_of_step_functions_has_a_bucket_of_its_own(
    machines: StateMachines, action: str
) -> None:
    # Given
    machine = machines.create({"Wait": {"Type": "Wait", "Seconds": 9999}})
    execution = {"executionArn": machines.start(machine)}
    api, none = machines.api, "none"

    calls: dict[str, Callable[[], Any]] = {
        "StartExecution": lambda: machines.start(machine),
        "StopExecution": lambda: api.stop_execution(**execution),
        "DescribeExecution": lambda: api.describe_execution(**execution),
        "ListExecutions": lambda: api.list_executions(stateMachineArn=machine),
        "GetExecutionHistory": lambda: api.get_execution_history(**execution),
        "DescribeStateMachine": lambda: api.describe_state_machine(stateMachineArn=machine),
        "SendTaskSuccess": lambda: api.send_task_success(taskToken=none, output="{}"),
        "SendTaskFailure": lambda: api.send_task_failure(taskToken=none),
    }
    # When two are sent where one may be, then the second is refused
    with limited(machines.account.endpoint, rates={action: [1, NEVER]}):
        assert [refused(calls[action]) for _ in range(2)] == [False, True]
        # And no other action is
        assert [name for name in calls if name != action and refused(calls[name])] == []


def test_a_refused_start_starts_nothing(machines: StateMachines) -> None:
    machine = machines.create(DONE)
    with limited(machines.account.endpoint, rates={"StartExecution": [1, NEVER]}):
        machines.start(machine, name="a")
        assert refused(lambda: machines.start(machine, name="b"))
    found = machines.api.list_executions(stateMachineArn=machine)["executions"]
    assert [each["name"] for each in found] == ["a"]


def test_a_bucket_is_the_accounts_and_not_a_callers(machines: StateMachines) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html: per account."""
    # Given a state machine that starts another
    inner = machines.create(DONE)
    start = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution",
        "Parameters": {"StateMachineArn": inner},
    }
    outer = machines.create({"Start": start})
    # When its start takes what there is
    with limited(machines.account.endpoint, rates={"StartExecution": [1, NEVER]}):
        ended = machines.end(machines.start(outer))
    # Then the one inside is refused
    assert ended["status"] == "FAILED"
    assert "Rate exceeded" in ended["cause"]


def test_states_are_entered_late_and_nothing_fails(
    machines: StateMachines, account: Account
) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html.

    ExecutionThrottled: state entered events that have been throttled.
    """
    # Given an execution of three states, of which two may be entered
    machine = machines.create({name: {"Type": "Pass"} for name in ("One", "Two", "Three")})
    with limited(account.endpoint, rates={"StateTransition": [2, NEVER]}):
        execution = machines.start(machine)
        machines.until(execution, "PassStateExited", 2)
        # When the third is to be entered, then the execution waits, and that is counted
        eventually(lambda: throttled_events(account, machine) == 1)
        assert machines.describe(execution)["status"] == "RUNNING"
        assert machines.kinds(execution)[-1] == "PassStateExited"
    # And when more may be entered, then it goes on
    assert machines.end(execution)["status"] == "SUCCEEDED"
    assert len(machines.events(execution)) == 8


def test_a_retry_is_a_transition_too(account: Account, machines: StateMachines) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html.

    "Retries are treated as state transitions."
    """
    # Given a task that is tried three times
    retry = [{"ErrorEquals": ["Refused"], "MaxAttempts": 2, "IntervalSeconds": 1}]
    machine = machines.create({"Task": machines.task({"raise": "Refused"}, Retry=retry)})
    with limited(account.endpoint, rates={"StateTransition": [2, NEVER]}):
        # When two transitions may be made, then the last try is late
        execution = machines.start(machine)
        machines.until(execution, "TaskFailed", 2)
        eventually(lambda: throttled_events(account, machine) == 1)
        assert machines.describe(execution)["status"] == "RUNNING"
    assert machines.end(execution)["error"] == "Refused"
    assert machines.kinds(execution).count("TaskScheduled") == 3


def test_an_execution_that_waits_to_enter_a_state_can_be_stopped(machines: StateMachines) -> None:
    machine = machines.create(DONE)
    with limited(machines.account.endpoint, rates={"StateTransition": [1, NEVER]}):
        machines.end(machines.start(machine))
        execution = machines.start(machine)
        machines.api.stop_execution(executionArn=execution)
        assert machines.describe(execution)["status"] == "ABORTED"
    assert machines.kinds(execution) == ["ExecutionStarted", "ExecutionAborted"]


def throttled_events(account: Account, machine: str) -> float:
    """How often CloudWatch says that executions of a machine had to wait."""
    found = account.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/States",
        MetricName="ExecutionThrottled",
        Dimensions=[{"Name": "StateMachineArn", "Value": machine}],
        StartTime=time.time() - 3600,
        EndTime=time.time() + 60,
        Period=60,
        Statistics=["Sum"],
    )
    return float(sum(point["Sum"] for point in found["Datapoints"]))


def test_awss_own_rates_can_be_had_from_the_start(tmp_path: Path) -> None:
    # Given a server with AWS's quotas
    with running_aws(tmp_path / "log", "--quotas", "aws") as (endpoint, _):
        account = Account(endpoint)
        shown = told(endpoint, "GET").json()
        assert {name: tuple(rate) for name, rate in shown["rates"].items()} == AWS
        assert shown["concurrent_executions"] == 1000
        # When a burst of parameters is read at once
        ssm = account.client("ssm")
        ssm.put_parameter(Name="/one", Value="x", Type="String")
        with ThreadPoolExecutor(8) as pool:
            seen = list(
                pool.map(lambda _: refused(lambda: ssm.get_parameter(Name="/one")), range(400))
            )
        # Then forty are, and some of the rest are refused
        counts = told(endpoint, "GET").json()["counts"]["GetParameter"]
        assert (seen.count(False), seen.count(True)) == (counts["taken"], counts["refused"])
        assert counts["taken"] >= 40
        # When one rate is told otherwise, then the others stay, and null is without
        told(endpoint, "PUT", {"rates": {"GetParameter": None, "StopExecution": [1, 1]}})
        shown = told(endpoint, "GET").json()["rates"]
        assert "GetParameter" not in shown
        assert (shown["StopExecution"], shown["ListExecutions"]) == ([1, 1], [200, 5])
        # When they are told to be none, then there are none, until they are as at the start again
        assert told(endpoint, "PUT", {"rates": "none"}).json()["rates"] == {}
        assert told(endpoint, "DELETE").json()["rates"]["StartExecution"] == [1300, 300]


@pytest.mark.parametrize(
    "rates",
    [
        {"Start": [1, 1]},
        {"StartExecution": 1},
        {"StartExecution": [1]},
        {"StartExecution": [0, 1]},
        {"StartExecution": [1, -1]},
        {"StartExecution": [1, "1"]},
        "azure",
        [],
        None,
    ],
)
def test_rates_that_make_no_sense_are_refused(account: Account, rates: Any) -> None:
    answer = told(account.endpoint, "PUT", {"rates": rates})
    assert answer.status_code == 400
    assert answer.json()["message"]
    assert told(account.endpoint, "GET").json()["rates"] == {}


def test_a_url_takes_ten_a_second_for_each_execution_that_is_reserved() -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html ("Throttling")."""
    # Given two functions with five and one of them
    clock = Clock()
    rates = UrlRates(clock)

    def takes(function: str, reserved: int) -> int:
        return sum(rates.take(function, reserved) for _ in range(200))

    # When each second brings more, then so many are taken, whatever another has
    for _ in range(3):
        assert (takes("five", 5), takes("one", 1), takes("none", 0)) == (50, 10, 0)
        clock.now += 1
    # And what is reserved anew counts at once
    assert (takes("five", 2), takes("one", 1)) == (20, 10)
