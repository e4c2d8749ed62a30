"""A function is updated in two calls; versions, aliases and what runs are left alone.

https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionConfiguration.html
https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionCode.html
https://github.com/aws/aws-cdk/issues/8446
"""

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from emulator.tests.account import ANYTHING, Account, eventually, packed
from emulator.tests.processes import function_processes
from emulator.tests.sessions import session_clients
from emulator.tests.stacks import CAPABILITIES, ended, function_resource
from emulator.tests.state_machines import StateMachines

PATH = "/_local/updates"
HANDLER = "\ndef handler(event, context):\n    return "
OLD = f"from shared import OLD{HANDLER}OLD"
NEW = f"from shared import NEW{HANDLER}NEW"


def told(endpoint: str, method: str, settings: Any = None) -> requests.Response:
    """The answer of the updates' control."""
    return requests.request(method, endpoint + PATH, json=settings, timeout=60)


def layer(account: Account, **constants: str) -> str:
    """The ARN of a layer whose module `shared` has these constants."""
    lines = "\n".join(f"{name} = {value!r}" for name, value in constants.items())
    made = account.client("lambda").publish_layer_version(
        LayerName=f"layer-{uuid.uuid4().hex[:8]}",
        Content={"ZipFile": packed({"python/shared.py": lines})},
    )
    return str(made["LayerVersionArn"])


def template(function: dict[str, Any]) -> dict[str, Any]:
    """What a stack of one function is made of."""
    document = {"Transform": "AWS::Serverless-2016-10-31", "Resources": {"Function": function}}
    return {"TemplateBody": json.dumps(document), "Capabilities": CAPABILITIES}


@contextmanager
def half_updated(account: Account) -> Iterator[str]:
    """The ARN of a stack's function with the new layer and the old code, which has an alias."""
    formation, name = account.client("cloudformation"), f"stack-{uuid.uuid4().hex[:8]}"
    old = function_resource(
        account, OLD, Layers=[layer(account, OLD="old")], AutoPublishAlias="live"
    )
    formation.create_stack(StackName=name, **template(old))
    assert ended(account, name)["StackStatus"] == "CREATE_COMPLETE"
    resources = formation.list_stack_resources(StackName=name)["StackResourceSummaries"]
    (function,) = [
        each["PhysicalResourceId"]
        for each in resources
        if each["ResourceType"] == "AWS::Lambda::Function"
    ]
    newest = layer(account, NEW="new")
    assert told(account.endpoint, "PUT", {"gap_seconds": 900_000}).status_code == 200
    try:
        new = function_resource(account, NEW, Layers=[newest], AutoPublishAlias="live")
        formation.update_stack(StackName=name, **template(new))
        functions = account.client("lambda")

        def has_the_layer() -> bool:
            found = functions.get_function_configuration(FunctionName=function)["Layers"]
            return [each["Arn"] for each in found] == [newest]

        eventually(has_the_layer)
        yield str(functions.get_function_configuration(FunctionName=function)["FunctionArn"])
    finally:
        told(account.endpoint, "DELETE").raise_for_status()
    assert ended(account, name)["StackStatus"] == "UPDATE_COMPLETE"
    formation.delete_stack(StackName=name)


def test_between_the_calls_the_old_code_meets_the_new_layer(account: Account) -> None:
    with half_updated(account) as function:
        # Given a function of which a part is updated, then what is asked for by no version fails
        assert account.invoked(function)["errorType"] == "Runtime.ImportModuleError"

        # And its alias and its version are as they were
        assert account.invoked(f"{function}:live") == "old"
        assert account.invoked(f"{function}:1") == "old"

        # When the update goes on
        told(account.endpoint, "DELETE").raise_for_status()

        # Then all have the new one, but the version
        assert eventually(lambda: account.invoked(f"{function}:live") == "new")
        assert account.invoked(function) == "new"
        assert account.invoked(f"{function}:1") == "old"


def test_what_is_retried_between_the_calls_comes_through(
    account: Account, machines: StateMachines
) -> None:
    with half_updated(account) as function:
        # Given an execution that fails at the function of which a part is updated
        errors = ["Runtime.ImportModuleError"]
        often = {"IntervalSeconds": 10, "BackoffRate": 1, "MaxAttempts": 1000}
        task = machines.task(
            None, Parameters={"FunctionName": function}, Retry=[{"ErrorEquals": errors, **often}]
        )
        execution = machines.start(machines.create({"Task": task}))
        machines.until(execution, "TaskFailed")

        # When the update goes on
        told(account.endpoint, "DELETE").raise_for_status()

        # Then the execution does, too
        assert machines.end(execution)["output"] == '"new"'


@pytest.mark.parametrize("changed", ["code", "configuration"])
def test_an_invocation_goes_on_while_its_function_is_updated(
    account: Account, tmp_path: Path, changed: str
) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html"""
    # Given an invocation under way
    entered, go_on = tmp_path / "entered", tmp_path / "go on"
    code = f"""
import os, time

def handler(event, context):
    open({str(entered)!r}, "w").close()
    while event == "wait" and not os.path.exists({str(go_on)!r}):
        time.sleep(0.01)
    return os.getpid()
"""
    functions, function = account.client("lambda"), account.function(code)
    name = function.rpartition(":")[2]
    before = account.invoked(function)
    entered.unlink()
    with ThreadPoolExecutor(1) as pool:
        invoking = pool.submit(account.invoked, function, "wait")
        eventually(entered.exists)

        # When the function is updated, and invoked
        if changed == "code":
            content = packed({"app.py": f"{code}\n# and more"})
            functions.update_function_code(FunctionName=function, ZipFile=content)
        else:
            functions.update_function_configuration(FunctionName=function, MemorySize=256)
        after = account.invoked(function)

        # Then that has another process, and the first one ends as it began
        go_on.touch()
        assert invoking.result(30) == before
    assert after != before
    eventually(lambda: [each.pid for each in function_processes(account.endpoint, name)] == [after])


def test_the_right_to_call_a_function_is_none_to_call_its_alias(account: Account) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/lambda-api-permissions-ref.html"""
    # Given a function with an alias
    functions, function = account.client("lambda"), account.function(f"{HANDLER}1")
    version = functions.publish_version(FunctionName=function)["Version"]
    functions.create_alias(FunctionName=function, Name="live", FunctionVersion=version)

    def refusals(resource: str) -> list[str]:
        """How one who may call `resource` is refused the function, and its alias both ways."""
        role = account.role({**ANYTHING, "Action": "lambda:InvokeFunction", "Resource": resource})
        client = session_clients(account, role)("lambda")
        return [
            refusal(client, **call)
            for call in (
                {"FunctionName": function},
                {"FunctionName": function, "Qualifier": "live"},
                {"FunctionName": f"{function}:live"},
            )
        ]

    # Then who may call one of them may not call the other
    denied = "AccessDeniedException"
    assert refusals(function) == ["", denied, denied]
    assert refusals(f"{function}:live") == [denied, "", ""]
    assert refusals(f"{function}*") == ["", "", ""]


def refusal(client: Any, **call: str) -> str:
    """The name of the error that refuses a call of a function, if one does."""
    try:
        client.invoke(**call)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


@pytest.mark.parametrize("settings", [{"gap_seconds": -1}, {"gap_seconds": None}, {"gap": 1}])
def test_settings_that_make_no_sense_are_refused(account: Account, settings: Any) -> None:
    assert told(account.endpoint, "PUT", settings).status_code == 400
    assert told(account.endpoint, "GET").json() == {"gap_seconds": 2}
