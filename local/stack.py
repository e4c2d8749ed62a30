"""The local stack: AWS and Quantemplate as processes, the template deployed, all stopped again."""

import json
import os
import shlex
import shutil
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError

from local import deploy
from local.build import layer_zip
from local.console.served import MOUNT
from local.process import ROOT, Part, wait_until_ready
from local.quantemplate import Control

LOCAL = ROOT / ".local"
AWS_CLIENT = ROOT / ".venv-aws" / "client"  # made by `make up` where the machine has no aws
TOKEN_PATH = "/auth/realms/qt/protocol/openid-connect/token"
API_PATH = "/external/v1"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class SettingsError(Exception):
    """A setting of the environment cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Quantemplate:
    """A Quantemplate server and the credentials for it."""

    api_url: str
    token_url: str
    client_id: str = "straight-through"
    client_secret: str = "local-secret"


@dataclass(frozen=True)
class Stack:
    """A deployed stack: where it serves, what it is made of, and its CloudFormation outputs."""

    endpoint: str
    quantemplate: Quantemplate
    outputs: Mapping[str, str]
    parts: tuple[Part, ...]

    def client(self, service: str) -> Any:
        """A boto3 client of this stack's AWS."""
        return deploy.clients(self.endpoint)(service)

    def check(self) -> None:
        """Raise PartFailed if one of its processes has ended."""
        for part in self.parts:
            part.check()


@contextmanager
def running(
    folder: Path, port: int, server: Quantemplate | None, progress: Callable[[str], None]
) -> Iterator[Stack]:
    """A stack with its logs in `folder`; the stand-in serves where `server` is None.

    Raises PartFailed, BuildFailed, DeployFailed; KeyboardInterrupt on SIGINT, SIGTERM and SIGHUP.
    Whatever happens, all that was started is stopped at the end.
    """
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    parts = []
    try:
        log = folder / "log"
        parts.append(local_aws("--port", str(port), log=log / "aws.log"))
        if server is None:
            options = ["--port", "0"]
            for origin in origins_on(port):  # the console's
                options += ["--page", origin]
            name, log_file = "stand-in Quantemplate", log / "quantemplate.log"
            parts.append(Part(name, "local.quantemplate", *options, log=log_file))
        progress("building the layer for this machine")
        layer = layer_zip(ROOT / "layers", LOCAL / "build")
        progress("starting " + " and ".join(part.name for part in parts))
        endpoint, *others = wait_until_ready(*parts)
        if server is None:
            server = Quantemplate(others[0] + API_PATH, others[0] + TOKEN_PATH)
            outputs = deployed(endpoint, server, layer, progress, QuantemplateEvents="on")
            subscribe(Control(others[0]), endpoint, outputs)
        else:  # it reaches nothing on this machine
            outputs = deployed(endpoint, server, layer, progress)
        yield Stack(endpoint, server, outputs, tuple(parts))
    except BotoCoreError:
        for part in parts:
            part.check()  # if one has ended, that is why
        raise
    finally:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        progress("stopping")
        for part in parts:
            part.ask_to_stop()
        for part in parts:
            part.stop()


def local_aws(*options: str, log: Path) -> Part:
    """The emulator of AWS, with the console in it."""
    return Part("local AWS", "emulator", "--mount", MOUNT, *options, log=log)


def origins_on(port: int) -> tuple[str, str]:
    """The origins that pages of a server on this port have, by the names that people type."""
    return f"http://127.0.0.1:{port}", f"http://localhost:{port}"


def deployed(
    endpoint: str,
    server: Quantemplate,
    layer: Path,
    progress: Callable[[str], None],
    **parameters: str,
) -> Mapping[str, str]:
    """Deploy the project, then put its secret and its routes; return the stack's outputs."""
    client = deploy.clients(endpoint)
    parameters |= {
        "QuantemplateApiUrl": server.api_url,
        "QuantemplateTokenUrl": server.token_url,
    }
    outputs = deploy.deploy(client, ROOT, layer, parameters, progress)
    secret = outputs["CredentialsSecretArn"]
    deploy.put_credentials(client("secretsmanager"), secret, server.client_id, server.client_secret)
    deploy.put_routes(client("ssm"), outputs["RoutesPath"])
    return outputs


def subscribe(stand_in: Control, endpoint: str, outputs: Mapping[str, str]) -> None:
    """Let the stand-in send its events to a stack that takes them."""
    secrets = deploy.clients(endpoint)("secretsmanager")
    secret = secrets.get_secret_value(SecretId=outputs["EventsKeyArn"])["SecretString"]
    stand_in.events(url=f"{outputs['EventsUrl']}{json.loads(secret)['key']}")


# --- settings ----------------------------------------------------------------------------------
def chosen_port(environment: Mapping[str, str]) -> int:
    """STACK_PORT, or 4566. Raises SettingsError where it is no port or is taken."""
    text = environment.get("STACK_PORT") or "4566"
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise SettingsError(f"STACK_PORT must be a port number from 1 to 65535, and is {text!r}.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(text)))
        except PermissionError:
            raise SettingsError(
                f"Port {text} needs more rights than you have. Choose one above 1023: "
                "STACK_PORT=4567 make up"
            ) from None
        except OSError:
            raise SettingsError(
                f"Port {text} is taken. Stop what uses it, or choose another: "
                f"STACK_PORT={int(text) % 65535 + 1} make up"
            ) from None
    return int(text)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def chosen_server(environment: Mapping[str, str]) -> Quantemplate | None:
    """The environment's Quantemplate server, or None. Raises SettingsError where half is set."""
    names = [
        "QUANTEMPLATE_API_URL",
        "QUANTEMPLATE_TOKEN_URL",
        "QUANTEMPLATE_CLIENT_ID",
        "QUANTEMPLATE_CLIENT_SECRET",
    ]
    values = [environment.get(name, "") for name in names]
    if all(values):
        return Quantemplate(*values)
    if not any(values):
        return None
    given = [name for name, value in zip(names, values, strict=True) if value]
    missing = [name for name, value in zip(names, values, strict=True) if not value]
    raise SettingsError(
        f"{' and '.join(given)} are set, but not {' and '.join(missing)}. "
        "Set all four to use your own Quantemplate server, or none to use the stand-in. "
        "A shell that has read .local/stack.env has the first two set: open another, or\n"
        f"  unset {' '.join(given)}"
    )


# --- stack.env ---------------------------------------------------------------------------------
def stack_environment(stack: Stack) -> dict[str, str]:
    """What a shell needs to use the stack with the ordinary aws client."""
    return {
        "AWS_ENDPOINT_URL": stack.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": deploy.REGION,
        "AWS_REGION": deploy.REGION,
        "STACK_NAME": deploy.STACK_NAME,
        "STACK_PID": str(os.getpid()),
        "INBOX_BUCKET": stack.outputs["InboxBucket"],
        "OUTBOX_BUCKET": stack.outputs["OutboxBucket"],
        "STATE_MACHINE_ARN": stack.outputs["StateMachineArn"],
        "CREDENTIALS_SECRET_ARN": stack.outputs["CredentialsSecretArn"],
        "QUANTEMPLATE_API_URL": stack.quantemplate.api_url,
        "QUANTEMPLATE_TOKEN_URL": stack.quantemplate.token_url,
    }


SHELL_LINES = [  # for any POSIX shell, with or without `set -eu`
    "# Of your own account: they would win.",
    "unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SESSION_TOKEN AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"
    r" $(env | sed -n 's/^\(AWS_ENDPOINT_URL_[A-Z0-9_]*\)=.*/\1/p')",
    "# No proxy leads back to this machine. Of the two spellings, the small one is read first.",
    'no_proxy="${no_proxy:-${NO_PROXY:-}}"',
    'export no_proxy="${no_proxy:+$no_proxy,}127.0.0.1,localhost"',
    'export NO_PROXY="$no_proxy"',
]


def shell_lines(values: Mapping[str, str], aws_client: Path) -> str:
    """The values as lines for `. .local/stack.env`; `aws_client` joins the PATH if it exists."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    lines += SHELL_LINES
    if aws_client.is_dir():
        lines.append(f'export PATH={shlex.quote(str(aws_client))}:"$PATH"')
    return "\n".join(lines) + "\n"


def write_environment(path: Path, text: str) -> None:
    """Put stack.env in place at once, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def read_environment(path: Path) -> dict[str, str]:
    """The values that stack.env exports; empty where there is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    words = [shlex.split(line)[1] for line in lines if line.startswith("export ")]
    return dict(word.split("=", 1) for word in words)


def refuse_second(path: Path) -> None:
    """Raise SettingsError where stack.env names a running stack: its file and logs would go."""
    values = read_environment(path)
    owner, endpoint = values.get("STACK_PID", ""), values.get("AWS_ENDPOINT_URL", "")
    # A killed stack's number may be another process's by now, which serves nothing there.
    if owner.isdigit() and alive(int(owner)) and served(endpoint):
        raise SettingsError(
            f"A stack of this folder is already running at {endpoint}. Use it, or stop it first: "
            f"kill {owner}"
        )


def remove_environment(path: Path) -> None:
    """Remove stack.env where it names this process or one that is gone."""
    owner = read_environment(path).get("STACK_PID", "")
    if not owner.isdigit() or int(owner) == os.getpid() or not alive(int(owner)):
        path.unlink(missing_ok=True)


def served(endpoint: str) -> bool:
    """Whether anybody listens at this address."""
    address = urlsplit(endpoint)
    with socket.socket() as probe:
        return probe.connect_ex((address.hostname or "127.0.0.1", address.port or 0)) == 0


def alive(process: int) -> bool:
    """Whether a process of this number exists."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def fresh(folder: Path) -> Path:
    """The folder, empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
