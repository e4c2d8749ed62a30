"""Parameter Store, where ministack's is more lenient than AWS's."""

import re
from collections.abc import Callable
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import ssm

from emulator.seams import replace

Request = dict[str, Any]


def install() -> None:
    """Let a parameter refuse a value that its pattern does not allow."""
    replace(ssm, "_put_parameter", with_an_allowed_value)


def with_an_allowed_value(put: Callable[[Request], Any]) -> Callable[[Request], Any]:
    """Refuse a value that the request's AllowedPattern does not match.

    AWS documentation: "PutParameter" (AWS Systems Manager API reference), AllowedPattern.
    """

    def put_parameter(request: Request) -> Any:
        pattern, value = request.get("AllowedPattern"), request.get("Value", "")
        if pattern and not re.search(pattern, value):
            return error_response_json(
                "ParameterPatternMismatchException",
                f"Parameter value, cannot be validated against allowedPattern: {pattern}",
                400,
            )
        return put(request)

    return put_parameter
