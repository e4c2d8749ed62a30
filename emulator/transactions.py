"""DynamoDB's transactions take a while, and refuse what wants one of their items meanwhile.

AWS documentation, "Transaction conflict handling in DynamoDB":
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
ministack answers one request of DynamoDB after the other, so that nothing ever overlaps there.
"""

import json
from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus
from typing import Any

from ministack.core.responses import error_response_json, get_account_id, get_region
from ministack.services import dynamodb

from emulator.quotas import Quotas
from emulator.seams import replace, seam

ALONE = {"PutItem", "UpdateItem", "DeleteItem"}
TOGETHER = {"TransactWriteItems", "TransactGetItems"}
ONGOING = "Transaction is ongoing for the item"
CANCELLED = "Transaction cancelled, please refer cancellation reasons for specific reasons"
IN_PROGRESS = "The transaction with the given request token is already in progress."
Fields = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]
Place = tuple[str, ...]  # account, region and table of an item, and its key
tables = seam(dynamodb, "_tables")
table_name = seam(dynamodb, "_normalize_table_name")
completed = seam(dynamodb, "_txn_token_lookup")


def install(quotas: Quotas) -> None:
    """Let transactions take as long as the quotas say."""
    replace(dynamodb, "handle_request", Transactions(quotas).handler)


class Transactions:
    """The write transactions that are under way, by their items and by their request tokens."""

    def __init__(self, quotas: Quotas) -> None:
        self._quotas = quotas
        self._items: set[Place] = set()
        self._tokens: set[str] = set()

    def handler(
        self, original: Callable[..., Awaitable[Response]]
    ) -> Callable[..., Awaitable[Response]]:
        """The service's entry point: what meets a transaction is refused."""

        async def handle(
            method: str, path: str, headers: dict[str, str], body: bytes, query: Fields
        ) -> Response:
            action = headers.get("x-amz-target", "").rpartition(".")[2]
            if action not in ALONE | TOGETHER:
                return await original(method, path, headers, body, query)
            request = request_of(body)
            token = request.get("ClientRequestToken", "")
            if action == "TransactWriteItems" and completed(token):
                return await original(method, path, headers, body, query)
            items = [place_of(part) for part in parts_of(request)]
            refusal = self._refusal(action, items, token)
            self._quotas.count(action, refused=refusal is not None)
            if refusal:
                return refusal
            if action != "TransactWriteItems":
                return await original(method, path, headers, body, query)
            places, tokens = {place for place in items if place}, {token} - {""}
            self._items |= places
            self._tokens |= tokens
            try:
                await self._quotas.while_under_way()
                return await original(method, path, headers, body, query)
            finally:
                self._items -= places
                self._tokens -= tokens

        return handle

    def _refusal(self, action: str, items: list[Place | None], token: str) -> Response | None:
        """What a request is refused with that meets a transaction."""
        met = [place in self._items for place in items]
        if action in ALONE and any(met):
            return refused("TransactionConflictException", ONGOING)
        if token in self._tokens:
            return refused("TransactionInProgressException", IN_PROGRESS)
        if any(met):
            conflict = {"Code": "TransactionConflict", "Message": ONGOING}
            reasons = [conflict if each else {"Code": "None"} for each in met]
            codes = ", ".join(reason["Code"] for reason in reasons)
            message = f"{CANCELLED} [{codes}]"
            return refused("TransactionCanceledException", message, CancellationReasons=reasons)
        return None


def refused(code: str, message: str, **more: Any) -> Response:
    """A response that refuses a request."""
    response: Response = error_response_json(code, message, HTTPStatus.BAD_REQUEST, more)
    return response


def request_of(body: bytes) -> Fields:
    """What a request says; nothing where ministack will refuse it."""
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return {}
    return request if isinstance(request, dict) else {}


def parts_of(request: Fields) -> Iterator[Any]:
    """What a request does to single items."""
    if "TransactItems" not in request:
        yield request
        return
    for member in request["TransactItems"] or []:
        yield next(iter(member.values()), None) if isinstance(member, dict) else None


def place_of(part: Any) -> Place | None:
    """Where an item lies; None where the request names no item of a table."""
    if not isinstance(part, dict) or "TableName" not in part:
        return None
    name = table_name(part["TableName"])
    table, item = tables.get(name), part.get("Key") or part.get("Item")
    if not table or not isinstance(item, dict):
        return None
    keys = [table["pk_name"], *([table["sk_name"]] if table["sk_name"] else [])]
    values = (json.dumps(item.get(key), sort_keys=True) for key in keys)
    return (get_account_id(), get_region(), name, *values)
