"""A journal of what would be paid for on AWS: a line of JSON per request or invocation.

Written where `--journal FILE` is given. Requests are those that functions make. DynamoDB's units
follow what was sent and answered (AWS documentation: "DynamoDB throughput and capacity").
"""

import json
import math
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

# By what a request's signature calls them.
SERVICES = {
    "dynamodb": "dynamodb",
    "s3": "s3",
    "ssm": "ssm",
    "secretsmanager": "secretsmanager",
    "states": "stepfunctions",
    "sns": "sns",
}
READ_UNIT, WRITE_UNIT = 4096, 1024  # bytes
App = Callable[..., Awaitable[None]]


class Journal:
    """Writes the lines; knows the functions by the access keys of their roles."""

    def __init__(self, path: Path) -> None:
        """Begin an empty file."""
        self._file = path.open("w", buffering=1, encoding="utf-8")
        self._lock = threading.Lock()
        self._functions: dict[str, str] = {}

    def know(self, function: str, access_key: str) -> None:
        """From now on, requests with this key are the function's."""
        self._functions[access_key] = function.rpartition("-")[2]

    def invoked(self, config: dict[str, Any], milliseconds: int) -> None:
        """Write an invocation down that has ended."""
        name = config["FunctionName"].rpartition("-")[2]
        self._write(service="lambda", function=name, ms=milliseconds, memory=config["MemorySize"])

    def install(self, app: App) -> App:
        """The application, whose requests are written down where a function made them."""

        async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
            headers = {
                name.decode("latin-1").lower(): text.decode("latin-1")
                for name, text in scope.get("headers", ())
            }
            credential = headers.get("authorization", "").partition("Credential=")[2].split("/")
            function = self._functions.get(credential[0])
            service = SERVICES.get(credential[3]) if len(credential) > 3 else None
            if not function or not service:
                await app(scope, receive, send)
                return
            operation = headers.get("x-amz-target", scope["method"]).rpartition(".")[2]
            asked, answered = [], []

            async def hear() -> Any:
                message = await receive()
                asked.append(message.get("body", b""))
                return message

            async def tell(message: dict[str, Any]) -> None:
                answered.append(message.get("body", b""))
                await send(message)

            if service != "dynamodb":
                await app(scope, receive, send)
                self._write(service=service, operation=operation, function=function)
                return
            await app(scope, hear, tell)
            request, reply = json.loads(b"".join(asked)), json.loads(b"".join(answered) or b"{}")
            units = units_of(operation, request, reply)
            self._write(service=service, operation=operation, function=function, **units)

        return answer

    def _write(self, **fields: Any) -> None:
        with self._lock:
            self._file.write(json.dumps(fields) + "\n")


def units_of(operation: str, request: dict[str, Any], answer: dict[str, Any]) -> dict[str, int]:
    """The read and write request units of one request; reads count as consistent ones."""
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
