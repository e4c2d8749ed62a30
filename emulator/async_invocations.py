"""Asynchronous invocations of functions: where they end."""

import json
from collections.abc import Callable
from typing import Any

from ministack.services import lambda_svc, sqs
from ministack.services.cloudformation import provisioners

from emulator.concurrency import with_reservation
from emulator.seams import replace, replace_item, seam

Fields = dict[str, Any]
functions = seam(lambda_svc, "_functions")
network_of = seam(lambda_svc, "_vpc_config_with_id")
send_to_sqs = seam(sqs, "_act_send_message")


def install(updating: Callable[[Any], Any]) -> None:
    """Give up as AWS does; `updating` is what an update of a stack's function goes through."""
    replace(lambda_svc, "_route_async_failure", keeping_events)

    def function_handlers(handlers: Fields) -> Fields:
        update = updating(handlers["update"])
        return {**handlers, **completing(handlers["create"], update)}

    replace_item(provisioners, "_RESOURCE_HANDLERS", "AWS::Lambda::Function", function_handlers)


def completing(create: Callable[..., Any], update: Callable[..., Any]) -> Fields:
    """How CloudFormation makes functions: with dead letters, networks and reservations."""

    def create_function(logical_id: str, properties: Fields, stack: str) -> Any:
        return completed(create(logical_id, properties, stack), properties)

    def update_function(name: str, old: Fields, new: Fields, *rest: Any, **named: Any) -> Any:
        return completed(update(name, old, new, *rest, **named), new)

    return {"create": create_function, "update": update_function}


def completed(made: tuple[str, Fields], properties: Fields) -> tuple[str, Fields]:
    """A stack's function, with what ministack leaves out of its properties."""
    return with_reservation(
        with_network(with_dead_letters(made, properties), properties), properties
    )


def with_network(made: tuple[str, Fields], properties: Fields) -> tuple[str, Fields]:
    """Let a stack's function say which network it is in; it runs on this machine all the same.

    AWS documentation: "AWS::Lambda::Function VpcConfig" (AWS CloudFormation template reference).
    """
    config = functions[made[0]]["config"]
    config["VpcConfig"] = network_of(properties.get("VpcConfig"))
    return made


def with_dead_letters(made: tuple[str, Fields], properties: Fields) -> tuple[str, Fields]:
    """Give a stack's function its DeadLetterConfig, which ministack leaves out."""
    config = functions[made[0]]["config"]
    config.pop("DeadLetterConfig", None)
    if letters := properties.get("DeadLetterConfig"):
        config["DeadLetterConfig"] = letters
    return made


def keeping_events(route: Callable[..., None]) -> Callable[..., None]:
    """Put the event itself into a function's dead-letter queue; ministack puts a report about it.

    AWS documentation: "Capturing records of Lambda asynchronous invocations", dead-letter queues.
    """

    def route_failure(target: str, function: str, event: Any, result: Fields) -> None:
        config = functions[function]["config"] if function in functions else {}
        letters = (config.get("DeadLetterConfig") or {}).get("TargetArn")
        if target != letters or ":sqs:" not in target:
            route(target, function, event, result)
            return
        error = result.get("body")
        message = error.get("errorMessage", "") if isinstance(error, dict) else str(error)
        attributes = {"ErrorCode": "200", "ErrorMessage": message[:1024] or "Unknown"}
        send_message(target, json.dumps(event), attributes)

    return route_failure


def send_message(queue_arn: str, body: str, attributes: dict[str, str]) -> None:
    """Send a message with attributes that are strings."""
    typed = {
        name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
    }
    name = queue_arn.rpartition(":")[2]  # SQS takes it for a URL
    send_to_sqs({"QueueUrl": name, "MessageBody": body, "MessageAttributes": typed}, name)
