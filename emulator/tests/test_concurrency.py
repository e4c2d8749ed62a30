"""Functions run as many at once as the account and their reservations allow.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html, TooManyRequestsException
"""

import functools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.tests.account import Account, eventually
from emulator.tests.quotas import limited, told
from emulator.tests.server_process import running_aws
from emulator.tests.stacks import created, function_resource
from emulator.tests.state_machines import TIME_SCALE, StateMachines

ACCOUNTS = "ConcurrentInvocationLimitExceeded"
FUNCTIONS = "ReservedFunctionConcurrentInvocationLimitExceeded"
WAITING = """
import os, time

def handler(event, context):
    if "begun" in event:
        open(event["begun"], "a").close()
    while "until" in event and not os.path.exists(event["until"]):
        time.sleep(0.01)
    if "log" in event:
        with open(event["log"], "a") as log:
            log.write("ran\\n")
    return "done"
"""


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """A local AWS of their own, in which no other test's functions run."""
    log = tmp_path_factory.mktemp("concurrency") / "log"
    with running_aws(log, "--time-scale", str(TIME_SCALE)) as (endpoint, _):
        yield Account(endpoint)


@pytest.fixture(scope="module")
def machines(account: Account) -> StateMachines:
    """What state machines need, on that local AWS."""
    return StateMachines(account, account.role(), function="none")


@pytest.fixture
def waiting(account: Account) -> tuple[str, str]:
    """Two functions that wait for a file, where one is named."""
    role = account.role()
    return account.function(WAITING, Role=role), account.function(WAITING, Role=role)


def reserve(account: Account, function: str, count: int | None) -> None:
    """Reserve so many for a function, or none."""
    api = account.client("lambda")
    if count is None:
        api.delete_function_concurrency(FunctionName=function)
    else:
        api.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=count)


@contextmanager
def reserved(account: Account, function: str, count: int) -> Iterator[None]:
    """So many are reserved for a function for the time being."""
    reserve(account, function, count)
    try:
        yield
    finally:
        reserve(account, function, None)


@contextmanager
def busy(account: Account, function: str, folder: Path) -> Iterator[None]:
    """The function runs for the time being; it must succeed.

    It is invoked until there is room: another test's last event may still be running.
    """
    begun, until = folder / "begun", folder / "until"
    payload = {"begun": str(begun), "until": str(until)}
    invoke = functools.partial(eventually, lambda: invoked_if_room(account, function, payload))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(invoke)
        try:
            eventually(lambda: begun.exists() or running.done())
            assert not running.done(), running.result()
            yield
        finally:
            until.touch()
        assert running.result() == "done"


def invoked_if_room(account: Account, function: str, payload: dict[str, str]) -> Any:
    """What the function returns; None where there is no room for it."""
    try:
        return account.invoked(function, payload)
    except ClientError as error:
        if error.response["Error"]["Code"] != "TooManyRequestsException":
            raise
        return None


def refusal(account: Account, function: str) -> str:
    """The reason for which an invocation is refused; empty where it is not."""
    try:
        assert account.invoked(function, {}) == "done"
    except ClientError as error:
        answer: dict[str, Any] = dict(error.response)
        found = (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"])
        return str(answer["Reason"]) if found == (429, "TooManyRequestsException") else str(answer)
    return ""


def test_all_functions_share_what_an_account_has(
    account: Account, waiting: tuple[str, str], tmp_path: Path
) -> None:
    first, second = waiting
    with limited(account.endpoint, concurrent_executions=1):
        # Given that a function runs where one may
        with busy(account, first, tmp_path):
            before = told(account.endpoint, "GET").json()["counts"]["Invoke"]
            # When another one is invoked, or the same, then that is refused, and counted
            assert [refusal(account, each) for each in waiting] == [ACCOUNTS, ACCOUNTS]
            counts = told(account.endpoint, "GET").json()["counts"]
            assert counts["Invoke"] == {**before, "refused": before["refused"] + 2}
        # And when it has ended, then another runs
        assert refusal(account, second) == ""


def test_a_function_has_no_more_than_is_reserved_for_it(
    account: Account, waiting: tuple[str, str], tmp_path: Path
) -> None:
    first, second = waiting
    with reserved(account, first, 1), busy(account, first, tmp_path):
        assert [refusal(account, each) for each in (first, second)] == [FUNCTIONS, ""]
    with reserved(account, first, 0):
        assert refusal(account, first) == FUNCTIONS


def test_what_is_reserved_is_kept_from_all_others(
    account: Account, waiting: tuple[str, str], tmp_path: Path
) -> None:
    # Given two for the account, of which one is reserved
    first, second = waiting
    with (
        limited(account.endpoint, concurrent_executions=2),
        reserved(account, first, 1),
        busy(account, second, tmp_path),
    ):
        # When the other one is in use, then only the function with the reservation may run
        assert [refusal(account, each) for each in (second, first)] == [ACCOUNTS, ""]


def test_a_version_has_no_more_than_is_reserved_for_its_function(
    account: Account, waiting: tuple[str, str], tmp_path: Path
) -> None:
    first, _ = waiting
    version = account.client("lambda").publish_version(FunctionName=first)["Version"]
    with reserved(account, first, 1), busy(account, first, tmp_path):
        assert refusal(account, f"{first}:{version}") == FUNCTIONS


def test_a_template_reserves(account: Account) -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-function.html."""
    resource = function_resource(account, WAITING, ReservedConcurrentExecutions=0)
    with created(account, {"Function": resource}) as stack:
        assert refusal(account, stack["Function"]) == FUNCTIONS


def test_a_task_fails_with_lambdas_name_and_can_be_tried_again(
    account: Account, machines: StateMachines, waiting: tuple[str, str], tmp_path: Path
) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html.

    "Handle transient Lambda service exceptions": Lambda.TooManyRequestsException.
    """
    first, _ = waiting
    task = machines.task({}, Parameters={"FunctionName": first, "Payload": {}})
    retry = [{"ErrorEquals": ["Lambda.TooManyRequestsException"], "IntervalSeconds": 1}]
    with reserved(account, first, 1), busy(account, first, tmp_path):
        # Given a task that is refused
        ended = machines.run({"Task": task})
        assert (ended["status"], ended["error"]) == ("FAILED", "Lambda.TooManyRequestsException")
        patient = {**task, "Retry": [{**retry[0], "MaxAttempts": 9999, "BackoffRate": 1}]}
        execution = machines.start(machines.create({"Task": patient}))
        machines.until(execution, "TaskFailed")
    # When there is room, then one that is tried again succeeds
    assert machines.end(execution)["output"] == '"done"'


def test_an_asynchronous_invocation_waits_for_room_and_loses_no_try(
    waiting: tuple[str, str], account: Account, tmp_path: Path
) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html.

    For throttling errors Lambda returns the event to the queue for up to six hours.
    """
    first, log = waiting[0], tmp_path / "log"
    url, arn = account.queue()
    api = account.client("lambda")
    api.update_function_configuration(FunctionName=first, DeadLetterConfig={"TargetArn": arn})
    with limited(account.endpoint):
        # Given a function that may not run
        with reserved(account, first, 0):
            # When an event comes, and is refused more often than a failed one is tried
            payload = json.dumps({"log": str(log)})
            api.invoke(FunctionName=first, InvocationType="Event", Payload=payload)

            def often() -> bool:
                counts = told(account.endpoint, "GET").json()["counts"]
                return bool(counts["Invoke"]["refused"] > 3)

            eventually(often)
            assert not log.exists()
        # Then it runs once it may, and is no dead letter
        eventually(log.exists)
    assert account.client("sqs").receive_message(QueueUrl=url).get("Messages") is None


def test_a_queues_messages_that_are_refused_come_again(
    waiting: tuple[str, str], account: Account, tmp_path: Path
) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html.

    A throttled batch's messages are visible again after the queue's visibility time-out, and each
    time counts as a receive.
    """
    # Given a queue whose function may not run
    first, log = waiting[0], tmp_path / "log"
    letters, letters_arn = account.queue()
    policy = json.dumps({"deadLetterTargetArn": letters_arn, "maxReceiveCount": 2})
    url, arn = account.queue(VisibilityTimeout="1", RedrivePolicy=policy)
    with reserved(account, first, 0):
        mapping = account.client("lambda").create_event_source_mapping(
            EventSourceArn=arn, FunctionName=first, BatchSize=1
        )
        # When a message comes
        account.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps({"a": 1}))
        # Then it is a dead letter after as many receives as there may be
        assert account.received(letters, 1, seconds=30) == [{"a": 1}]
    account.client("lambda").delete_event_source_mapping(UUID=mapping["UUID"])
    assert not log.exists()


@pytest.mark.parametrize("count", [0, 1.5, "10"])
def test_a_number_that_makes_no_sense_is_refused(account: Account, count: Any) -> None:
    assert told(account.endpoint, "PUT", {"concurrent_executions": count}).status_code == 400
