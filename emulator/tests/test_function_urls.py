"""A function has an address, at which anybody may invoke it whom its policy lets.

https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
"""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from emulator.tests.account import Account, eventually
from emulator.tests.stacks import CAPABILITIES, created, ended, function_resource
from emulator.tests.strangers import Reply, ask

ECHO = """
def handler(event, context):
    if event.get("rawPath") == "/fail":
        raise ValueError("a secret of the function")
    if event.get("rawPath") == "/plain":
        return {"statusCode": 202, "headers": {"X-Own": "yes"}, "body": "taken"}
    return {"got": event}
"""
WAITS = """
import pathlib, time

def handler(event, context):
    begun = pathlib.Path(event["queryStringParameters"]["begun"])
    begun.touch()
    while begun.exists():
        time.sleep(0.01)
    return {"statusCode": 204}
"""
FORBIDDEN = {
    "Message": "Forbidden. For troubleshooting Function URL authorization issues, see: "
    "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
}
URL, INVOKE = "lambda:InvokeFunctionUrl", "lambda:InvokeFunction"


def sent(url: str, body: bytes = b"", method: str = "POST", **headers: str) -> Reply:
    """The answer to a request; names of headers in small letters."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, body or None, named, method=method)  # noqa: S310 - ours
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
            fields = {name.lower(): value for name, value in answer.headers.items()}
            return Reply(answer.status, fields, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            fields = {name.lower(): value for name, value in error.headers.items()}
            return Reply(error.code, fields, error.read())


def with_url(account: Account, code: str, **settings: Any) -> tuple[str, str]:
    """The ARN and the address of a new function that nobody may call yet."""
    function = account.function(code, **settings)
    api = account.client("lambda")
    made = api.create_function_url_config(FunctionName=function, AuthType="NONE")
    return function, made["FunctionUrl"]


def allow(account: Account, function: str, action: str, **condition: Any) -> None:
    """Let anybody do something with a function."""
    account.client("lambda").add_permission(
        FunctionName=function,
        StatementId=action.partition(":")[2],
        Action=action,
        Principal="*",
        **condition,
    )


def allow_all(account: Account, function: str) -> None:
    """Let anybody invoke a function through its URL."""
    allow(account, function, URL, FunctionUrlAuthType="NONE")
    allow(account, function, INVOKE, InvokedViaFunctionUrl=True)


@pytest.fixture(scope="module")
def echo(account: Account) -> Iterator[str]:
    """The address of a function of a stack, as SAM's FunctionUrlConfig makes it."""
    function = function_resource(account, ECHO, FunctionUrlConfig={"AuthType": "NONE"})
    with created(account, {"Echo": function}, "echo-urls") as made:
        assert {"EchoUrl", "EchoUrlPublicPermissions", "EchoURLInvokeAllowPublicAccess"} <= set(
            made
        )
        api = account.client("lambda")
        yield api.get_function_url_config(FunctionName=made["Echo"])["FunctionUrl"]


def test_a_function_is_sent_the_request_in_payload_format_2(echo: str) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html ("Request payload")."""
    # When a program posts JSON to a path below the URL
    answer = sent(
        f"{echo}a%2Fb/ c".replace(" ", "%20") + "?q=1%202&q=3",
        b'{"name":"x"}',
        Content_Type="application/json",
        User_Agent="the vendor",
        X_Mixed="Case",
    )
    # Then the function has it all
    assert answer.status == 200
    event = answer.json()["got"]
    assert event["version"] == "2.0"
    assert (event["rawPath"], event["rawQueryString"]) == ("/a%2Fb/%20c", "q=1%202&q=3")
    assert (event["body"], event["isBase64Encoded"]) == ('{"name":"x"}', False)
    assert event["headers"]["content-type"] == "application/json"
    assert event["headers"]["x-mixed"] == "Case"
    asked = event["requestContext"]["http"]
    assert (asked["method"], asked["path"]) == ("POST", "/a%2Fb/%20c")
    assert (asked["sourceIp"], asked["userAgent"]) == ("127.0.0.1", "the vendor")
    assert event["requestContext"]["accountId"] == "anonymous"


def test_a_body_that_is_no_text_comes_as_base64(echo: str) -> None:
    event = sent(echo, b"\x00\xff", Content_Type="application/octet-stream").json()["got"]
    assert (event["body"], event["isBase64Encoded"]) == ("AP8=", True)


def test_a_request_without_a_body_has_none(echo: str) -> None:
    event = sent(echo, method="GET").json()["got"]
    assert "body" not in event
    assert event["requestContext"]["http"]["method"] == "GET"


def test_a_function_says_what_is_answered(echo: str) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html ("Response payload")."""
    answer = sent(f"{echo}plain", b"{}")
    assert (answer.status, answer.headers["x-own"], answer.body) == (202, "yes", b"taken")


def test_a_caller_learns_that_a_function_failed_and_not_why(echo: str) -> None:
    answer = sent(f"{echo}fail", b"{}")
    assert answer.status == 502
    assert b"secret" not in answer.body
    assert b"ValueError" not in answer.body


@pytest.mark.parametrize("one", [URL, INVOKE])
def test_one_permission_alone_lets_nobody_in(account: Account, one: str) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html: since October 2025 both."""
    # Given a function whose policy allows nothing, one of the two, or both
    function, url = with_url(account, ECHO)
    answers = [sent(url, b"{}")]
    conditions: dict[str, dict[str, Any]] = {
        URL: {"FunctionUrlAuthType": "NONE"},
        INVOKE: {"InvokedViaFunctionUrl": True},
    }
    # When it is called after each
    allow(account, function, one, **conditions.pop(one))
    answers.append(sent(url, b"{}"))
    ((other, condition),) = conditions.items()
    allow(account, function, other, **condition)
    answers.append(sent(url, b"{}"))
    # Then only both let it in, and the refusal is AWS's own
    assert [answer.status for answer in answers] == [403, 403, 200]
    assert answers[1].json() == FORBIDDEN
    assert answers[1].headers["x-amzn-errortype"] == "AccessDeniedException"


def test_a_permission_for_signed_callers_lets_no_other_in(account: Account) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html (FunctionUrlAuthType)."""
    function, url = with_url(account, ECHO)
    allow(account, function, URL, FunctionUrlAuthType="AWS_IAM")
    allow(account, function, INVOKE, InvokedViaFunctionUrl=True)
    assert sent(url, b"{}").status == 403


def test_more_than_are_reserved_are_refused(account: Account, tmp_path: Path) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html ("Throttling")."""
    # Given a function that may run once at a time, and runs
    function, url = with_url(account, WAITS)
    allow_all(account, function)
    api = account.client("lambda")
    api.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=1)
    begun = tmp_path / "begun"
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(sent, f"{url}?begun={begun}", b"{}")
        eventually(begun.exists)
        # When it is called once more, then that is refused
        assert sent(f"{url}?begun={tmp_path / 'other'}", b"{}").status == 429
        begun.unlink()
        # and the first one comes to its end
        assert first.result().status == 204


def test_ten_requests_a_second_are_taken_for_each_that_is_reserved(account: Account) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html ("Throttling")."""
    # Given a function that may run once at a time, and one for which nothing is reserved
    function, url = with_url(account, ECHO)
    free, free_url = with_url(account, ECHO)
    for each in (function, free):
        allow_all(account, each)
    account.client("lambda").put_function_concurrency(
        FunctionName=function, ReservedConcurrentExecutions=1
    )
    before = url_requests(account)
    # When either gets a flood
    with ThreadPoolExecutor(16) as pool:
        flood = list(pool.map(lambda _: sent(url, b"{}").status, range(200)))
    assert {sent(free_url, b"{}").status for _ in range(20)} == {200}
    # Then Lambda itself refuses what is more than ten a second, and only of the first
    after = url_requests(account)
    assert set(flood) == {200, 429}
    assert after["taken"] + after["refused"] - before["taken"] - before["refused"] == 200
    assert flood.count(429) >= after["refused"] - before["refused"] > 0


def url_requests(account: Account) -> Any:
    """How many requests to functions with a reservation were taken, and how many refused."""
    with urllib.request.urlopen(f"{account.endpoint}/_local/quotas") as answer:  # noqa: S310 - ours
        counts = json.loads(answer.read())["counts"]
    return counts.get("FunctionUrl", {"taken": 0, "refused": 0})


def test_a_body_of_more_than_6_mb_is_refused(echo: str) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""
    assert sent(echo, b"x" * (6 * 1024 * 1024 + 1)).status == 413


def test_a_page_of_another_origin_may_not_call_it(echo: str) -> None:
    """This server's own rule (browsers.py): a webhook's sender has no origin, a page has one."""
    foreign = ["Host: 127.0.0.1:{port}", "Origin: https://evil.example", "Content-Length: 0"]
    assert ask(echo, foreign, urlsplit(echo).path, "POST").status == 403
    program = ["Host: 127.0.0.1:{port}", "Content-Length: 0"]
    assert ask(echo, program, urlsplit(echo).path, "POST").status == 200


def test_its_address_leads_to_this_server_and_is_gone_with_its_stack(account: Account) -> None:
    # Given a stack that gives the address out
    formation = account.client("cloudformation")
    function = function_resource(account, ECHO, FunctionUrlConfig={"AuthType": "NONE"})
    template = {
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {"Echo": function},
        "Outputs": {"Url": {"Value": {"Fn::GetAtt": ["EchoUrl", "FunctionUrl"]}}},
    }
    formation.create_stack(
        StackName="with-url", TemplateBody=json.dumps(template), Capabilities=CAPABILITIES
    )
    (output,) = ended(account, "with-url")["Outputs"]
    url = output["OutputValue"]
    # Then it is called there
    assert url.startswith(account.endpoint)
    assert sent(url, b"{}").status == 200
    # and when the stack is deleted, nobody is there any more
    formation.delete_stack(StackName="with-url")
    ended(account, "with-url")
    assert sent(url, b"{}").status in (403, 404)


def test_each_address_is_one_function_s(account: Account) -> None:
    # Given two functions that anybody may call
    code = "def handler(event, context): return context.invoked_function_arn"
    made = [with_url(account, code) for _ in range(2)]
    for function, _ in made:
        allow_all(account, function)
    # When each is called, then it is that one that answers
    for function, url in made:
        assert function in sent(url, b"{}").body.decode()
