"""The local AWS, with a journal of what would be paid for: `--journal FILE`, then its own options.

A line of the journal is one request of a function or one invocation. DynamoDB's units follow the
sizes that were sent and answered (AWS documentation: "DynamoDB throughput and capacity").
"""

import importlib
import json
import math
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local.aws import __main__ as local_aws

SERVICES = ("dynamodb", "s3", "ssm", "secretsmanager", "stepfunctions", "sns")
READ_UNIT, WRITE_UNIT = 4096, 1024  # bytes


class Journal:
    """Writes the lines; knows the functions by the access keys of their roles."""

    def __init__(self, path: Path) -> None:
        """Begin an empty file."""
        self._file = path.open("w", buffering=1, encoding="utf-8")
        self._lock = threading.Lock()
        self._functions: dict[str, str] = {}

    def write(self, **fields: Any) -> None:
        """Add one line."""
        with self._lock:
            self._file.write(json.dumps(fields) + "\n")

    def know(self, original: Callable[[Any], dict[str, str]]) -> Callable[[Any], dict[str, str]]:
        """A function's credentials, remembered."""

        def credentials(config: Any) -> dict[str, str]:
            made = original(config)
            self._functions[made["AWS_ACCESS_KEY_ID"]] = config["FunctionName"].rpartition("-")[2]
            return made

        return credentials

    def count(self, service: str, original: Callable[..., Any]) -> Callable[..., Any]:
        """A service whose requests are written down, where a function made them."""

        async def handle(
            method: str, path: str, headers: dict[str, str], body: bytes, *rest: Any, **more: Any
        ) -> Any:
            answer = await original(method, path, headers, body, *rest, **more)
            named = {name.lower(): value for name, value in headers.items()}
            key = named.get("authorization", "").partition("Credential=")[2].partition("/")[0]
            if function := self._functions.get(key):
                operation = named.get("x-amz-target", method).rpartition(".")[2]
                units = {}
                if service == "dynamodb":
                    units = units_of(operation, json.loads(body), json.loads(answer[2] or "{}"))
                self.write(service=service, operation=operation, function=function, **units)
            return answer

        return handle

    def invoked(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """An invocation's end, written down with its milliseconds."""

        def emit(
            function: dict[str, Any], request_id: str, text: str, error: Any, ms: int, **rest: Any
        ) -> Any:
            config = function.get("config") or function
            name = config["FunctionName"].rpartition("-")[2]
            self.write(service="lambda", function=name, ms=ms, memory=config["MemorySize"])
            return original(function, request_id, text, error, ms, **rest)

        return emit


def units_of(operation: str, request: dict[str, Any], answer: dict[str, Any]) -> dict[str, int]:
    """The read and write request units of one request; all our reads are consistent ones."""
    if operation in ("GetItem", "Query"):
        found = answer.get("Item") or answer.get("Items") or ""
        return {"read": _units(found, READ_UNIT), "write": 0}
    if operation == "TransactWriteItems":
        parts = [part for item in request["TransactItems"] for part in item.values()]
        return {"read": 0, "write": sum(2 * _units(_sent(part), WRITE_UNIT) for part in parts)}
    stood = answer.get("Attributes") or _sent(request)
    return {"read": 0, "write": _units(stood, WRITE_UNIT)}


def _sent(part: dict[str, Any]) -> Any:
    """What a write carries."""
    return part["Key"], part.get("ExpressionAttributeValues", {})


def _units(data: Any, size: int) -> int:
    """The units of so much data, as JSON; one at least."""
    return max(math.ceil(len(json.dumps(data).encode()) / size), 1)


def main() -> int:
    """Serve; the journal comes in after the environment is set, and before all else."""
    position = sys.argv.index("--journal")
    journal = Journal(Path(sys.argv[position + 1]))
    del sys.argv[position : position + 2]
    set_environment = local_aws.set_environment

    def set_up(*given: Any) -> None:
        set_environment(*given)
        # ministack reads the environment when it is imported.
        from local.aws import function_host, functions, step_functions  # noqa: PLC0415

        function_host.role_session = journal.know(function_host.role_session)
        functions.emit_logs = _after(functions.emit_logs, journal.invoked)
        install = step_functions.install

        def install_and_count(*options: Any) -> None:
            install(*options)
            for name in SERVICES:
                service = importlib.import_module(f"ministack.services.{name}")
                service.handle_request = journal.count(name, service.handle_request)

        step_functions.install = install_and_count

    local_aws.set_environment = set_up
    return local_aws.main()


def _after(make: Callable[..., Any], further: Callable[..., Any]) -> Callable[..., Any]:
    """Make one thing around another."""
    return lambda original: further(make(original))


if __name__ == "__main__":
    sys.exit(main())
