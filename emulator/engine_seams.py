"""The private names of moto's state machine engine that behave otherwise than AWS."""

import datetime
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.client import BaseClient
from botocore.config import Config
from ministack.core import lambda_runtime
from moto.stepfunctions.parser.api import HistoryEventType
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state import state as state_module
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.inline_iteration_component import (  # noqa: E501 - moto's name
    InlineIterationComponent,
)
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import (
    WaitFunction,
)
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.utils import boto_client, json_path

from emulator import engine_nested, engine_sdk, engine_tasks
from emulator.engine import AttemptEnvironment
from emulator.seams import replace, seam

LONGEST_NAP = 30.0  # seconds after which a Wait looks whether it is still wanted
PATHS = 1000  # JSON paths that are kept parsed


def install(time_scale: float) -> None:
    """Replace them; `time_scale` is the length of a second in Wait states and Retry intervals."""
    logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)  # it logs whole states
    replace_client_factory()
    replace(state_module, "StateData", lambda _: state_data)
    replace(WaitFunction, "_wait_interval", lambda _: wait_for(time_scale))
    clock = SimpleNamespace(sleep=lambda seconds: time.sleep(seconds * time_scale))
    replace(retrier_decl, "time", lambda _: clock)
    replace(InlineIterationComponent, "_eval_body", lambda _: run_inline_map)
    # Each parsing makes a parser anew.
    replace(json_path, "parse", lru_cache(PATHS))
    engine_tasks.install()
    engine_nested.install()
    engine_sdk.install(time_scale)


def replace_client_factory() -> None:
    """Give every part of the engine clients of this server, with the state machine's role."""
    seam(boto_client, "boto_client_for")
    clients = RoleClients()
    for name, module in list(sys.modules.items()):
        if name.startswith("moto.stepfunctions.") and hasattr(module, "boto_client_for"):
            vars(module)["boto_client_for"] = clients.get


class RoleClients:
    """boto3 clients, one for each region, service and role: making one takes long."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str, str], BaseClient] = {}

    def get(self, region: str, service: str, state_credentials: Any = None) -> BaseClient:
        """A client that acts as the state machine's role."""
        keys = role_credentials(region, state_credentials.role_arn)
        with self._lock:
            key = (region, service, keys["AWS_ACCESS_KEY_ID"])
            if key not in self._clients:
                session: Any = boto3.Session()
                self._clients[key] = session.client(
                    service,
                    region_name=region,
                    endpoint_url=os.environ["AWS_ENDPOINT_URL"],
                    aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
                    aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
                    aws_session_token=keys["AWS_SESSION_TOKEN"] or None,
                    config=Config(
                        parameter_validation=False,
                        retries={"total_max_attempts": 1},
                        read_timeout=None,
                        max_pool_connections=2000,
                        inject_host_prefix=False,
                    ),
                )
            return self._clients[key]


def role_credentials(region: str, role_arn: str) -> dict[str, str]:
    """Credentials of a session of the role, as the server hands them to functions."""
    account = role_arn.split(":")[4]
    credentials: dict[str, str] = seam(lambda_runtime, "execution_credentials")(
        {
            "FunctionArn": f"arn:aws:lambda:{region}:{account}:function:StepFunctions",
            "FunctionName": "StepFunctions",
            "Role": role_arn,
        }
    )
    return credentials


def state_data(**fields: Any) -> dict[str, Any]:
    """`$$.State` with the time as AWS writes it."""
    entered = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    return {**fields, "EnteredTime": entered.replace("+00:00", "Z"), "RetryCount": 0}


def wait_for(time_scale: float) -> Callable[..., None]:
    """A Wait that ends early when nothing waits for it any more."""

    def wait(_self: WaitFunction, env: AttemptEnvironment, wait_seconds: float) -> None:
        end = time.monotonic() + wait_seconds * time_scale
        while env.is_running() and (left := end - time.monotonic()) > 0:
            env.program_state_event.wait(min(left, LONGEST_NAP))

    return wait


def run_inline_map(self: InlineIterationComponent, env: AttemptEnvironment) -> None:
    """Run the iterations; when one fails, abort the others before the Map fails."""
    request = env.stack.pop()
    iterations = env.place.iterate(self, request.input_items)
    count = len(request.input_items)
    for _ in range(min(count, request.max_concurrency or count)):
        self._launch_worker(env=env, eval_input=request, job_pool=iterations)
    iterations.await_jobs()
    if failure := iterations.get_worker_exception():
        for frame in list(env._frames):
            frame.abort()
        for index in iterations.unfinished():
            env.event_manager.add_event(
                env.event_history_context,
                HistoryEventType.MapIterationAborted,
                EventDetails(
                    mapIterationAbortedEventDetails={"name": request.state_name, "index": index}
                ),
                update_source_event_id=False,
            )
        raise failure
    env.stack.append([closed.job_output for closed in iterations.get_closed_jobs()])
