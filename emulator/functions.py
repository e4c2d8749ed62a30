"""Lambda functions as real awslambdaric processes, on ministack's own Runtime API.

A process serves one invocation at a time and is used again while it is warm.
"""

import itertools
import logging
import queue
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from emulator import browsers, function_process
from emulator.function_host import Config, FunctionHost
from emulator.function_memory import BoundedProcess
from emulator.journal import Journal
from emulator.metrics import record_embedded_metrics
from emulator.seams import replace, seam

TIMED_OUT, EXITED = "Sandbox.Timedout", "Runtime.ExitError"
# What Lambda calls the end of a process that outgrew its memory: both are seen, so both are given.
OUT_OF_MEMORY = "Runtime.OutOfMemory"
KILLED = {TIMED_OUT, EXITED, OUT_OF_MEMORY}
OUTGROWN = itertools.cycle((OUT_OF_MEMORY, EXITED))
LAST_LINES = 10.0  # seconds for what an invocation has written, beyond what any machine takes
A_LOOK = 0.05  # seconds until it is seen that a process has ended
logger = logging.getLogger("emulator.functions")
run_in_process = seam(lambda_svc, "_execute_function_provided_warm")


class FunctionWorker(lambda_runtime.ProvidedWorker):  # type: ignore[misc] # untyped library
    """One function process, with the error names and messages that Lambda gives its failures."""

    _exit_status: int | None = None
    _proc: Any
    _bounded: BoundedProcess | None = None
    _request_id = ""

    def invoke(self, event: object, request_id: str, **context: object) -> dict[str, Any]:
        """Run one invocation; a failure comes back under Lambda's `errorType` for it."""
        self._request_id = request_id
        try:
            result: dict[str, Any] = super().invoke(event, request_id, **context)
        except lambda_runtime.ProvidedInitTimeout:
            result = self._failed({"errorType": TIMED_OUT})
        except RuntimeError:  # the process ended, or reported an error, before it was ready
            reported = self._init_error
            result = self._failed(reported if isinstance(reported, dict) else {"errorType": EXITED})
        if self._bounded and self._bounded.outgrown:  # seen, perhaps, when it had answered
            self._bounded = None
            result = self._failed({"errorType": next(OUTGROWN)}, result["log"])
        failure = result.get("error_payload")
        if isinstance(failure, dict) and failure.get("errorType") in KILLED:
            failure["errorMessage"] = f"RequestId: {request_id} Error: {self._cause(failure)}"
        return result

    def _await_init(self, *arguments: object) -> None:
        """Bound the memory of the process, which has just been started."""
        self._bounded = BoundedProcess(self._proc, self.config.get("MemorySize", 128))
        self._proc = self._bounded
        super()._await_init(*arguments)

    def _drain_stderr_bounded(self, *waits: float, **named: float) -> str:
        """All that an invocation has written: its end is marked, however busy the machine is."""
        if not self._init_settled.is_set():  # nothing has been invoked
            return str(super()._drain_stderr_bounded(*waits, **named))
        lines: list[str] = []
        until = time.monotonic() + LAST_LINES
        while time.monotonic() < until:
            written = not self._log_thread or not self._log_thread.is_alive()
            try:
                line = self._stderr_queue.get(timeout=0 if written else A_LOOK)
            except queue.Empty:
                if written:  # the process has ended, and all is read
                    break
                continue
            line, marked, request = line.partition(function_process.END_OF_LOG)
            if line or not marked:
                lines.append(line)
            if marked and request == self._request_id:
                break
        return "\n".join(lines)

    def _failed(self, payload: dict[str, Any], log: str | None = None) -> dict[str, Any]:
        log = self._drain_stderr() if log is None else log
        return {"status": "error", "error_payload": payload, "log": log}

    def _cause(self, failure: dict[str, Any]) -> str:
        if failure["errorType"] == TIMED_OUT:
            return f"Task timed out after {self.config['Timeout']:.2f} seconds"
        killed = self._exit_status is not None and self._exit_status < 0
        status = "signal: killed" if killed else f"exit status {self._exit_status}"
        return f"Runtime exited with error: {status}"

    def _teardown(self) -> None:
        """End the process at once, as Lambda does at the deadline: SIGTERM could be ignored."""
        if self._proc is not None:
            self._exit_status = self._proc.poll()
            self._proc.kill()
        super()._teardown()

    def _build_handler_class(self, *arguments: object) -> Any:
        """The Runtime API, for the function's process and no page in a browser."""

        class Handler(super()._build_handler_class(*arguments)):  # type: ignore[misc] # untyped
            disable_nagle_algorithm = True  # its two writes would wait 40 ms for each other

            def parse_request(self) -> bool:
                """Read a request's head; False where it has been refused."""
                if not super().parse_request():
                    return False
                why = browsers.refusal(self.path, self.headers.items(), browsers.own)
                if why:
                    self.send_error(HTTPStatus.FORBIDDEN, explain=why)
                return not why

        return Handler


def install(host: FunctionHost) -> None:
    """Let ministack run functions of a Python runtime as processes of `host`."""
    drained = ("_drain_stderr", "_drain_stderr_bounded")
    for name in ("invoke", "_await_init", "_teardown", *drained, "_build_handler_class"):
        seam(lambda_runtime.ProvidedWorker, name)
    replace(lambda_runtime, "_worker_class_for", worker_class)
    replace(lambda_runtime, "subprocess", forking_on(host))
    replace(lambda_svc, "_provided_runtime_code_dir", code_folder_for(host))
    replace(lambda_svc, "_provided_worker_env", lambda _: host.environment)
    replace(lambda_svc, "_execute_function_warm", execute_on(host))
    replace(lambda_svc, "_emit_lambda_logs", emit_logs(host.journal))


def is_python(config: Config) -> bool:
    """Whether a function has a Python runtime."""
    return str(config.get("Runtime", "")).startswith("python")


def worker_class(original: Callable[[Config], type]) -> Callable[[Config], type]:
    """The class that runs a function."""
    return lambda config: FunctionWorker if is_python(config) else original(config)


def forking_on(host: FunctionHost) -> Callable[[ModuleType], Any]:
    """What ministack starts processes by: a fork for that of a Python function."""

    def make(original: ModuleType) -> Any:
        def start(command: list[str], **options: Any) -> Any:
            if Path(command[0]).resolve() == host.bootstrap.resolve():
                return host.forks.start(options["cwd"], options["env"])
            return original.Popen(command, **options)

        return SimpleNamespace(**vars(original) | {"Popen": start})

    return make


def code_folder_for(host: FunctionHost) -> Callable[..., Callable[[bytes], str]]:
    """The folder of unpacked code, with the executable that ministack starts in it."""

    def make(original: Callable[[bytes], str]) -> Callable[[bytes], str]:
        def with_bootstrap(code_zip: bytes) -> str:
            code = original(code_zip)
            host.add_bootstrap(Path(code))
            return code

        return with_bootstrap

    return make


def execute_on(host: FunctionHost) -> Callable[..., Callable[..., Any]]:
    """One invocation; it waits while the function has all the processes that it may have."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def execute(function: Config, event: object, request_id: str) -> object:
            config = function.get("config") or function
            if not is_python(config):
                return original(function, event, request_id)
            with host.slot(config["FunctionArn"]):
                return run_in_process(function, event, request_id)

        return execute

    return make


def emit_logs(journal: Journal | None) -> Callable[..., Callable[..., None]]:
    """Log lines to CloudWatch, and to this server's log; metrics from those that carry any."""

    def make(original: Callable[..., None]) -> Callable[..., None]:
        def emit(
            function: Config, request_id: str, text: str, error: Any, ms: int, **more: Any
        ) -> None:
            config = function.get("config") or function
            for line in (text or "").splitlines():
                logger.info("%s %s", config.get("FunctionName"), line)
                record_embedded_metrics(line)
            if journal:
                journal.invoked(config, ms)
            original(function, request_id, text, error, ms, **more)

        return emit

    return make
