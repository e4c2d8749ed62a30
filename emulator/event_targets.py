"""How EventBridge delivers an event to a rule's function or queue, and what it cannot deliver."""

import json
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id
from ministack.services import eventbridge, lambda_svc, sqs

from emulator.async_invocations import send_message
from emulator.seams import replace, seam

EVENTBRIDGE = "events.amazonaws.com"
Fields = dict[str, Any]


@dataclass(frozen=True)
class Delivery:
    """A rule, and the target of it that gets an event."""

    rule_arn: str
    target: Fields


_delivery: ContextVar[Delivery] = ContextVar("delivery")
function_of = seam(lambda_svc, "_get_func_record_for_ref")
invocable = seam(lambda_svc, "_execution_record_for_config")
queue_of = seam(sqs, "_queue_by_arn")
policy_allows = seam(sqs, "queue_policy_allows")
evaluate = seam(iam_evaluator, "evaluate_resource_policy")
request_origin = seam(iam_evaluator, "_request_origin")


def install() -> None:
    """Deliver to functions and queues as AWS does."""
    replace(eventbridge, "_invoke_target", knowing_its_rule)
    replace(eventbridge, "_dispatch_to_lambda", lambda _: to_function)
    replace(eventbridge, "_dispatch_to_sqs", to_queue)


def knowing_its_rule(invoke: Callable[..., None]) -> Callable[..., None]:
    """Remember what an event is delivered for, and that EventBridge calls over TLS."""

    def invoke_target(target: Fields, event: Fields, rule: Fields, *rest: Any) -> None:
        delivery = _delivery.set(Delivery(rule["Arn"], target))
        origin = request_origin.set(("127.0.0.1", True))
        try:
            invoke(target, event, rule, *rest)
        finally:
            _delivery.reset(delivery)
            request_origin.reset(origin)

    return invoke_target


def to_function(arn: str, payload: str) -> None:
    """Invoke a function asynchronously, if its policy lets EventBridge do so.

    AWS documentation: "Using resource-based policies for Amazon EventBridge".
    """
    function, config, name = function_of(arn)
    if not function or not config:
        keep_as_dead_letter(payload, "NO_RESOURCE", f"The function {name} does not exist.")
    elif not may_invoke(arn, function["policy"]):
        keep_as_dead_letter(payload, "NO_PERMISSIONS", f"EventBridge may not invoke {name}.")
    else:
        invoke = seam(lambda_svc, "invoke_async_with_retry")
        invoke(invocable(function, config), json.loads(payload))


def to_queue(send: Callable[..., None]) -> Callable[..., None]:
    """Send to a queue, if its policy lets EventBridge do so."""

    def send_to_queue(spec: Any, payload: str, *rest: Any) -> None:
        arn = str(spec)
        if not queue_of(arn):
            keep_as_dead_letter(payload, "NO_RESOURCE", f"The queue {arn} does not exist.")
        elif not may_send_to(arn):
            keep_as_dead_letter(payload, "NO_PERMISSIONS", f"EventBridge may not send to {arn}.")
        else:
            send(spec, payload, *rest)

    return send_to_queue


def may_send_to(queue_arn: str) -> bool:
    """Whether a queue's policy lets EventBridge send to it for the rule at hand."""
    delivery = _delivery.get()
    allowed: bool = policy_allows(queue_arn, EVENTBRIDGE, delivery.rule_arn, get_account_id())
    return allowed


def may_invoke(function_arn: str, policy: Fields) -> bool:
    """Whether a function's policy lets EventBridge invoke it for the rule at hand."""
    delivery = _delivery.get()
    context = iam_evaluator.EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action="lambda:InvokeFunction",
        resource_arn=function_arn,
        region=function_arn.split(":")[3],
        service_context={
            "aws:sourcearn": delivery.rule_arn,
            "aws:sourceaccount": get_account_id(),
        },
    )
    allowed: bool = evaluate(policy, context, service=EVENTBRIDGE).decision == "Allow"
    return allowed


def keep_as_dead_letter(payload: str, code: str, message: str) -> None:
    """Put an event that trying again could not deliver into the target's dead-letter queue.

    AWS documentation: "Using dead-letter queues to process undelivered events in EventBridge".
    """
    delivery = _delivery.get()
    arn = delivery.target.get("DeadLetterConfig", {}).get("Arn", "")
    if not queue_of(arn) or not may_send_to(arn):
        return  # AWS drops it, too
    attributes = {
        "RULE_ARN": delivery.rule_arn,
        "TARGET_ARN": delivery.target["Arn"],
        "ERROR_CODE": code,
        "ERROR_MESSAGE": message,
        "RETRY_ATTEMPTS": "0",
    }
    send_message(arn, payload, attributes)
