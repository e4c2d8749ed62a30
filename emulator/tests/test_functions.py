"""Functions run as they do on Lambda."""

import base64
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from emulator.tests.account import Account, eventually, packed
from emulator.tests.stacks import created, function_resource

WHERE = """
import os, sys

def handler(event, context):
    return {"environment": dict(os.environ), "path": sys.path, "cwd": os.getcwd(),
            "remaining": context.get_remaining_time_in_millis(),
            "arn": context.invoked_function_arn, "log_group": context.log_group_name}
"""
PROCESS = """
import os, time

def handler(event, context):
    time.sleep(event or 0)
    return os.getpid()
"""


def test_a_function_has_lambdas_environment_and_nothing_of_this_machines(account: Account) -> None:
    """AWS Lambda developer guide, "Working with Lambda environment variables"."""
    # Given
    arn = account.function(WHERE, MemorySize=256, Environment={"Variables": {"COLOUR": "blue"}})
    name = arn.split(":")[-1]

    # When
    seen = account.invoked(arn)

    # Then
    environment = seen["environment"]
    code = environment["LAMBDA_TASK_ROOT"]
    assert (
        environment.items()
        >= {
            "COLOUR": "blue",
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ENDPOINT_URL": account.endpoint,
            "TZ": ":UTC",
            "LANG": "en_US.UTF-8",
            "_HANDLER": "app.handler",
        }.items()
    )
    assert environment.keys() == {
        *("COLOUR", "TZ", "LANG", "PATH", "PYTHONPATH", "TMPDIR", "_HANDLER"),
        *("AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION"),
        *("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_INITIALIZATION_TYPE"),
        *("AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_RUNTIME_API"),
        *("AWS_EXECUTION_ENV", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"),
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
        *("LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR"),
    } | (environment.keys() & {"PWD", "LC_CTYPE", "SHLVL", "_", "OLDPWD"})  # /bin/sh and Python
    assert environment["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert seen["cwd"] == seen["path"][0] == code
    assert (seen["arn"], seen["log_group"]) == (arn, f"/aws/lambda/{name}")
    assert 19_000 < seen["remaining"] <= 20_000


def test_only_the_function_its_layers_and_the_runtime_can_be_imported(account: Account) -> None:
    """AWS Lambda developer guide, "Search paths and runtime-included libraries"."""
    # Given
    layers = [
        account.client("lambda").publish_layer_version(
            LayerName=name, Content={"ZipFile": packed(files)}
        )["LayerVersionArn"]
        for name, files in {
            "first": {"python/shared.py": "NAME = 'first'", "python/only_first.py": ""},
            "second": {"python/shared.py": "NAME = 'second'"},
        }.items()
    ]
    code = """
import shared, only_first, awslambdaric

def handler(event, context):
    __import__(event)
    return shared.NAME
"""
    function = account.function(code, Layers=layers)

    # When
    found = account.invoked(function, "json")
    missing = [account.invoked(function, name) for name in ("ministack", "pytest", "local")]

    # Then
    assert found == "second"
    assert [error["errorType"] for error in missing] == ["ModuleNotFoundError"] * 3


@pytest.mark.parametrize(
    ("code", "settings", "error"),
    [
        ("def handler(event, context): raise ZeroDivisionError('no')", {}, "ZeroDivisionError"),
        (
            "class NoRoute(Exception): pass\ndef handler(event, context): raise NoRoute()",
            {},
            "NoRoute",
        ),
        ("import missing", {}, "Runtime.ImportModuleError"),
        ("def (", {}, "Runtime.UserCodeSyntaxError"),
        ("other = 1", {}, "Runtime.HandlerNotFound"),
        ("raise LookupError('at start')", {}, "LookupError"),
        ("import os; os._exit(3)", {}, "Runtime.ExitError"),
        (
            "import os\ndef handler(event, context): os.kill(os.getpid(), 9)",
            {},
            "Runtime.ExitError",
        ),
        ("import sys\ndef handler(event, context): sys.exit(1)", {}, "Runtime.ExitError"),
        (
            "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "def handler(event, context): time.sleep(60)",
            {"Timeout": 1},
            "Sandbox.Timedout",
        ),
    ],
)
def test_an_error_has_the_name_that_lambda_gives_it(
    account: Account, code: str, settings: dict[str, int], error: str
) -> None:
    """AWS Lambda developer guide, "Understanding function errors in the Lambda console"."""
    # Given
    function = account.function(code, **settings)

    # When
    started = time.monotonic()
    reply = account.client("lambda").invoke(FunctionName=function)

    # Then
    assert time.monotonic() - started < 2.5
    assert reply["StatusCode"] == 200
    assert reply["FunctionError"] == "Unhandled"
    assert json.loads(reply["Payload"].read())["errorType"] == error


def test_a_timed_out_function_is_killed_and_the_next_invocation_gets_a_new_process(
    account: Account, tmp_path: Path
) -> None:
    """AWS Lambda developer guide, "Understanding the Lambda execution environment lifecycle"."""
    # Given
    beat = tmp_path / "beat"
    code = f"""
import os, time

def handler(event, context):
    while event == "hang":
        open({str(beat)!r}, "w").write(str(time.time()))
        time.sleep(0.01)
    return os.getpid()
"""
    function = account.function(code, Timeout=1)
    before = account.invoked(function)

    # When
    message = account.invoked(function, "hang")["errorMessage"]
    last = beat.read_text()
    after = account.invoked(function)

    # Then
    assert re.fullmatch(r"RequestId: [-0-9a-f]+ Error: Task timed out after 1.00 seconds", message)
    assert beat.read_text() == last
    assert after != before


def test_a_warm_process_is_used_again_and_concurrent_invocations_get_their_own(
    account: Account,
) -> None:
    """AWS Lambda developer guide, "Understanding Lambda function scaling"."""
    # Given
    function = account.function(PROCESS)

    # When
    in_turn = {account.invoked(function) for _ in range(3)}
    with ThreadPoolExecutor(4) as pool:
        at_once = set(pool.map(lambda _: account.invoked(function, 0.5), range(4)))

    # Then
    assert len(in_turn) == 1
    assert len(at_once) == 4
    assert in_turn < at_once


def test_more_invocations_than_processes_wait_for_one(account: Account) -> None:
    """Lambda would start more; a machine has no room for that, and none is throttled."""
    # Given
    function = account.function(PROCESS)

    # When
    with ThreadPoolExecutor(20) as pool:
        processes = list(pool.map(lambda _: account.invoked(function, 0.1), range(20)))

    # Then
    assert all(isinstance(process, int) for process in processes)
    assert len(set(processes)) <= 8


def test_log_lines_go_to_the_log_group_that_the_function_names(account: Account) -> None:
    """AWS Lambda developer guide, "Configuring CloudWatch log groups"."""
    # Given
    logs = account.client("logs")
    logs.create_log_group(logGroupName="/shared")
    function = account.function(
        'import sys\ndef handler(event, context): print(\'{"a": 1}\'); print("b", file=sys.stderr)',
        LoggingConfig={"LogGroup": "/shared"},
    )

    # When
    account.invoked(function)

    # Then
    def lines() -> list[str]:
        found = logs.filter_log_events(logGroupName="/shared")["events"]
        return [event["message"] for event in found]

    assert eventually(lambda: {'{"a": 1}', "b"} <= set(lines()))


def test_a_failing_start_is_logged(account: Account) -> None:
    """AWS Lambda developer guide, "Understanding the Lambda execution environment lifecycle"."""
    # Given
    function = account.function("print('before')\nraise LookupError('at start')")

    # When
    account.invoked(function)

    # Then
    found = account.client("logs").filter_log_events(
        logGroupName=f"/aws/lambda/{function.split(':')[-1]}"
    )
    messages = [event["message"] for event in found["events"]]
    assert "before" in messages
    assert "[ERROR] LookupError: at start" in messages


def test_embedded_metrics_reach_cloudwatch(account: Account) -> None:
    """Amazon CloudWatch user guide, "Specification: Embedded metric format"."""
    # Given
    code = """
import base64
import json

def handler(event, context):
    metric = {"Name": "Rows", "Unit": "Count"}
    directive = {"Namespace": "Files", "Dimensions": [["route"]], "Metrics": [metric]}
    print(json.dumps({"_aws": {"Timestamp": event, "CloudWatchMetrics": [directive]},
                      "route": "claims", "Rows": [3, 4]}))
    print('{"_aws": "malformed"}')
"""
    now = int(time.time())

    # When
    account.invoked(account.function(code), now * 1000)

    # Then
    points = account.client("cloudwatch").get_metric_statistics(
        Namespace="Files",
        MetricName="Rows",
        Dimensions=[{"Name": "route", "Value": "claims"}],
        StartTime=now - 600,
        EndTime=now + 600,
        Period=3600,
        Statistics=["Sum", "SampleCount"],
    )["Datapoints"]
    assert sum(point["Sum"] for point in points) == 7
    assert sum(point["SampleCount"] for point in points) == 2


def test_a_stacks_function_says_which_network_it_is_in(account: Account) -> None:
    """AWS CloudFormation template reference, "AWS::Lambda::Function VpcConfig".

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-lambda-function-vpcconfig.html
    """
    # Given a function in a subnet, and one in none
    ec2 = account.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.0.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="inside", Description="-", VpcId=vpc)["GroupId"]
    network = {"SubnetIds": [subnet], "SecurityGroupIds": [group]}
    code = "def handler(event, context): return event"
    resources = {
        "Inside": function_resource(account, code, VpcConfig=network),
        "Outside": function_resource(account, code),
    }
    # When
    with created(account, resources) as stack:
        inside, outside = (
            account.client("lambda").get_function_configuration(FunctionName=stack[name])
            for name in resources
        )
        # Then both run
        assert account.invoked(stack["Inside"], {"a": 1}) == {"a": 1}
    # And the first says where
    assert inside["VpcConfig"].items() >= network.items()
    assert not outside["VpcConfig"]["SubnetIds"]


def test_all_that_an_invocation_writes_is_in_its_log_however_late_it_is_read(
    account: Account,
) -> None:
    # Given a function that pauses between what it writes, longer than anybody would wait for more,
    # and ends in the midst of a line
    code = """
import sys, time

def handler(event, context):
    for number in range(3):
        print(number)
        time.sleep(0.3)
    sys.stdout.write("last")
"""
    function = account.function(code)
    ask = {"FunctionName": function, "LogType": "Tail", "Payload": b"{}"}
    for _ in range(2):
        # When it is invoked
        answer = account.client("lambda").invoke(**ask)
        # Then all of it is there, and nothing else
        lines = base64.b64decode(answer["LogResult"]).decode().splitlines()
        assert [line for line in lines if line in ("0", "1", "2", "last")] == [
            "0",
            "1",
            "2",
            "last",
        ]
        assert "\0" not in "".join(lines)
