"""Where ministack's IAM, or what it needs to be told, is otherwise than AWS's."""

import json
import re
from collections.abc import Awaitable, Callable
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from ministack import app
from ministack.core import iam_actions, iam_evaluator

from emulator.seams import replace, replace_item, seam

BETWEEN = ","  # no parameter's name has one
POLICIES, PATTERNS = 1000, 4000  # that are kept parsed


def install(machine_of_token: Callable[[str], str]) -> None:
    """Enforce IAM as AWS does; an answer to a task token is about the machine that gave it out."""
    replace(app, "pin_request_origin", as_if_over_tls)
    replace(iam_actions, "extract_resource_arn", naming_resources(machine_of_token))
    replace(iam_actions, "request_tag_context", naming_the_events_source)
    replace(iam_evaluator, "enforce", for_each_resource)
    replace(
        iam_evaluator,
        "_fnmatch_compile",
        lambda compiled: lru_cache(PATTERNS)(across_lines(compiled)),
    )
    replace(iam_evaluator, "parse_policy_document", parsed_once)
    replace_item(
        app, "SERVICE_HANDLERS", "s3", lambda handle: asking_for_tags(hiding_missing_keys(handle))
    )


def as_if_over_tls(pin: Callable[[str, bool], None]) -> Callable[[str, bool], None]:
    """Count every request as sent over TLS.

    The server speaks plain http on loopback, where nothing can be overheard; a bucket policy that
    denies `aws:SecureTransport: false` would otherwise deny everything.
    """
    return lambda source_ip, _secure: pin(source_ip, True)  # noqa: FBT003 - its signature


def naming_resources(machine_of_token: Callable[[str], str]) -> Callable[..., Any]:
    """Let a request be about what it names, where ministack takes it to be about all.

    AWS documentation: "Actions, resources, and condition keys for AWS Systems Manager"
    (GetParameters, GetParametersByPath); "Fine-tuning the Resources and Conditions sections of
    policies" (a function's version or alias has an ARN of its own:
    https://docs.aws.amazon.com/lambda/latest/dg/lambda-api-permissions-ref.html). SAM's
    StepFunctionsCallbackPolicy allows answers to task tokens per machine.
    """

    def make(resource_of: Callable[..., str]) -> Callable[..., str]:
        def resource(
            service: str, method: str, path: str, headers: dict[str, str], body: bytes, *rest: Any
        ) -> str:
            target = headers.get("x-amz-target", "")
            if service == "states" and ".SendTask" in target:
                return machine_of_token(json.loads(body or b"{}").get("taskToken", ""))
            if service == "ssm" and target.endswith(".GetParameters"):
                _, region, account = rest
                prefix = f"arn:aws:ssm:{region}:{account}:parameter/"
                names = json.loads(body or b"{}").get("Names") or []
                return BETWEEN.join(prefix + str(name).lstrip("/") for name in names) or "*"
            if service == "ssm" and target.endswith(".GetParametersByPath"):
                _, region, account = rest
                named = str(json.loads(body or b"{}").get("Path", ""))
                return f"arn:aws:ssm:{region}:{account}:parameter/{named.strip('/')}"
            named = resource_of(service, method, path, headers, body, *rest)
            if service == "lambda" and path.endswith("/invocations") and named.count(":") == 6:
                version = rest[0].get("Qualifier", "")
                version = version[0] if isinstance(version, list) else version
                return f"{named}:{version}" if version else named
            return named

        return resource

    return make


def naming_the_events_source(context_of: Callable[..., Any]) -> Callable[..., Any]:
    """Let a condition on events:PutEvents be about the source that the events name.

    AWS documentation: "Using IAM policy conditions in Amazon EventBridge" (events:source).
    """

    def context(service: str, action: str, body: bytes, *rest: Any) -> dict[str, Any]:
        known: dict[str, Any] = context_of(service, action, body, *rest)
        if action != "events:PutEvents":
            return known
        sources = {entry.get("Source") for entry in json.loads(body or b"{}").get("Entries", [])}
        return {**known, "events:source": next(iter(sources)) if len(sources) == 1 else None}

    return context


def for_each_resource(enforce: Callable[..., Any]) -> Callable[..., Any]:
    """Allow a request about several parameters only if it is allowed for each of them."""

    def allowed(key: str, action: str, *rest: Any, resource_arn: str = "*", **more: Any) -> Any:
        if action != "ssm:GetParameters":
            return enforce(key, action, *rest, resource_arn=resource_arn, **more)
        answers = (
            enforce(key, action, *rest, resource_arn=arn, **more)
            for arn in resource_arn.split(BETWEEN)
        )
        return next((denied for denied in answers if denied), None)

    return allowed


def across_lines(
    compiled: Callable[[str, bool], re.Pattern[str]],
) -> Callable[[str, bool], re.Pattern[str]]:
    """Let a wildcard stand for any characters, newlines included: an object's key may hold them.

    AWS documentation: "IAM JSON policy elements: Resource" (AWS IAM user guide).
    """

    def compile_all(pattern: str, ignore_case: bool) -> re.Pattern[str]:  # noqa: FBT001 - its signature
        lines = compiled(pattern, ignore_case)
        return re.compile(rf"{lines.pattern.removesuffix('$')}\Z", lines.flags | re.DOTALL)

    return compile_all


def parsed_once(parse: Callable[[Any], list[Any]]) -> Callable[[Any], list[Any]]:
    """Parse a policy's text once: each request asks for all policies of its caller's role."""
    parsed = lru_cache(POLICIES)(parse)
    return lambda document: parsed(document) if isinstance(document, str) else parse(document)


def hiding_missing_keys(handle: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Answer 403 and not 404 for a missing key to a caller who may not list the bucket.

    AWS documentation: "GetObject" and "HeadObject" (Amazon S3 API reference), "Permissions".
    """
    denied = seam(iam_actions, "access_denied_response")
    key_of, region_of = seam(app, "extract_access_key_id"), seam(app, "extract_region")

    async def answer(
        method: str, path: str, headers: dict[str, str], body: bytes, query: Any
    ) -> Any:
        reply = await handle(method, path, headers, body, query)
        bucket, _, key = path.lstrip("/").partition("/")
        if method not in ("GET", "HEAD") or not key or reply[0] != HTTPStatus.NOT_FOUND:
            return reply
        caller, region = key_of(headers, query), region_of(headers, query)
        resource = f"arn:aws:s3:::{bucket}"
        if iam_evaluator.enforce(caller, "s3:ListBucket", "s3", region, resource_arn=resource):
            return denied("s3", "s3:ListBucket", "", "", headers=headers)
        return reply

    return answer


def asking_for_tags(handle: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Deny an object with tags to a caller who may write it, and may not tag it.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html ("Permissions").
    """
    denied = seam(iam_actions, "access_denied_response")
    key_of, region_of = seam(app, "extract_access_key_id"), seam(app, "extract_region")

    async def answer(
        method: str, path: str, headers: dict[str, str], body: bytes, query: Any
    ) -> Any:
        if method in ("PUT", "POST") and headers.get("x-amz-tagging"):
            caller, region = key_of(headers, query), region_of(headers, query)
            resource = f"arn:aws:s3:::{unquote(path.lstrip('/'))}"
            tagging = "s3:PutObjectTagging"
            if iam_evaluator.enforce(caller, tagging, "s3", region, resource_arn=resource):
                return denied("s3", tagging, "", "", headers=headers)
        return await handle(method, path, headers, body, query)

    return answer
