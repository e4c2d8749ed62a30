"""A state that waits for a task token is woken by its own token, once."""

import json
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from moto.stepfunctions.parser.asl.eval.callback.callback import CallbackEndpoint

from emulator.service_error import ServiceError
from emulator.task_tokens import TaskTokens
from emulator.tests.account import eventually
from emulator.tests.state_machines import StateMachines, token, waiting_task, waiting_token

WAITING = 100


def refusal(machines: StateMachines, used: str) -> str:
    """The name of the error that answers a success with this token."""
    with pytest.raises(ClientError) as error:
        machines.api.send_task_success(taskToken=used, output="{}")
    return str(error.value.response["Error"]["Code"])


def test_each_token_wakes_its_own_execution(machines: StateMachines) -> None:
    """AWS documentation: "Discover service integration patterns", task token."""
    machine = machines.create({"Task": waiting_task(machines)})
    executions = [machines.start(machine) for _ in range(3)]
    tokens = [waiting_token(machines, execution) for execution in executions]
    assert len(set(tokens)) == 3
    machines.api.send_task_success(taskToken=tokens[1], output='{"n": 1}')
    assert machines.end(executions[1])["output"] == '{"n":1}'
    assert {machines.describe(executions[n])["status"] for n in (0, 2)} == {"RUNNING"}
    for n in (0, 2):
        machines.api.send_task_success(taskToken=tokens[n], output=json.dumps({"n": n}))
    assert [machines.end(executions[n])["output"] for n in (0, 2)] == ['{"n":0}', '{"n":2}']


def test_a_failure_by_token_is_an_error_with_that_name(machines: StateMachines) -> None:
    """AWS API reference: SendTaskFailure."""
    execution = machines.start(machines.create({"Task": waiting_task(machines)}))
    used = waiting_token(machines, execution)
    machines.api.send_task_failure(taskToken=used, error="Lost", cause="by accident")
    ended = machines.end(execution)
    assert (ended["status"], ended["error"], ended["cause"]) == ("FAILED", "Lost", "by accident")


def test_the_functions_own_error_fails_the_state_and_a_retry_has_a_new_token(
    machines: StateMachines, tmp_path: Path
) -> None:
    """AWS documentation: "Discover service integration patterns", task token."""
    # Given a function that fails at first, under a retrier that names its error
    ready = tmp_path / "ready"
    retry = [
        {
            "ErrorEquals": ["Refused"],
            "MaxAttempts": 99,
            "IntervalSeconds": 2,
            "MaxDelaySeconds": 2,
        }
    ]
    task = waiting_task(machines, {"needs": str(ready)}, Retry=retry)
    execution = machines.start(machines.create({"Task": task}))
    machines.until(execution, "TaskFailed")
    ready.touch()
    # When it succeeds at last
    machines.until(execution, "TaskSubmitted")
    tries = len(machines.events(execution, "TaskScheduled"))
    first, last = token(machines, execution), token(machines, execution, tries)
    # Then the last try has a token of its own, and the first one's is dead
    assert first != last
    assert refusal(machines, first) == "TaskTimedOut"
    machines.api.send_task_success(taskToken=last, output='"done"')
    assert machines.end(execution)["output"] == '"done"'


def test_a_function_error_without_retry_fails_the_execution(machines: StateMachines) -> None:
    """AWS documentation: "Discover service integration patterns", task token."""
    execution = machines.start(
        machines.create({"Task": waiting_task(machines, {"raise": "Refused"})})
    )
    assert machines.end(execution)["error"] == "Refused"
    assert refusal(machines, token(machines, execution)) == "TaskTimedOut"


def test_a_used_token_is_refused_and_an_unknown_one_is_invalid(machines: StateMachines) -> None:
    """AWS API reference: SendTaskSuccess, errors."""
    execution = machines.start(machines.create({"Task": waiting_task(machines)}))
    used = waiting_token(machines, execution)
    with pytest.raises(ClientError) as error:
        machines.api.send_task_success(taskToken=used, output="no JSON")
    assert error.value.response["Error"]["Code"] == "InvalidOutput"
    machines.api.send_task_success(taskToken=used, output='"first"')
    assert refusal(machines, used) == "TaskTimedOut"
    assert machines.end(execution)["output"] == '"first"'
    assert refusal(machines, used) == "TaskTimedOut"
    assert refusal(machines, "unknown") == "InvalidToken"


def test_a_token_is_used_up_by_its_first_answer_before_anyone_has_heard_it() -> None:
    """AWS API reference: SendTaskSuccess, TaskTimedOut: the task has already been closed."""
    tokens, endpoint = TaskTokens(), CallbackEndpoint("token")
    tokens.open("token", endpoint, "machine")
    tokens.succeed("token", '"first"')
    with pytest.raises(ServiceError) as error:
        tokens.fail("token", "second", None)
    assert error.value.code == "TaskTimedOut"
    assert endpoint.wait(0).output == '"first"'


def test_the_tokens_of_a_stopped_execution_are_dead_also_after_its_redrive(
    machines: StateMachines,
) -> None:
    """AWS API reference: SendTaskSuccess, TaskTimedOut; RedriveExecution."""
    # Given a stopped execution that waited for a token
    execution = machines.start(machines.create({"Task": waiting_task(machines)}))
    old = waiting_token(machines, execution)
    machines.api.stop_execution(executionArn=execution)
    assert refusal(machines, old) == "TaskTimedOut"
    # When it is redriven
    machines.api.redrive_execution(executionArn=execution)
    new = waiting_token(machines, execution, 2)
    # Then it waits for another token
    assert refusal(machines, old) == "TaskTimedOut"
    machines.api.send_task_success(taskToken=new, output='"new"')
    assert machines.end(execution)["output"] == '"new"'


def test_a_token_that_is_not_answered_in_time_times_out(machines: StateMachines) -> None:
    """AWS documentation: "Task workflow state", TimeoutSeconds."""
    execution = machines.start(machines.create({"Task": waiting_task(machines, TimeoutSeconds=1)}))
    late = waiting_token(machines, execution)
    ended = machines.end(execution)
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Timeout")
    assert "TaskTimedOut" in machines.kinds(execution)
    assert refusal(machines, late) == "TaskTimedOut"


def test_many_waiting_executions_cost_no_processor_time(
    machines: StateMachines, server: tuple[str, subprocess.Popen[str]]
) -> None:
    """AWS documentation: "Discover service integration patterns": a waiting state costs nothing."""
    # Given many executions that wait for their tokens
    machine = machines.create({"Task": waiting_task(machines, TimeoutSeconds=600)})
    threads_before = threads(server[1].pid)  # those that serve requests stay for the next ones
    with ThreadPoolExecutor(16) as pool:
        executions = list(pool.map(lambda _: machines.start(machine), range(WAITING)))
        tokens = list(pool.map(lambda one: waiting_token(machines, one), executions))
        # When nothing happens for a second
        before = processor_seconds(server[1].pid)
        time.sleep(1)
        # Then the server did next to nothing
        assert processor_seconds(server[1].pid) - before < 0.1
        # And each is still woken by its own token
        list(
            pool.map(
                lambda used: machines.api.send_task_success(taskToken=used, output=f'"{used}"'),
                tokens,
            )
        )
        ends = list(pool.map(lambda one: machines.end(one)["output"], executions))
    assert ends == [f'"{used}"' for used in tokens]
    # And no thread is left of them, but those that served the requests of this test
    eventually(lambda: threads(server[1].pid) < threads_before + WAITING / 2)


def processor_seconds(process: int) -> float:
    """The processor time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def threads(process: int) -> int:
    """How many threads a process has."""
    return len(list(Path(f"/proc/{process}/task").iterdir()))
