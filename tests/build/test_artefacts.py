"""What `make build` gives: complete, for Lambda's processor and Python, and nothing else."""

import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from local.stack import free_port
from tests.build.checkout import ROOT

FUNCTIONS = {  # logical id: folder
    "".join(word.title() for word in path.parent.name.split("_")): path.parent.name
    for path in (ROOT / "functions").glob("*/app.py")
}
LAMBDA = {
    "python_version": "3.13",
    "python_full_version": "3.13.0",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "platform_machine": "aarch64",
    "os_name": "posix",
}
AARCH64 = 183  # e_machine of ELF
SERVICES = {
    *("cloudwatch", "dynamodb", "events", "s3", "secretsmanager"),
    *("sns", "sqs", "ssm", "stepfunctions", "sts"),
}
# Calls one handler with only its folder and the layer on the path: no site-packages, no checkout.
CALL = """
import importlib, json, sys
folder, layer, event = sys.argv[1:]
sys.path[:0] = [folder, layer]
import app, pathlib
for package in ("quantemplate", "straight_through"):
    for path in pathlib.Path(layer, package).rglob("*.py"):
        importlib.import_module(".".join(path.relative_to(layer).with_suffix("").parts))
elsewhere = [
    name for name, module in sys.modules.items()
    if "site-packages" in (getattr(module, "__file__", "") or "")
]
assert not elsewhere, elsewhere
class Context:
    get_remaining_time_in_millis = staticmethod(lambda: 1000)
    function_name = memory_limit_in_mb = aws_request_id = "x"
    invoked_function_arn = "arn:aws:lambda:eu-west-1:000000000000:function:x"
try:
    print("RETURNED", json.dumps(app.handler(json.loads(event), Context())))
except Exception as error:
    print("RAISED", type(error).__name__, error)
"""
EVENTS = {  # that take each handler up to its first call of AWS
    function: json.loads((ROOT / "events" / f"{folder}.json").read_text(encoding="utf-8"))
    for function, folder in FUNCTIONS.items()
    if folder not in ("start_run", "sweep_queues")
} | {"SweepQueues": {}}


def called(built: Path, function: str, event: object) -> str:
    """What a built function prints when it is called, with an AWS that does not answer."""
    nobody = f"http://127.0.0.1:{free_port()}"
    environment = {
        "AWS_ENDPOINT_URL": nobody,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "POWERTOOLS_SERVICE_NAME": FUNCTIONS[function],
        "POWERTOOLS_METRICS_NAMESPACE": "StraightThrough",
        "QUANTEMPLATE_API_URL": f"{nobody}/external/v1",
        "QUANTEMPLATE_TOKEN_URL": f"{nobody}/token",
        "CREDENTIALS_SECRET_ARN": "arn:aws:secretsmanager:eu-west-1:000000000000:secret:x",
        "OUTBOX_BUCKET": "outbox",
        "INBOX_BUCKET": "inbox",
        "TURNS_TABLE": "turns",
        "TOPIC_ARN": "arn:aws:sns:eu-west-1:000000000000:x",
        "LATE_LIST_SECONDS": "120",
        "QUANTEMPLATE_EVENTS": "off",
        "EVENTS_KEY_SECRET_ARN": "arn:aws:secretsmanager:eu-west-1:000000000000:secret:y",
        "EMPTY_FILE_MINUTES": "10",
        "SET_WAIT_HOURS": "48",
        "LARGEST_UNZIPPED_GB": "20",
        "LARGEST_UNZIPPED_RATIO": "500",
        "API_PATIENCE_HOURS": "12",
        "BUSY_DEADLINE_HOURS": "24",
        "TURN_DEADLINE_HOURS": "720",
        "QUEUE_ALARM_HOURS": "4",
        "MOST_UPDATE_RUNS_AN_HOUR": "10",
        "PIPELINE_PAGE_URL": "",
        "TAGGED_FILES": "",
        "INBOX_PREFIX": "",
        "ROUTES_PATH": "/straight-through/routes",
        "STATE_MACHINE_ARN": "arn:aws:states:eu-west-1:000000000000:stateMachine:x",
        "IGNORE_PATTERNS": "*.filepart",
        "PIPELINE_DEADLINE_HOURS": "168",
    }
    folder, layer = str(built / function), str(built / "Layer" / "python")
    done = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-I", "-S", "-B", "-c", CALL, folder, layer, json.dumps(event)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- they run ----------------------------------------------------------------------------------
@pytest.mark.parametrize("function", EVENTS)
def test_a_function_runs_from_its_folder_and_the_layer_alone_up_to_its_first_call_of_aws(
    built: Path, function: str
) -> None:
    printed = called(built, function, EVENTS[function])
    assert re.search("Could not connect to the endpoint URL|EndpointConnectionError", printed)


def test_start_run_ignores_and_reports_from_its_folder_and_the_layer_alone(built: Path) -> None:
    # Given a message to ignore, and one to start, which cannot be as nobody answers
    (sample,) = json.loads((ROOT / "events" / "drops.json").read_text(encoding="utf-8"))["Records"]
    key = json.loads(sample["body"])["detail"]["object"]["key"]
    messages = [
        sample | {"messageId": name, "body": sample["body"].replace(key, f"claims/{name}")}
        for name in ("may.csv.filepart", "june.csv")
    ]
    # When
    printed = called(built, "StartRun", {"Records": messages})
    # Then
    assert 'RETURNED {"batchItemFailures": [{"itemIdentifier": "june.csv"}]}' in printed


# --- they hold what they must, and nothing else -------------------------------------------------
def test_a_function_is_its_folders_python_files(built: Path) -> None:
    for logical_id, folder in FUNCTIONS.items():
        source = {
            path.name: path.read_bytes() for path in (ROOT / "functions" / folder).glob("*.py")
        }
        artefact = {
            str(path.relative_to(built / logical_id)): path.read_bytes()
            for path in (built / logical_id).rglob("*")
        }
        assert artefact == source


@pytest.mark.parametrize("name", ["quantemplate", "straight_through"])
def test_the_layer_holds_our_packages_as_they_are(built: Path, name: str) -> None:
    package, layer = ROOT / "layers" / name, built / "Layer" / "python"
    source = {
        str(path.relative_to(package)): path.read_bytes()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    artefact = {
        str(path.relative_to(layer / name)): path.read_bytes()
        for path in (layer / name).rglob("*")
        if path.is_file()
    }
    assert artefact == source


def test_the_layer_holds_exactly_the_pinned_libraries(built: Path) -> None:
    layer = built / "Layer" / "python"
    pinned = set()
    for line in (ROOT / "layers" / "requirements.txt").read_text().splitlines():
        if line and not line[0].isspace():
            needed = Requirement(line.removesuffix("\\"))
            if needed.marker is None or needed.marker.evaluate(LAMBDA):
                pinned.add(f"{needed.name.replace('-', '_')}-{str(needed.specifier)[2:]}.dist-info")
    assert {path.name for path in layer.glob("*.dist-info")} == pinned


def test_compiled_code_in_the_layer_is_for_lambda(built: Path) -> None:
    compiled = list((built / "Layer").rglob("*.so"))
    assert compiled
    for path in compiled:
        (machine,) = struct.unpack_from("<H", path.read_bytes(), 18)
        assert machine == AARCH64, path
        assert re.search(r"\.(cpython-313-aarch64-linux-gnu|abi3)\.so$", path.name), path


def test_the_layer_carries_no_rubbish_and_stays_small(built: Path) -> None:
    paths = list((built / "Layer").rglob("*"))
    names = {path.name for path in paths}
    assert not names & {"__pycache__", "tests", "test", "bin", ".lock", "Makefile", "local"}
    assert not [path for path in paths if path.suffix in {".pyc", ".in", ".txt.gz"}]
    assert [path.name for path in (built / "Layer").iterdir()] == ["python"]
    assert sum(path.stat().st_size for path in paths if path.is_file()) < 19_000_000


def test_botocore_knows_the_services_that_are_used_and_its_general_data(built: Path) -> None:
    data = built / "Layer" / "python" / "botocore" / "data"
    assert {path.name for path in data.iterdir() if path.is_dir()} == SERVICES
    assert {path.name for path in data.iterdir() if path.is_file()} == {
        "_retry.json",
        "endpoints.json",
        "partitions.json",
        "sdk-default-configuration.json",
    }


# --- requirements ------------------------------------------------------------------------------
LINE = re.compile(
    r"""( [A-Za-z0-9._-]+ (\[[a-z0-9,-]+\])? == [A-Za-z0-9.!+]+ (\ ;\ [^:/]+)? \ \\  # name, version
        | \ {4}--hash=sha256:[0-9a-f]{64} (\ \\)?                                    # its hashes
        | \ {4}\# [^:]*                                                              # who wants it
        )""",
    re.VERBOSE,
)


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("[!.]*/*.txt")), ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_a_requirements_file_holds_only_names_versions_and_hashes(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not LINE.fullmatch(line)] == []


def test_every_requirements_file_was_looked_at() -> None:
    assert len(list(ROOT.glob("[!.]*/*.txt"))) == len(list(ROOT.glob("*/*.in"))) == 7
