"""Clients are made when they are needed, and what they are answered has names of ours."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from quantemplate.client import Quantemplate
from straight_through import aws as aws_clients
from straight_through.aws import answering
from straight_through.errors import AwsUnavailable
from straight_through.queue.table import _PLAIN, _STORED
from tests.unit.conftest import ROOT
from tests.unit.test_state_machine import RESOURCES

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**38) + 1, 10**38 - 1) | st.text(max_size=9),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=5), part),
    max_leaves=9,
)


def test_a_client_for_later_is_made_once_and_at_its_first_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a client for later
    made: list[str] = []

    def client(service: str) -> Any:
        made.append(service)
        return {"a": 1}

    monkeypatch.setattr(aws_clients, "client", client)
    later = aws_clients.later("stepfunctions")
    assert made == []
    # When it is used twice
    assert (list(later.keys()), list(later.values())) == (["a"], [1])
    # Then it was made once
    assert made == ["stepfunctions"]


@given(PLAIN)
def test_the_table_gives_back_what_it_was_given(value: Any) -> None:
    assert _PLAIN.deserialize(_STORED.serialize(value)) == value


def test_the_table_takes_no_broken_number() -> None:
    with pytest.raises(TypeError, match="Float"):
        _STORED.serialize(1.5)


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "ThrottlingException"), (503, "ServiceUnavailable"), (429, "TooManyRequestsException")],
)
def test_what_passes_by_itself_has_a_name_that_is_tried_again(status: int, code: str) -> None:
    refusal: Any = {
        "Error": {"Code": code, "Message": "x"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    with (
        pytest.raises(AwsUnavailable, match=f"Systems Manager .*{code}"),
        answering("Systems Manager"),
    ):
        raise ClientError(refusal, "GetParameters")


def test_a_connection_that_breaks_passes_and_a_refusal_does_not() -> None:
    with (
        pytest.raises(AwsUnavailable, match="Step Functions does not answer"),
        answering("Step Functions"),
    ):
        raise EndpointConnectionError(endpoint_url="http://nowhere")
    refusal: Any = {
        "Error": {"Code": "TaskTimedOut", "Message": "x"},
        "ResponseMetadata": {"HTTPStatusCode": 400},
    }
    with pytest.raises(ClientError), answering("Step Functions"):
        raise ClientError(refusal, "SendTaskSuccess")


SERVICES = ("dynamodb", "events", "s3", "secretsmanager", "sns", "ssm", "stepfunctions")
NAMING = ("answering", "refusals_at")
# They hand S3's answers up: to `refusals_at`, to `refusal_of`, or to what names each copy.
HANDING_UP = ("buckets/inbox.py", "buckets/s3_objects.py")


def bare_calls(path: Path, operations: set[str]) -> Iterator[str]:
    """The calls of AWS in a module that stand in no `with` which names their errors."""
    tree = ast.parse(path.read_text("utf-8"))
    named = {
        id(call)
        for block in ast.walk(tree)
        if isinstance(block, ast.With)
        for item in block.items
        if isinstance(item.context_expr, ast.Call)
        if isinstance(item.context_expr.func, ast.Name) and item.context_expr.func.id in NAMING
        for call in ast.walk(block)
    }
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            continue
        if call.func.attr in operations and id(call) not in named:
            yield f"{path.relative_to(ROOT)}:{call.lineno}"


def test_every_call_of_aws_has_errors_of_our_names(session: Any) -> None:
    # Given all operations of the services that the functions ask; Quantemplate's client is another
    operations = {
        xform_name(operation)
        for service in SERVICES
        for operation in session.client(service).meta.service_model.operation_names
    } - set(dir(Quantemplate))
    # Then each call of one stands where its errors are given names
    layer = ROOT / "layers" / "straight_through"
    paths = {*(ROOT / "functions").glob("*/app.py"), *layer.rglob("*.py")}
    bare = {call for path in paths for call in bare_calls(path, operations)}
    assert [call for call in sorted(bare) if not any(each in call for each in HANDING_UP)] == []


FUNCTIONS = {
    name: resource["Properties"]
    for name, resource in RESOURCES.items()
    if resource["Type"] == "AWS::Serverless::Function"
}


def clients_of(function: str) -> set[str]:
    """The services that a function's module makes clients of; Quantemplate's secret is one."""
    tree = ast.parse((ROOT / FUNCTIONS[function]["CodeUri"] / "app.py").read_text("utf-8"))
    made = {
        call.func.id: call
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
    }
    services = {
        str(call.args[0].value)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        if isinstance(call.func, ast.Name) and call.func.id in ("client", "later")
        if isinstance(call.args[0], ast.Constant)
    }
    return services | ({"secretsmanager"} if "connection" in made else set())


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_a_service_that_hangs_is_an_error_before_its_function_is_killed(
    aws: None,  # noqa: ARG001
    function: str,
) -> None:
    """https://repost.aws/knowledge-center/lambda-function-retry-timeout-sdk"""
    services = clients_of(function)
    assert services
    for service in services:
        # Given what a call may take: each try connects, then waits for a byte
        config = aws_clients.client(service).meta.config
        tries = config.retries["total_max_attempts"]
        waits = sum(min(2.0**n, 20) for n in range(tries - 1))  # botocore's standard back-off
        longest = tries * (config.connect_timeout + config.read_timeout) + waits
        # Then it is tried once more at least, and all of it ends within the function's time
        assert (config.retries["mode"], tries > 1) == ("standard", True)
        assert longest < FUNCTIONS[function]["Timeout"], service
