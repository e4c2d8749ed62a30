"""A function's process may be killed at any time, and the next invocation gets another."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from emulator.tests.account import Account, eventually
from emulator.tests.processes import FunctionProcess, function_processes
from emulator.tests.state_machines import StateMachines

PROCESS = """
import os, time

def handler(event, context):
    time.sleep(event or 0)
    return os.getpid()
"""


def dead(pid: int) -> bool:
    """Whether a process has died, as its parent is told: one that still dies has no arguments."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in ("Z", "X")


def test_a_killed_invocation_fails_and_the_next_works(account: Account) -> None:
    """AWS Lambda developer guide, "Understanding the Lambda execution environment lifecycle"."""
    # Given
    function = account.function(PROCESS)
    name = function.split(":")[-1]
    with ThreadPoolExecutor(1) as pool:
        invoking = pool.submit(account.invoked, function, 15)
        (process,) = eventually(lambda: function_processes(account.endpoint, name))
        time.sleep(0.5)  # until it runs the handler

        # When
        process.kill()
        error = invoking.result(5)

    # Then
    assert error["errorType"] == "Runtime.ExitError"
    assert error["errorMessage"].endswith("Runtime exited with error: signal: killed")
    after = account.invoked(function)
    assert after != process.pid
    assert function_processes(account.endpoint, name) == [FunctionProcess(after, name)]
    assert FunctionProcess(after, name) in function_processes(account.endpoint)


def test_a_process_killed_while_it_starts_fails_its_invocation_only(account: Account) -> None:
    """AWS Lambda developer guide, "Understanding the Lambda execution environment lifecycle"."""
    # Given
    function = account.function(f"import time\ntime.sleep(0.5)\n{PROCESS}")
    name = function.split(":")[-1]
    with ThreadPoolExecutor(1) as pool:
        invoking = pool.submit(account.invoked, function)
        (process,) = eventually(lambda: function_processes(account.endpoint, name))

        # When
        process.kill()

    # Then
    assert invoking.result()["errorType"] == "Runtime.ExitError"
    assert isinstance(account.invoked(function), int)


def test_a_process_killed_while_it_waits_is_not_missed(account: Account) -> None:
    """AWS Lambda developer guide, "Understanding the Lambda execution environment lifecycle"."""
    # Given
    function = account.function(PROCESS)
    name = function.split(":")[-1]
    before = account.invoked(function)
    (process,) = function_processes(account.endpoint, name)

    # When
    process.kill()
    eventually(lambda: dead(process.pid))  # a killed one takes a moment to die

    # Then
    after = account.invoked(function)
    assert isinstance(after, int)
    assert after != before


def test_a_state_machine_retries_a_killed_function(
    account: Account, machines: StateMachines
) -> None:
    """AWS Step Functions developer guide, "Handling errors": a function's error is its name."""
    # Given
    function = account.function(PROCESS, Role=machines.role)
    retry = {"ErrorEquals": ["Runtime.ExitError"], "IntervalSeconds": 1, "MaxAttempts": 2}
    parameters = {"FunctionName": function, "Payload": 1}
    task = machines.task(None, Parameters=parameters, Retry=[retry])
    execution = machines.start(machines.create({"Task": task}))
    (process,) = eventually(lambda: function_processes(account.endpoint, function.split(":")[-1]))
    time.sleep(0.5)

    # When
    process.kill()

    # Then
    ended = machines.end(execution)
    assert ended["status"] == "SUCCEEDED"
    assert ended["output"] != str(process.pid)
