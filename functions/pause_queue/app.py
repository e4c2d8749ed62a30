"""PauseQueue: an operator pauses a queue or lets it go on."""

from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools import Logger

from straight_through.aws import client, later
from straight_through.boundary import only_named_errors
from straight_through.errors import InputInvalid
from straight_through.queue.pauses import Pauses
from straight_through.queue.table import Table
from straight_through.queue.turns import Turns
from straight_through.settings import settings_of
from straight_through.text import shown


@dataclass(frozen=True)
class Settings:
    """What the template tells the function."""

    turns_table: str


logger = Logger()
table = Table(client("dynamodb"), settings_of(Settings).turns_table)
pauses = Pauses(table, Turns(table, later("stepfunctions")))


@only_named_errors
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take {"pause": queue, "reason": text} or {"resume": queue}; say who holds the turn."""
    match event:
        case {"pause": str(queue), **rest} if queue:
            state = pauses.pause(queue, shown(str(rest.get("reason", "by hand"))))
        case {"resume": str(queue)} if queue:
            state = pauses.resume(queue)
        case _:
            raise InputInvalid('Expected is {"pause": "<queue>"} or {"resume": "<queue>"}.')
    logger.info("Set", **event)
    holder = state.get("holder", {})
    return {"queue": queue, "paused": state.get("paused"), "holder": holder.get("run")}
