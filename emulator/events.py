"""S3 events as EventBridge gets them from AWS."""

import json
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from ministack.services import eventbridge, s3

from emulator.seams import replace

Dispatch = Callable[..., None]
_version_id: ContextVar[str | None] = ContextVar("version_id", default=None)


def install(on_the_way: Callable[[Dispatch], Dispatch]) -> None:
    """Send events to the rules by this way, with the `version-id` that S3 gives where there is one.

    AWS documentation: "EventBridge event message structure" (Amazon S3 user guide).
    """

    def fire(original: Callable[..., None]) -> Callable[..., None]:
        def remembering_version(*arguments: Any, **named: Any) -> None:
            token = _version_id.set(named.get("version_id"))
            try:
                original(*arguments, **named)
            finally:
                _version_id.reset(token)

        return remembering_version

    def dispatch(original: Dispatch) -> Dispatch:
        def with_version(event: dict[str, Any], *rest: Any) -> None:
            if event.get("Source") == "aws.s3" and (version_id := _version_id.get()):
                detail = json.loads(event["Detail"])
                detail["object"]["version-id"] = version_id
                event = {**event, "Detail": json.dumps(detail)}
            original(event, *rest)

        return with_version

    replace(s3, "_fire_s3_event", fire)
    replace(eventbridge, "_dispatch_event", lambda original: on_the_way(dispatch(original)))
