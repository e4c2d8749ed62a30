"""A function's process has the memory that it was given, and dies when it takes more.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-invocation.html
"""

from pathlib import Path

import pytest

from emulator.tests.account import Account
from emulator.tests.state_machines import StateMachines

GROWING = """
import os, time

def handler(event, context):
    held = bytearray(event["mebibytes"] * 1024 * 1024)
    if event.get("lets_go"):
        del held
    return os.getpid()
"""
FITS, OUTGROWS = {"mebibytes": 80}, {"mebibytes": 130}


@pytest.mark.parametrize("lets_go", [False, True])
def test_a_process_that_outgrows_its_memory_is_killed_by_both_names(
    account: Account, *, lets_go: bool
) -> None:
    """Also where it had the memory for a moment only."""
    # Given
    function = account.function(GROWING, MemorySize=128)
    before = account.invoked(function, FITS)

    # When
    errors = [account.invoked(function, {**OUTGROWS, "lets_go": lets_go}) for _ in range(2)]

    # Then
    assert {error["errorType"] for error in errors} == {"Runtime.OutOfMemory", "Runtime.ExitError"}
    for error in errors:
        assert error["errorMessage"].endswith("Error: Runtime exited with error: signal: killed")
    after = account.invoked(function, FITS)
    assert isinstance(after, int)
    assert after != before


def test_a_process_that_has_room_lives_on(account: Account) -> None:
    # Given
    function = account.function(GROWING, MemorySize=256)

    # When
    processes = {account.invoked(function, event) for event in (FITS, OUTGROWS, FITS)}

    # Then
    assert len(processes) == 1


def test_a_process_that_outgrows_its_memory_as_it_starts_is_killed(account: Account) -> None:
    # Given
    function = account.function(f"HELD = bytearray(130 * 1024 * 1024)\n{GROWING}", MemorySize=128)

    # When
    error = account.invoked(function, FITS)

    # Then
    assert error["errorType"] in {"Runtime.OutOfMemory", "Runtime.ExitError"}


def test_a_state_machine_retries_what_had_too_little_memory(
    account: Account, machines: StateMachines, tmp_path: Path
) -> None:
    # Given a function that takes too much the first two times
    code = f"""
import pathlib

def handler(event, context):
    tries = pathlib.Path({str(tmp_path)!r})
    count = len(list(tries.iterdir()))
    (tries / str(count)).touch()
    held = bytearray((130 if count < 2 else 1) * 1024 * 1024)
    return count
"""
    function = account.function(code, Role=machines.role, MemorySize=128)
    names = ["Runtime.OutOfMemory", "Runtime.ExitError"]
    retry = {"ErrorEquals": names, "IntervalSeconds": 1, "MaxAttempts": 2}
    parameters = {"FunctionName": function, "Payload": {}}

    # When
    count = machines.output({"Task": machines.task(None, Parameters=parameters, Retry=[retry])})

    # Then
    assert count == 2
