"""Whether a deployment can do its work, from the first bucket event to the last message."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from stp.moments import local
from stp.queues import queue_items, routes_of
from stp.route_checks import ERROR, problems_of
from stp.route_files import deployed_documents
from stp.stack import Stack, trouble_with_aws
from straight_through.errors import StraightThroughError
from straight_through.hearing.taking import last_heard
from straight_through.text import counted, listed

GOOD, LOOK, BAD = "ok", "look", "failed"
STABLE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE")
USERS_OF_THE_KEY = ("events", "cloudwatch", "logs")
ROLLED_BACK = ("UPDATE_ROLLBACK_COMPLETE", "IMPORT_ROLLBACK_COMPLETE")


@dataclass(frozen=True)
class Finding:
    """What a check has found, and what to do about it."""

    about: str
    state: str
    what: str
    todo: str = ""


Check = Callable[[], list[Finding]]


def checks(stack: Stack) -> list[tuple[str, Check]]:
    """Return all checks in the order of a file's road, each with its name."""
    all_checks: dict[str, Callable[[Stack], list[Finding]]] = {
        "the stack": _stack,
        "the inbox": _inbox,
        "the rules": _rules,
        "the queues": _queues,
        "the key": _key,
        "the state machine": _machine,
        "the secret and Quantemplate": _quantemplate,
        "the routes": _routes,
        "the turns": _turns,
        "the events": _events,
        "the alarms": _alarms,
        "the messages": _messages,
    }
    return [
        (name, lambda name=name, check=check: _safely(name, check, stack))  # type: ignore[misc]
        for name, check in all_checks.items()
    ]


def _safely(name: str, check: Callable[[Stack], list[Finding]], stack: Stack) -> list[Finding]:
    """Return what a check finds, or that it could not be made."""
    try:
        return check(stack)
    except (ClientError, BotoCoreError) as error:
        return [Finding(name, BAD, "cannot be checked", str(trouble_with_aws(error)))]
    except StraightThroughError as error:
        return [Finding(name, BAD, str(error))]


def _stack(stack: Stack) -> list[Finding]:
    """Whether the last deployment went well."""
    if stack.status in STABLE:
        return [Finding("stack", GOOD, f"{stack.name} is {stack.status}")]
    if stack.status in ROLLED_BACK:
        todo = "The last update failed and was taken back: see the stack's events, deploy again."
        return [Finding("stack", LOOK, f"{stack.name} is {stack.status}", todo)]
    todo = "Wait if it is in progress; else see the stack's events and deploy again."
    return [Finding("stack", BAD, f"{stack.name} is {stack.status}", todo)]


def _inbox(stack: Stack) -> list[Finding]:
    """Whether the inbox keeps versions and sends its events."""
    s3, bucket = stack.client("s3"), stack.outputs["InboxBucket"]
    found = []
    if s3.get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled":
        found.append(Finding("inbox versions", GOOD, bucket))
    else:
        todo = f"aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration "
        what = "the bucket keeps no versions: an overwritten file is lost to the runs that wait"
        found.append(Finding("inbox versions", BAD, what, todo + "Status=Enabled"))
    if "EventBridgeConfiguration" in s3.get_bucket_notification_configuration(Bucket=bucket):
        found.append(Finding("inbox events", GOOD, "go to EventBridge"))
    else:
        todo = (
            "Switch EventBridge on in the bucket's properties, under Event notifications; "
            "docs/deploy.md has the command."
        )
        what = "the bucket sends nothing to EventBridge: no dropped file starts a run"
        found.append(Finding("inbox events", BAD, what, todo))
    return found


def _rules(stack: Stack) -> list[Finding]:
    """Whether EventBridge's rules are on."""
    events, found = stack.client("events"), []
    for name, (kind, rule) in stack.resources.items():
        if kind != "AWS::Events::Rule":
            continue
        short = rule.rpartition("/")[2]
        on = events.describe_rule(Name=short)["State"].startswith("ENABLED")
        targets = events.list_targets_by_rule(Rule=short)["Targets"]
        if on and targets:
            found.append(Finding(f"rule {name}", GOOD, "is on"))
        elif on:
            found.append(Finding(f"rule {name}", BAD, "has no target", "Deploy the stack again."))
        else:
            todo = f"aws events enable-rule --name {short}"
            found.append(Finding(f"rule {name}", BAD, "is off", todo))
    return found


def _queues(stack: Stack) -> list[Finding]:
    """Whether the functions read the drops, and nothing lies in a dead-letter queue."""
    sqs, found = stack.client("sqs"), []
    asked = ["ApproximateNumberOfMessages"]
    for name, (kind, url) in stack.resources.items():
        if kind != "AWS::SQS::Queue":
            continue
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=asked)["Attributes"]
        count = int(attributes["ApproximateNumberOfMessages"])
        dead = "DeadLetters" in name
        if not count:
            found.append(Finding(f"queue {name}", GOOD, "is empty"))
        elif dead:
            todo = "Read the functions' logs, mend the cause, then "
            todo += (
                "purge the queue: the sweep has given back what those runs had."
                if name == "EndsDeadLetters"
                else "redrive the queue in the SQS console (Start DLQ redrive)."
            )
            found.append(
                Finding(f"queue {name}", BAD, f"holds {counted(count, 'lost event')}", todo)
            )
        else:
            what = f"holds {counted(count, 'event')} that nothing has taken yet"
            found.append(Finding(f"queue {name}", LOOK, what, "Look again in a minute."))
    return found + _reader(stack)


def _key(stack: Stack) -> list[Finding]:
    """Whether the key of the stack's data lets those services use it that act for no role."""
    key = stack.parameters.get("DataKeyArn", "")
    if not key:
        return [Finding("key", GOOD, "AWS's own keys encrypt what the stack keeps")]
    policy = json.loads(
        stack.client("kms").get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    )
    found = policy["Statement"]
    statements = [found] if isinstance(found, dict) else found
    lacks = [each for each in USERS_OF_THE_KEY if not any(_lets(s, each) for s in statements)]
    if not lacks:
        return [Finding("key", GOOD, f"{key} lets events, alarms and logs use it")]
    what = f"{key} does not let these services use it: {', '.join(lacks)}"
    return [Finding("key", BAD, what, "Add what docs/keys.md shows to the key's policy.")]


def _lets(statement: dict[str, Any], service: str) -> bool:
    """Whether a statement of a key's policy lets a service use it; of logs, any region's."""
    principal = statement["Principal"]
    named = principal.get("Service", []) if isinstance(principal, dict) else []
    services = [named] if isinstance(named, str) else named
    if statement["Effect"] != "Allow" or not any(
        ".amazonaws.com" in each and each.split(".")[0] == service for each in services
    ):
        return False
    # SNS's documentation: EventBridge uses a key without saying for which account or rule.
    return service != "events" or "aws:source" not in str(statement.get("Condition", "")).lower()


def _reader(stack: Stack) -> list[Finding]:
    """Whether StartRun reads the queue of drops."""
    mappings = stack.client("lambda").list_event_source_mappings(
        FunctionName=f"{stack.name}-start_run"
    )["EventSourceMappings"]
    if any(each["State"] in ("Enabled", "Enabling", "Updating") for each in mappings):
        return [Finding("StartRun", GOOD, "reads the drops")]
    todo = "Deploy the stack again."  # where what reads them is gone
    for each in mappings:
        todo = f"aws lambda update-event-source-mapping --enabled --uuid {each['UUID']}"
    return [Finding("StartRun", BAD, "does not read the drops", todo)]


def _machine(stack: Stack) -> list[Finding]:
    """Whether executions can start."""
    found = stack.client("stepfunctions").describe_state_machine(stateMachineArn=stack.machine)
    active = found.get("status", "ACTIVE") == "ACTIVE"
    todo = "" if active else "It is being deleted: deploy the stack again."
    what = found.get("status", "ACTIVE")
    return [Finding("state machine", GOOD if active else BAD, what, todo)]


def _quantemplate(stack: Stack) -> list[Finding]:
    """Whether the secret has the right shape, and Quantemplate gives a token for it."""
    try:
        client = stack.quantemplate
    except StraightThroughError as error:
        secret = stack.outputs["CredentialsSecretArn"]
        todo = f"aws secretsmanager put-secret-value --secret-id {secret} --secret-string "
        return [Finding("secret", BAD, str(error), todo + "file://credentials.json")]
    found = [Finding("secret", GOOD, "has a client id and a client secret")]
    try:
        client.authenticate()
    except StraightThroughError as error:
        return [*found, Finding("token", BAD, str(error))]
    return [*found, Finding("token", GOOD, "Quantemplate gives one")]


def _routes(stack: Stack) -> list[Finding]:
    """Whether there are routes, and they are sound and agree with each other."""
    documents = deployed_documents(stack)
    if not documents:
        todo = "Write routes/<folder>.yaml and put it there: stp routes apply routes/"
        return [Finding("routes", LOOK, "there is none: every file ends as NoRoute", todo)]
    problems = problems_of(documents, stack.inbox_prefix, takes_events=stack.takes_events)
    found = [
        Finding(f"route {each.route}", BAD if each.level == ERROR else LOOK, each.text)
        for each in problems
        if each.level != "hint"
    ]
    asked = "" if found else "Whether Quantemplate knows them: stp routes check --online"
    return found or [Finding("routes", GOOD, f"{len(documents)}, all sound. {asked}")]


def _turns(stack: Stack) -> list[Finding]:
    """Whether a queue is paused."""
    found = [
        Finding(
            f"queue {queue}",
            LOOK,
            f"has been paused since {local(item['paused']['since'])}: {item['paused']['reason']}",
            f"Mend the cause, then: stp queue resume {queue}",
        )
        for queue, item in queue_items(stack).items()
        if "paused" in item
    ]
    return found or [Finding("turns", GOOD, "no queue is paused")]


def _events(stack: Stack) -> list[Finding]:
    """When the last event came for each pipeline that a route uses."""
    if not stack.takes_events:
        return [Finding("events", GOOD, "are off: no address of the stack is public")]
    _, function = stack.resources.get("TakeEvent", ("", ""))
    if function and not _may_run(stack, function):
        most = stack.parameters.get("EventsConcurrency", "0")
        todo = f"aws lambda put-function-concurrency --reserved-concurrent-executions {most}"
        if most == "0":
            todo = "aws lambda delete-function-concurrency"
        what = "none is taken: TakeEvent may not run, as a removal that was broken off leaves it"
        return [Finding("events", BAD, what, f"{todo} --function-name {function}")]
    heard = last_heard(stack.table)
    routes = routes_of(deployed_documents(stack)).values()
    pipelines = sorted({route.pipeline_id for route in routes})
    silent = [each for each in pipelines if each not in heard]
    found = [
        Finding(f"events of {each}", GOOD, f"the last one came at {local(heard[each])}")
        for each in pipelines
        if each in heard
    ]
    if silent:
        what = f"none has come of {listed(silent)}"
        todo = (
            "Quantemplate sends events only of what is shared with the whole organisation, to the "
            "address that it was given: stp events url"
        )
        found.append(Finding("events", LOOK, what, todo))
    return found or [Finding("events", GOOD, "are taken; there is no route yet")]


def _may_run(stack: Stack, function: str) -> bool:
    """Whether a function may have any invocation at a time."""
    reserved = stack.client("lambda").get_function_concurrency(FunctionName=function)
    return bool(reserved.get("ReservedConcurrentExecutions", 1))


def _alarms(stack: Stack) -> list[Finding]:
    """Whether an alarm is on, and somebody hears of it."""
    names = [i for kind, i in stack.resources.values() if kind == "AWS::CloudWatch::Alarm"]
    if not names:
        return [Finding("alarms", LOOK, "the stack has none", "Deploy the current version.")]
    pages = stack.client("cloudwatch").get_paginator("describe_alarms")
    alarms = [a for page in pages.paginate(AlarmNames=names) for a in page["MetricAlarms"]]
    return [_alarm(alarm) for alarm in alarms]


def _alarm(alarm: dict[str, Any]) -> Finding:
    """Return what is to be said of one alarm."""
    about = f"alarm {alarm['AlarmName']}"
    if alarm["StateValue"] == "ALARM":
        return Finding(about, BAD, alarm["StateReason"], alarm.get("AlarmDescription", ""))
    if not alarm["ActionsEnabled"]:
        todo = f"aws cloudwatch enable-alarm-actions --alarm-names {alarm['AlarmName']}"
        return Finding(about, LOOK, "is quiet, but its actions are switched off", todo)
    if not alarm["AlarmActions"]:
        todo = "Add an action in the CloudWatch console, or look there now and then."
        return Finding(about, LOOK, "is quiet, but would tell nobody", todo)
    return Finding(about, GOOD, "is quiet")


def _messages(stack: Stack) -> list[Finding]:
    """Whether somebody gets the messages."""
    topic = stack.outputs.get("TopicArn", "")
    pages = stack.client("sns").get_paginator("list_subscriptions_by_topic")
    all_of_them = [s for page in pages.paginate(TopicArn=topic) for s in page["Subscriptions"]]
    waiting = [s["Endpoint"] for s in all_of_them if not s["SubscriptionArn"].startswith("arn:")]
    if not all_of_them:
        todo = "Deploy with the parameter NotificationEmail, or subscribe to the topic."
        return [Finding("messages", LOOK, "nobody gets them", todo)]
    found = [
        Finding("messages", BAD, f"{endpoint} has not confirmed", "Follow the link in the e-mail.")
        for endpoint in waiting
    ]
    return found or [Finding("messages", GOOD, f"go to {counted(len(all_of_them), 'subscriber')}")]
