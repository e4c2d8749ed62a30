"""Function URLs: whom Lambda lets in, what a function is sent, and what comes back of it.

ministack serves them below a path. That path is the address here, and not one on AWS's domain,
since what a stack gives out must lead to this server.

https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html ("Throttling")
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

import json
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import json_response
from ministack.services import lambda_svc

from emulator.concurrency import reserved_for
from emulator.quotas import FUNCTION_URL, Quotas, UrlRates
from emulator.seams import replace, seam

App = Callable[..., Awaitable[Any]]
Fields = dict[str, Any]
Answer = tuple[int, dict[str, Any], bytes]
PATH = "/_aws/lambda-url/"
MOST = 6 * 1024 * 1024  # bytes of a request's body
FORBIDDEN = (
    "Forbidden. For troubleshooting Function URL authorization issues, see: "
    "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
)
# What a caller without credentials needs, each with what its condition may ask for.
NEEDED = {
    "lambda:InvokeFunctionUrl": {"lambda:functionurlauthtype": "NONE"},
    "lambda:InvokeFunction": {"lambda:invokedviafunctionurl": "true"},
}
_asked: ContextVar[tuple[str, str] | None] = ContextVar("asked", default=None)
evaluate = seam(iam_evaluator, "evaluate_resource_policy")
function_urls = seam(lambda_svc, "_function_urls")
key_of = seam(lambda_svc, "_url_config_key")
record_of = seam(lambda_svc, "_get_func_record_for_ref_in_scope")
resolve = seam(lambda_svc, "resolve_function_url")


def install(app: App, endpoint: str, quotas: Quotas) -> App:
    """Serve them as AWS does, at `endpoint`; the application, which keeps paths as sent."""
    replace(lambda_svc, "_create_function_url_config", at_this_server(endpoint))
    replace(lambda_svc, "_function_url_id", lambda _: id_of)
    replace(lambda_svc, "handle_function_url_request", refusing(quotas))
    replace(lambda_svc, "_build_function_url_event", as_it_was_sent)
    replace(lambda_svc, "lambda_execute_result_to_api_proxy_response", hiding_errors)

    async def answer(scope: Fields, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PATH):
            path = scope["raw_path"].decode("latin-1").removeprefix(PATH).partition("/")[2]
            _asked.set((f"/{path}", scope["query_string"].decode("latin-1")))
        await app(scope, receive, send)

    return answer


def at_this_server(endpoint: str) -> Callable[..., Callable[..., Any]]:
    """Give a new function URL an address that leads here."""

    def make(create: Callable[..., Any]) -> Callable[..., Any]:
        def create_url(name: str, data: Fields, qualifier: str | None) -> Any:
            status, headers, body = create(name, data, qualifier)
            if status != 201:
                return status, headers, body
            config = function_urls[key_of(name, qualifier)]
            host = config["FunctionUrl"].partition("://")[2]
            config["FunctionUrl"] = f"{endpoint}{PATH}{host.partition('.')[0]}/"
            return json_response(config, status=status)

        return create_url

    return make


def id_of(url: str) -> str:
    """The id in the address of a function URL."""
    return url.rstrip("/").rpartition("/")[2]


def refusing(quotas: Quotas) -> Callable[..., Callable[..., Awaitable[Answer]]]:
    """Refuse what the function's policy does not allow to everybody, what is too much or large."""
    rates = UrlRates()

    def make(handle: Callable[..., Awaitable[Answer]]) -> Callable[..., Awaitable[Answer]]:
        async def handle_request(
            url_id: str,
            method: str,
            path: str,
            headers: Fields,
            body: bytes,
            *rest: Any,
            **more: Any,
        ) -> Answer:
            found = more.get("resolved") or resolve(url_id)
            if found and found[4]["AuthType"] == "NONE" and not open_to_all(*found[:3]):
                return refusal(403, "AccessDeniedException", FORBIDDEN)
            if len(body) > MOST:
                return refusal(413, "RequestEntityTooLargeException", "Request Entity Too Large")
            if found and not within_rate(rates, quotas, *found[:3]):
                return refusal(429, "TooManyRequestsException", "Rate Exceeded.")
            return await handle(url_id, method, path, headers, body, *rest, **more)

        return handle_request

    return make


def within_rate(rates: UrlRates, quotas: Quotas, account: str, region: str, name: str) -> bool:
    """Whether a function takes one more request, by what is reserved for it."""
    record, config, _ = record_of(name, account_id=account, region=region)
    reserved = None if config is None else reserved_for(record, config)
    if reserved is None:
        return True
    taken = rates.take(f"{account}/{region}/{name}", reserved)
    quotas.count(FUNCTION_URL, refused=not taken)
    return taken


def open_to_all(account: str, region: str, name: str) -> bool:
    """Whether a function's policy lets anybody invoke its URL, which takes two permissions."""
    arn = f"arn:aws:lambda:{region}:{account}:function:{name}"
    policy = seam(lambda_svc, "function_policy_for_arn")(arn)
    return policy is not None and all(
        evaluate(policy[0], caller(arn, action, context)).decision == "Allow"
        for action, context in NEEDED.items()
    )


def caller(arn: str, action: str, context: Fields) -> iam_evaluator.EvalContext:
    """Anybody, who does something with a function."""
    return iam_evaluator.EvalContext(
        principal_arn="*",
        principal_type="Anonymous",
        principal_account="",
        action=action,
        resource_arn=arn,
        region=arn.split(":")[3],
        service_context=context,
    )


def refusal(status: int, kind: str, message: str) -> Answer:
    """What Lambda itself answers."""
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": kind}
    return status, headers, json.dumps({"Message": message}).encode()


def as_it_was_sent(build: Callable[..., Fields]) -> Callable[..., Fields]:
    """Hand the path and the query string on as they came, encoded."""

    def build_event(*arguments: Any, **named: Any) -> Fields:
        event = build(*arguments, **named)
        if asked := _asked.get():
            event["rawPath"], event["rawQueryString"] = asked
            event["requestContext"]["http"]["path"] = asked[0]
        return event

    return build_event


def hiding_errors(convert: Callable[..., Any]) -> Callable[..., Any]:
    """Tell a caller that a function failed, and not by what."""

    def to_answer(result: Fields) -> Any:
        failed = result.get("error") and not result.get("throttle")
        return (None, None) if failed and _asked.get() else convert(result)

    return to_answer
