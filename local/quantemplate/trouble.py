"""Misbehaviour on request: what goes wrong, where, and how often."""

from __future__ import annotations

import email.utils
import json
import time
from dataclasses import dataclass, fields, replace
from typing import Any

from local.quantemplate.answers import ANSWERS, SIGN_IN, echo
from local.quantemplate.journal import Journal
from local.quantemplate.messages import SEEN, Call, ConnectionDropped, Reply

OPERATIONS = (
    "token",
    "upload_dataset",
    "download_dataset",
    "execute_pipeline",
    "list_executions",
    "download_output",
)


@dataclass
class Trouble:
    """One order to misbehave; the package's docstring says what each kind does."""

    operation: str
    kind: str
    id: str | None = None  # only for this pipeline or dataset
    times: int | None = 1  # how many calls; None: until cleared
    skip: int = 0  # calls that go well first
    when: str = "before"  # or "after" the side effect: delay, drop, reply, html, redirect, echo
    seconds: float | None = 0.0  # delay; stall (0: for ever); token_life (None: it is not told)
    bytes_per_second: float = 1024.0  # trickle, slow_read
    after_bytes: int = 0  # drop: of the request's body, read first; stall, reset: of the reply's
    missing: int = 1  # short: bytes not sent; older: runs not listed
    size: int = 1 << 30  # bomb: bytes once unzipped
    status: int = 500  # reply, relabel, echo
    answer: str | None = None  # reply: one that is known by name
    body: str | None = None  # reply; endless: what comes again and again
    content_type: str | None = None  # reply, relabel
    headers: dict[str, str] | None = None  # reply, relabel
    retry_after: float | None = None  # reply: Retry-After in seconds
    retry_after_date: float | None = None  # reply: Retry-After as the date so many seconds away
    run: dict[str, Any] | None = None  # run: how the run goes

    def __post_init__(self) -> None:
        """Refuse an order that could never take effect."""
        if self.operation not in OPERATIONS:
            raise ValueError(f"operation is none of {', '.join(OPERATIONS)}")
        if self.kind not in KINDS:
            raise ValueError(f"kind is none of {', '.join(KINDS)}")
        if self.when not in ("before", "after"):
            raise ValueError("when is before or after")
        if self.answer is not None and self.answer not in ANSWERS:
            raise ValueError(f"answer is none of {', '.join(ANSWERS)}")
        only = {
            "token_life": "token",
            "run": "execute_pipeline",
            "slow_read": "upload_dataset",
            "older": "list_executions",
        }
        if self.operation != only.get(self.kind, self.operation):
            raise ValueError(f"{self.kind} goes with {only[self.kind]}")


KINDS = (
    "reply",
    "drop",
    "delay",
    "trickle",
    "short",
    "gzip",
    "html",
    "redirect",
    "slow_read",
    "token_life",
    "run",
    "relabel",
    "unsized",
    "endless",
    "bomb",
    "stall",
    "reset",
    "echo",
    "older",
)


_WORDS = {204: b"", 401: b"Unauthorized", 403: b"Forbidden"}


class Troubles:
    """The orders that are not used up."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._orders: list[Trouble] = []

    def add(self, order: dict[str, Any]) -> None:
        """Take an order; raises ValueError for one that cannot be."""
        if unknown := set(order) - {field.name for field in fields(Trouble)}:
            raise ValueError(f"unknown fields {', '.join(sorted(unknown))}")
        try:
            trouble = Trouble(**order)
        except TypeError as error:
            raise ValueError("operation and kind are needed") from error
        with self._journal.lock:
            self._orders.append(trouble)

    def clear(self) -> None:
        """Drop every order."""
        with self._journal.lock:
            self._orders.clear()

    def waiting(self) -> list[dict[str, Any]]:
        """The orders as they stand."""
        with self._journal.lock:
            return [vars(order).copy() for order in self._orders]

    def take(self, operation: str, resource: str | None) -> dict[str, Trouble]:
        """What goes wrong with this call, by kind; the oldest order of a kind goes first."""
        taken: dict[str, Trouble] = {}
        with self._journal.lock:
            for order in list(self._orders):
                if order.operation != operation or order.id not in (None, resource):
                    continue
                if order.kind in taken:
                    continue
                if order.skip:
                    order.skip -= 1
                    continue
                taken[order.kind] = order
                if order.times is not None:
                    order.times -= 1
                    if order.times <= 0:
                        self._orders.remove(order)
            for kind in taken:
                self._journal.note("trouble", operation=operation, id=resource, kind=kind)
        return taken


def meet_before(troubles: dict[str, Trouble], call: Call, ids: dict[str, str]) -> Reply | None:
    """Do what happens before the side effect; a reply here means that there is none."""
    return _meet(troubles, call, "before", ids)


def meet_after(
    troubles: dict[str, Trouble], call: Call, reply: Reply, ids: dict[str, str]
) -> Reply:
    """Do what happens after the side effect; the reply that takes the place of `reply`."""
    return _meet(troubles, call, "after", ids) or reply


def not_found(ids: dict[str, str]) -> Reply:
    """The vendor's 404: a JSON body that fits no call."""
    execution = {"value": ids.get("execution", "")}
    output = {"value": ids.get("output", "")}
    body = json.dumps({"executionId": execution, "outputId": output}).encode()
    return Reply(404, body, "application/json")


def _meet(troubles: dict[str, Trouble], call: Call, when: str, ids: dict[str, str]) -> Reply | None:
    due = {kind: order for kind, order in troubles.items() if order.when == when}
    if "delay" in due:
        call.pause(due["delay"].seconds or 0)
    if "drop" in due:
        _read_some(call, due["drop"].after_bytes)
        raise ConnectionDropped
    if "html" in due:
        return SIGN_IN
    if "redirect" in due:
        return ANSWERS["moved"]
    if "echo" in due:
        _read_some(call, SEEN)
        return echo(call, due["echo"].status)
    return _ordered_reply(due["reply"], ids) if "reply" in due else None


def _read_some(call: Call, wanted: int) -> None:
    if call.body_read or not wanted:
        return
    for piece in call.pieces():
        wanted -= len(piece)
        if wanted <= 0:
            return


def _ordered_reply(order: Trouble, ids: dict[str, str]) -> Reply:
    headers = dict(order.headers or {})
    if order.retry_after is not None:
        headers["Retry-After"] = f"{order.retry_after:g}"
    if order.retry_after_date is not None:
        moment = time.time() + order.retry_after_date
        headers["Retry-After"] = email.utils.formatdate(moment, usegmt=True)
    if order.answer is not None:
        named = ANSWERS[order.answer]
        return replace(named, headers={**named.headers, **headers})
    usual = (
        not_found(ids) if order.status == 404 else Reply(body=_WORDS.get(order.status, b"Error"))
    )
    body = usual.body if order.body is None else order.body.encode()
    return Reply(order.status, body, order.content_type or usual.content_type, headers)
