"""How a stack is taken away: its intake, what runs, the stack; and what is left of it.

While one execution waits for its turn, the state machine stays DELETING, and CloudFormation with it
(https://docs.aws.amazon.com/step-functions/latest/apireference/API_DeleteStateMachine.html).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from stp.run_facts import GOING
from stp.runs import MOST_LISTED, MOST_RECORDS, records_of, route_names
from stp.said import Stop
from stp.stack import Stack
from stp.unknown_files import unknown_files
from straight_through.queue.table import Item
from straight_through.text import counted, shown

LOOK_EVERY = 3.0  # seconds
DROPS = "DropRule"  # what brings the inbox's events
SWEEP = "SweepQueuesSchedule"  # what starts runs by schedule, and those that were not started
EVENTS = "TakeEvent"  # what starts runs when datasets were updated
RETENTION = timedelta(days=14)  # of events that wait to be started
HELD = "held/"  # where the outbox has what a gate holds
GONE = (
    "ResourceNotFoundException",
    "AWS.SimpleQueueService.NonExistentQueue",
    "ExecutionDoesNotExist",
    "StateMachineDoesNotExist",
)
CAUSE = "Stopped with stp remove."
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Kept:
    """What is there when the stack is gone."""

    inbox: str
    made_inbox: bool  # by the stack, and not somebody's bucket
    outbox: str
    routes: list[str]
    held: bool  # whether the outbox has what a gate holds


@dataclass(frozen=True)
class Stopped:
    """A run that was stopped: its file, and its execution, which goes on in Quantemplate."""

    key: str
    execution_id: str  # "" where it has made none, "unknown" where a reply was lost


def running(stack: Stack) -> Iterator[dict[str, Any]]:
    """Yield the executions that are under way, none where there is no state machine any more."""
    pages = stack.client("stepfunctions").get_paginator("list_executions")
    ask = {"stateMachineArn": stack.machine, "maxResults": MOST_LISTED}
    with _unless_gone():
        for status in GOING:
            for page in pages.paginate(**ask, statusFilter=status):
                yield from page["executions"]


def kept(stack: Stack) -> Kept:
    """Return what will be there when the stack is gone."""
    outbox = stack.outputs["OutboxBucket"]
    held = stack.client("s3").list_objects_v2(Bucket=outbox, Prefix=HELD, MaxKeys=1)
    made = "InboxBucket" in stack.resources
    routes = sorted(route_names(stack))
    return Kept(stack.outputs["InboxBucket"], made, outbox, routes, bool(held.get("KeyCount")))


def require_unprotected(stack: Stack) -> str:
    """Return the stack's id. Raises Stop where it is protected against this."""
    found = stack.client("cloudformation").describe_stacks(StackName=stack.name)["Stacks"][0]
    if found.get("EnableTerminationProtection"):
        raise Stop(
            f"Stack {stack.name} is protected from being deleted. Nothing was changed. To remove "
            "it: aws cloudformation update-termination-protection --no-enable-termination-"
            f"protection --stack-name {stack.name}"
        )
    return str(found["StackId"])


def stop_intake(stack: Stack) -> None:
    """Let no drop, schedule or update start a run.

    What tells of ended runs goes on: by it an upload that is under way when its run is stopped
    learns that the pipeline must not be executed any more.
    """
    events, functions = stack.client("events"), stack.client("lambda")
    sources = []
    for name, (kind, resource) in stack.resources.items():
        with _unless_gone():
            if name in (DROPS, SWEEP):
                events.disable_rule(Name=resource)
            elif name == EVENTS:
                functions.put_function_concurrency(
                    FunctionName=resource, ReservedConcurrentExecutions=0
                )
            elif kind == "AWS::Lambda::EventSourceMapping":
                functions.update_event_source_mapping(UUID=resource, Enabled=False)
                sources.append(resource)
    for source in sources:
        with _unless_gone():
            while functions.get_event_source_mapping(UUID=source)["State"] != "Disabled":
                time.sleep(LOOK_EVERY)


def not_started(stack: Stack) -> list[str]:
    """Return the keys of dropped files whose events still wait to be started, or never were."""
    queues = [resource for kind, resource in stack.resources.values() if kind == "AWS::SQS::Queue"]
    sqs, waiting = stack.client("sqs"), 0
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    for queue in queues:
        with _unless_gone():
            found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
            waiting += sum(int(found[name]) for name in names)
    if not waiting:
        return []
    return [each.key for each in unknown_files(stack, datetime.now(UTC) - RETENTION)]


def stop_all(stack: Stack, tell: Tell, stopped: dict[str, Stopped]) -> None:
    """Stop all that is under way, until nothing is; note each run in `stopped`."""
    while going := list(running(stack)):
        for begin in range(0, len(going), MOST_RECORDS):
            batch = going[begin : begin + MOST_RECORDS]
            records: dict[str, Item] = {}
            with _unless_gone():
                records = records_of(stack, [each["name"] for each in batch])
            for at, each in enumerate(batch, begin + 1):
                tell(f"{at:,} of {len(going):,}")
                stopped.setdefault(each["name"], _known(records.get(each["name"], {})))
                _stop(stack, each["executionArn"])
        time.sleep(LOOK_EVERY)  # the list is not of this very moment


def delete(stack: Stack, stack_id: str, tell: Tell) -> None:
    """Delete the stack and wait until it is gone. Raises Stop where a part of it stays."""
    formation = stack.client("cloudformation")
    formation.delete_stack(StackName=stack_id)
    while True:
        found = formation.describe_stacks(StackName=stack_id)["Stacks"][0]
        if found["StackStatus"] == "DELETE_COMPLETE":
            return
        left = _left(formation, stack_id)
        if found["StackStatus"] == "DELETE_FAILED":
            raise Stop(
                f"Stack {stack.name} is not deleted: {_why(formation, stack_id)}. Its intake stays "
                f"stopped. When that is mended, go on: stp remove --stack {stack.name}"
            )
        tell(f"{counted(len(left), 'resource')} left")
        for each in running(stack):  # what was about to start when the intake was stopped
            _stop(stack, each["executionArn"])
        time.sleep(LOOK_EVERY)


def made_anew(stack: Stack) -> list[str]:
    """Return the log groups of the stack that are there, since late lines have made them anew."""
    logs = stack.client("logs")
    names = (f"/aws/lambda/{stack.name}", f"/aws/vendedlogs/states/{stack.name}")
    return [
        name
        for name in names
        for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name)
        for group in page["logGroups"]
        if group["logGroupName"] == name
    ]


def told(stack: Stack, left: Kept, groups: list[str]) -> list[str]:
    """Return what is kept, and what a deployment under the same name needs, a line each."""
    own = " with its policy that asks for TLS"
    inbox = own if left.made_inbox else ", which was there before the stack"
    lines = [
        f"Kept: bucket {left.inbox} (inbox){inbox}",
        f"Kept: bucket {left.outbox} (outbox){own}",
    ]
    if left.routes:
        names = " ".join(f"{stack.routes_path}/{route}" for route in left.routes[:10])
        lines.append(
            f"Kept: {counted(len(left.routes), 'route')}, which a stack of this name has again. To "
            f"delete them, ten at a time: aws ssm delete-parameters --names {names}"
        )
    lines.append(
        f"To deploy it again with this inbox: sam deploy --stack-name {stack.name} "
        f"--parameter-overrides ExistingInboxBucket={left.inbox}; it makes a new outbox, and needs "
        "Quantemplate's credentials anew"
    )
    lines += [
        f"Before that: aws logs delete-log-group --log-group-name {group} (late lines made it anew)"
        for group in groups
    ]
    return [shown(line, 4000) for line in lines]


@contextmanager
def _unless_gone() -> Iterator[None]:
    """Pass over what was deleted by an earlier try, which has not come to its end."""
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] not in GONE:
            raise


def _known(record: Item) -> Stopped:
    """Return what a run's record tells of it."""
    made = record.get("execution", {}).get("execution_id", "")
    if not made and "posted" in record:
        made = "unknown"
    return Stopped((record.get("source") or {}).get("key", ""), made)


def _stop(stack: Stack, arn: str) -> None:
    """Stop an execution, unless it is gone."""
    with _unless_gone():
        stack.client("stepfunctions").stop_execution(executionArn=arn, cause=CAUSE)


def _left(formation: Any, stack_id: str) -> list[str]:
    """Return the resources that a stack still has."""
    pages = formation.get_paginator("list_stack_resources").paginate(StackName=stack_id)
    return [
        each["LogicalResourceId"]
        for page in pages
        for each in page["StackResourceSummaries"]
        if each["ResourceStatus"] not in ("DELETE_COMPLETE", "DELETE_SKIPPED")
    ]


def _why(formation: Any, stack_id: str) -> str:
    """Return why a stack could not be deleted, as CloudFormation says."""
    events = formation.describe_stack_events(StackName=stack_id)["StackEvents"]
    reasons = [
        f"{each['LogicalResourceId']}: {each.get('ResourceStatusReason', 'no reason given')}"
        for each in events
        if each["ResourceStatus"] == "DELETE_FAILED"
    ]
    return "; ".join(dict.fromkeys(reasons)) or "CloudFormation gives no reason"
