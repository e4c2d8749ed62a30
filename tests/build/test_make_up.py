"""`make up` as a process: what it prints, what it leaves for shells, and how it ends."""

import os
import re
import signal
import socket
import sys

import pytest
import requests

from local.stack import API_PATH, free_port
from tests.build.checkout import Checkout, Up, variables, wait_until_none

EXPORTED = {
    "AWS_ENDPOINT_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_DEFAULT_REGION",
    "INBOX_BUCKET",
    "OUTBOX_BUCKET",
    "STATE_MACHINE_ARN",
    "CREDENTIALS_SECRET_ARN",
    "QUANTEMPLATE_API_URL",
    "QUANTEMPLATE_TOKEN_URL",
    "STACK_NAME",
    "STACK_PID",
}
OUTSIDE = {
    "QUANTEMPLATE_API_URL": "http://127.0.0.1:9/external/v1",
    "QUANTEMPLATE_TOKEN_URL": "http://127.0.0.1:9/token",
    "QUANTEMPLATE_CLIENT_ID": "somebody",
    "QUANTEMPLATE_CLIENT_SECRET": "a 'quoted' secret",
}


def assert_all_gone(checkout: Checkout, up: Up) -> None:
    wait_until_none(checkout.folder)
    up.wait_until_port_is_free()
    assert not checkout.stack_env.exists()
    assert "Traceback" not in up.printed()


def test_a_user_drops_a_file_sees_its_run_and_stops_everything_by_ctrl_c(
    checkout: Checkout,
) -> None:
    with checkout.up() as up:
        # Given a stack that is ready
        up.wait_for(r"^ready ")
        names = variables(checkout.stack_env)
        assert names.keys() >= EXPORTED
        assert names["AWS_ENDPOINT_URL"] == f"http://127.0.0.1:{up.port}"
        assert names["STACK_NAME"] == "straight-through"
        # whose console is at the address that it prints
        address = up.wait_for(r"^To drop files and see their runs: (\S+)$")[1]
        with requests.Session() as session:
            session.trust_env = False  # no proxy leads back to this machine
            assert "<title>Straight-Through" in session.get(address, timeout=60).text
            # which alone may control the stand-in
            settings = f"{names['QUANTEMPLATE_API_URL'].removesuffix(API_PATH)}/control/settings"
            for page, status in ((names["AWS_ENDPOINT_URL"], 200), ("http://127.0.0.1:1", 403)):
                reply = session.get(settings, headers={"Origin": page}, timeout=60)
                assert reply.status_code == status
            # and whose address for events the stand-in was told
            events = settings.replace("settings", "events")
            assert names["AWS_ENDPOINT_URL"] in session.get(events, timeout=60).json()["url"]
        # and which no second one takes over
        second = checkout.make("up", STACK_PORT=str(free_port()))
        assert second.returncode != 0
        assert f"already running at {names['AWS_ENDPOINT_URL']}" in second.stderr
        assert f"kill {names['STACK_PID']}" in second.stderr
        assert variables(checkout.stack_env) == names
        # When its user drops a file, in a shell that has read stack.env
        checkout.shell('aws s3 cp local/samples/claims_may.csv "s3://$INBOX_BUCKET/claims/may.csv"')
        # Then each state is shown as it is entered, once
        up.wait_for(r"SUCCEEDED after")
        states = re.findall(r"^\d\d:\d\d:\d\d  claims-may-\S+  (\w+\??)$", up.printed(), re.M)
        assert states == [
            "Release?",
            "CheckFile",
            "FileChecked?",
            "TakeTurn",
            "UploadAndExecute",
            "WaitForPipeline",
            "CheckStatus",
            "PipelineFinished?",
            "DownloadOutputs",
            "DownloadOutput",
            "OutputStored?",
            "OutputStored",
            "PublishRun",
        ]
        assert "claims/may/" in checkout.shell('aws s3 ls --recursive "s3://$OUTBOX_BUCKET/"')
        # And Ctrl-C ends everything
        up.ctrl_c()
        assert up.ended() in {0, -signal.SIGINT}  # make's own end after an interrupt
        assert up.printed().rstrip().splitlines()[-1].endswith(("stopped", "Interrupt"))
        assert_all_gone(checkout, up)


def test_a_server_of_the_users_own_takes_the_place_of_the_stand_in_and_sigterm_ends_well(
    checkout: Checkout,
) -> None:
    # Given a stack that uses a server of the environment
    with checkout.up(**OUTSIDE) as up:
        up.wait_for(r"^ready ")
        names = variables(checkout.stack_env)
        assert names["QUANTEMPLATE_API_URL"] == OUTSIDE["QUANTEMPLATE_API_URL"]
        assert names["QUANTEMPLATE_TOKEN_URL"] == OUTSIDE["QUANTEMPLATE_TOKEN_URL"]
        assert "stand-in" not in up.printed()
        # and its credentials, which reach only the stack's secret
        secret = checkout.shell(
            'aws secretsmanager get-secret-value --secret-id "$CREDENTIALS_SECRET_ARN"'
            " --query SecretString --output text"
        )
        assert OUTSIDE["QUANTEMPLATE_CLIENT_SECRET"] in secret
        assert OUTSIDE["QUANTEMPLATE_CLIENT_SECRET"] not in checkout.stack_env.read_text()
        # When the process named by stack.env is asked to end
        os.kill(int(names["STACK_PID"]), signal.SIGTERM)
        # Then it does, and all is well
        assert up.ended() == 0
        assert_all_gone(checkout, up)


def test_when_one_of_its_parts_dies_it_says_so_and_ends_with_an_error(checkout: Checkout) -> None:
    with checkout.up(**OUTSIDE) as up:
        # Given a stack whose AWS is killed
        up.wait_for(r"^ready ")
        aws = part_of(int(variables(checkout.stack_env)["STACK_PID"]), "emulator")
        os.kill(aws, signal.SIGKILL)
        # Then it names the part and its log, and ends with an error
        assert up.ended() != 0
        assert "local AWS was killed by signal 9" in up.printed()
        assert ".local/log/aws.log" in up.printed()
        assert_all_gone(checkout, up)


def test_when_it_is_killed_itself_its_parts_end_and_the_next_start_forgets_it(
    checkout: Checkout,
) -> None:
    # Given a stack that was killed, and the file that it could not remove
    with checkout.up(**OUTSIDE) as up:
        up.wait_for(r"^ready ")
        os.kill(int(variables(checkout.stack_env)["STACK_PID"]), signal.SIGKILL)
        up.ended()
        wait_until_none(checkout.folder)
        up.wait_until_port_is_free()
        assert checkout.stack_env.exists()
    # When the next one starts, and is stopped before it is ready
    with checkout.up(**OUTSIDE) as up:
        up.wait_for("building|starting")
        # Then the dead stack's file is gone
        assert not checkout.stack_env.exists()
        up.ctrl_c()
        up.ended()
        assert_all_gone(checkout, up)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"STACK_PORT": "none"}, "STACK_PORT must be a port number"),
        ({"QUANTEMPLATE_API_URL": "http://127.0.0.1:9"}, "not QUANTEMPLATE_TOKEN_URL"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(
    checkout: Checkout, settings: dict[str, str], said: str
) -> None:
    made = checkout.make("up", **settings)
    assert made.returncode != 0
    assert said in made.stderr
    assert "Traceback" not in made.stderr


def test_a_port_that_is_taken_is_named_with_the_way_to_another(checkout: Checkout) -> None:
    # Given somebody on the port
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = somebody.getsockname()[1]
        # When
        made = checkout.make("up", STACK_PORT=str(port))
    # Then
    assert made.returncode != 0
    assert f"Port {port} is taken" in made.stderr
    assert "STACK_PORT=" in made.stderr.split("taken", 1)[1]


def part_of(parent: int, module: str) -> int:
    """The process id of a part of the stack (Linux: /proc)."""
    with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as file:  # noqa: PTH123
        children = [int(number) for number in file.read().split()]
    for child in children:
        with open(f"/proc/{child}/cmdline", "rb") as file:  # noqa: PTH123
            if module.encode() in file.read():
                return child
    raise AssertionError(f"{module} does not run under {sys.executable}")
