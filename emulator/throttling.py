"""Requests of which an account may send so many in a second, and no more.

AWS documentation, "Quotas related to API action throttling":
https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
"Default throughput" of Parameter Store: https://docs.aws.amazon.com/general/latest/gr/ssm.html
Their refusal: https://docs.aws.amazon.com/step-functions/latest/apireference/CommonErrors.html
"""

import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from emulator.control import body_of
from emulator.quotas import AWS, TRANSITION, Quotas

App = Callable[..., Awaitable[None]]
CODE = "ThrottlingException"
STEP_FUNCTIONS, PARAMETER_STORE = "AWSStepFunctions.", "AmazonSSM."
KINDS = {
    **{STEP_FUNCTIONS + name: name for name in AWS if name not in (TRANSITION, "GetParameter")},
    **{
        PARAMETER_STORE + name: "GetParameter"
        for name in ("GetParameter", "GetParameters", "GetParametersByPath")
    },
}


def install(app: App, quotas: Quotas) -> App:
    """The application, which refuses what is too much."""

    async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
        target = dict(scope.get("headers", ())).get(b"x-amz-target", b"").decode("latin-1")
        kind = KINDS.get(target)
        if kind is None or quotas.take(kind):
            await app(scope, receive, send)
            return
        await body_of(receive)  # the connection serves the next request
        body = json.dumps({"__type": CODE, "message": "Rate exceeded"}).encode()
        headers = [
            (b"content-type", b"application/x-amz-json-1.1"),
            (b"x-amzn-errortype", CODE.encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        status = HTTPStatus.BAD_REQUEST
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer
