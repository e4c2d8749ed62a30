"""How many functions run at once, and what becomes of an invocation that is one too many.

AWS documentation, "Understanding Lambda function scaling" and "Configuring reserved concurrency":
https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
"""

import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from ministack.services import lambda_svc

from emulator.quotas import Quotas
from emulator.seams import replace, seam

Fields = dict[str, Any]
FIRST_WAIT, LONGEST_WAIT = 1, 300  # seconds until a refused event is tried again
OLDEST_EVENT = 6 * 3600  # seconds after which it is given up
_asynchronous: ContextVar[bool] = ContextVar("asynchronous", default=False)
functions = seam(lambda_svc, "_functions")
in_flight = seam(lambda_svc, "executions_in_flight")
key_of = seam(lambda_svc, "_inflight_key")
reserved_for = seam(lambda_svc, "_reserved_concurrency")


def install(quotas: Quotas, time_scale: float) -> None:
    """Refuse as AWS does; `time_scale` is the length of a second until an event is tried again."""
    seam(lambda_svc, "_ACCOUNT_CONCURRENCY_CAP")
    replace(lambda_svc, "_acquire_execution_slot", within(quotas))
    replace(lambda_svc, "_sqs_esm_concurrency", lambda _: batches_at_once)
    replace(lambda_svc, "invoke_async_with_retry", asynchronously)
    replace(lambda_svc, "_execute_function", waiting_for_room(time_scale))


def within(quotas: Quotas) -> Callable[..., Callable[..., Any]]:
    """The way into an invocation, for as many as there may be at once.

    What is reserved for a function is taken from all others, whether it runs or not.
    """
    entering = threading.Lock()

    def make(acquire: Callable[..., Any]) -> Callable[..., Any]:
        def acquire_slot(function: Fields, config: Fields) -> tuple[str | None, str | None]:
            record = functions.get(config["FunctionName"], function)  # and not one version's
            most = lambda_svc._ACCOUNT_CONCURRENCY_CAP = quotas.settings.concurrent_executions
            with entering:
                if reserved_for(record, config) is None and unreserved(most) <= 0:
                    slot = None, "account"
                else:
                    slot = acquire(record, config)
            quotas.count("Invoke", refused=slot[0] is None)
            return slot

        return acquire_slot

    return make


def unreserved(most: int) -> int:
    """How many more of all functions without a reservation may run."""
    kept = reservations()
    running = sum(count for key, count in in_flight()[1].items() if key not in kept)
    return most - sum(kept.values()) - int(running)


def reservations() -> dict[str, int]:
    """What is reserved for each function of this account and region that has a reservation."""
    records = [functions[name] for name in list(functions.keys())]
    reserved = ((record, reserved_for(record, record["config"])) for record in records)
    return {key_of(record["config"]): count for record, count in reserved if count is not None}


def with_reservation(made: tuple[str, Fields], properties: Fields) -> tuple[str, Fields]:
    """Give a stack's function its ReservedConcurrentExecutions, which ministack leaves out."""
    reserved = properties.get("ReservedConcurrentExecutions")
    functions[made[0]]["concurrency"] = None if reserved is None else int(reserved)
    return made


def batches_at_once(
    mapping: Fields, _function: Fields, _config: Fields, queue: Fields | None = None
) -> int:
    """How many batches of a queue are with a function at once, whatever is reserved for it.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html: five at first. More than
    are reserved are refused, and each message comes again after its queue's time-out.
    """
    if (queue or {}).get("is_fifo"):
        return 1
    limit = (mapping.get("ScalingConfig") or {}).get("MaximumConcurrency")
    return int(limit or seam(lambda_svc, "_ESM_SQS_DEFAULT_CONCURRENCY"))


def asynchronously(invoke: Callable[..., None]) -> Callable[..., None]:
    """Remember that nobody waits for an invocation."""

    def invoke_later(*arguments: Any) -> None:
        token = _asynchronous.set(True)  # its thread begins with a copy
        try:
            invoke(*arguments)
        finally:
            _asynchronous.reset(token)

    return invoke_later


def waiting_for_room(time_scale: float) -> Callable[..., Callable[..., Fields]]:
    """Try an event again that was refused, for six hours; that counts as none of its two retries.

    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
    """

    def make(execute: Callable[..., Fields]) -> Callable[..., Fields]:
        def execute_function(function: Fields, event: object) -> Fields:
            begun, wait = time.monotonic(), FIRST_WAIT * time_scale
            while (result := execute(function, event)).get("throttle") and _asynchronous.get():
                if time.monotonic() - begun > OLDEST_EVENT * time_scale:
                    break
                time.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT * time_scale)
            return result

        return execute_function

    return make
