"""Events: what the vendor POSTs to the address that an organisation has subscribed.

Two envelopes are documented, and two events. They are sent only for pipelines and datasets that
are shared with the whole organisation, unsigned and once; what else may become of them on their
way is a setting. Whoever is slow to take one, or takes none, holds nothing up.
"""

from __future__ import annotations

import heapq
import random
import re
import secrets
import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields, replace
from itertools import count
from typing import Any

import requests

from local.quantemplate.browsers import NAME
from local.quantemplate.journal import Journal, timestamp

PIPELINE_COMPLETED, DATASET_UPDATED = "PipelineCompleted", "DatasetUpdated"
# By the names of an event's id and its name.
ENVELOPES = {"long": ("eventId", "eventName"), "short": ("id", "name")}
ADDRESS = re.compile(rf"(?:https?://{NAME}(?::\d{{1,5}})?/\S*)?", re.ASCII | re.IGNORECASE)
SENDERS = 8  # so many wait for an answer at once
PATIENCE = 10.0  # seconds for an answer
KEPT = 50  # deliveries that are shown
Payload = dict[str, Any]
# Of its own: whoever seeds the common ones changes nothing here.
DICE = random.Random()  # noqa: S311 - not for secrets


@dataclass(frozen=True)
class Sending:
    """Where events go and how they come; shares are of 1, seconds by the clock on the wall."""

    url: str = ""  # "": nobody has subscribed
    envelope: str = "long"
    late: float = 0.0  # seconds
    scattered: float = 0.0  # up to so many seconds more, so that they come out of order
    twice: float = 0.0
    lost: float = 0.0
    strangers: float = 0.0  # with so many comes one about a run or dataset of others


@dataclass(frozen=True)
class Event:
    """An event; its copies have its id."""

    id: str
    name: str
    created: str
    payload: Payload

    def document(self, envelope: str) -> dict[str, Any]:
        """It as it is sent."""
        id_name, name_name = ENVELOPES[envelope]
        return {
            id_name: self.id,
            name_name: self.name,
            "created": self.created,
            "payload": self.payload,
        }


class Events:
    """Sends what it is told, in threads of its own, and keeps how each delivery went."""

    def __init__(self, journal: Journal) -> None:
        self.sending = Sending()
        self._journal = journal
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, Event]] = []  # a heap
        self._numbers = count()
        self._deliveries: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._counts = {"taken": 0, "failed": 0, "lost": 0}
        self._senders = ThreadPoolExecutor(SENDERS, thread_name_prefix="event")
        self._closed = False
        self._clock: threading.Thread | None = None

    def set(self, given: Mapping[str, Any]) -> None:
        """Change some settings; raises ValueError."""
        self.sending = sending_from(given, self.sending)

    def completed(self, pipeline_id: str, execution_id: str, status: str | None) -> None:
        """An execution of a pipeline that all see has ended."""
        told = {} if status is None else {"status": status}
        ids = {"pipelineId": pipeline_id, "pipelineExecutionId": execution_id}
        self.tell(PIPELINE_COMPLETED, {**ids, **told})

    def updated(self, dataset_id: str) -> None:
        """A dataset that all see was updated."""
        self.tell(DATASET_UPDATED, {"datasetId": dataset_id})

    def tell(self, name: str, payload: Payload) -> None:
        """Send an event as the settings say; returns at once."""
        sending = self.sending
        if not sending.url:
            return
        event = Event(f"ev-{secrets.token_hex(8)}", name, timestamp(), payload)
        if DICE.random() < sending.lost:
            self._keep(event, "lost")
        else:
            self._plan(event)
            if DICE.random() < sending.twice:
                self._plan(event)
        if DICE.random() < sending.strangers:
            self._plan(of_others(event))

    def report(self) -> dict[str, Any]:
        """The settings, how many deliveries there were, and the newest of them."""
        with self._changed:
            counts = {**self._counts, "waiting": len(self._due)}
            newest = list(self._deliveries)
            return {**asdict(self.sending), "counts": counts, "deliveries": newest}

    def close(self) -> None:
        """Send no more; what is under way is left to end by itself."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._clock:
            self._clock.join(timeout=5)
        self._senders.shutdown(wait=False, cancel_futures=True)

    def _plan(self, event: Event) -> None:
        wait = self.sending.late + DICE.uniform(0, self.sending.scattered)
        with self._changed:
            if self._closed:
                return
            heapq.heappush(self._due, (time.monotonic() + wait, next(self._numbers), event))
            if self._clock is None:
                self._clock = threading.Thread(target=self._run, name="events", daemon=True)
                self._clock.start()
            self._changed.notify_all()

    def _run(self) -> None:
        """Hand each event to a sender when it is due."""
        while True:
            with self._changed:
                if self._closed:
                    return
                rest = self._due[0][0] - time.monotonic() if self._due else None
                if rest is None or rest > 0:
                    self._changed.wait(rest)
                    continue
                event = heapq.heappop(self._due)[2]
                self._senders.submit(self._send, event)

    def _send(self, event: Event) -> None:
        sending = self.sending
        if not sending.url:
            return
        try:
            with requests.Session() as session:
                session.trust_env = False  # no proxy on the loopback interface
                answer = session.post(
                    sending.url,
                    json=event.document(sending.envelope),
                    timeout=PATIENCE,
                    allow_redirects=False,
                )
            taken = 200 <= answer.status_code < 300
            self._keep(event, "taken" if taken else "failed", status=answer.status_code)
        except requests.RequestException as error:
            # By its kind only: the words name the address, which is a secret.
            self._keep(event, "failed", error=type(error).__name__)

    def _keep(self, event: Event, became: str, **how: Any) -> None:
        facts = {"id": event.id, "name": event.name, "payload": event.payload, "became": became}
        with self._changed:
            if self._closed:
                return
            self._counts[became] += 1
            self._deliveries.append({"at": timestamp(), **facts, **how})
        self._journal.note("event_sent", **facts, **how)


def of_others(event: Event) -> Event:
    """An event like this one, about what nobody here has made."""
    payload = dict(event.payload)
    if event.name == PIPELINE_COMPLETED:
        payload["pipelineExecutionId"] = f"e-{secrets.token_hex(8)}"
        if DICE.random() < 0.5:
            payload["pipelineId"] = f"p-{secrets.token_hex(4)}"
    else:
        payload["datasetId"] = f"d-{secrets.token_hex(4)}"
    return replace(event, id=f"ev-{secrets.token_hex(8)}", payload=payload)


def sending_from(given: Mapping[str, Any], before: Sending) -> Sending:
    """The settings, after changing some; raises ValueError."""
    if unknown := set(given) - {known.name for known in fields(Sending)}:
        raise ValueError(f"unknown settings {', '.join(sorted(unknown))}")
    sending = replace(before, **given)
    if sending.envelope not in ENVELOPES:
        raise ValueError(f"envelope is none of {', '.join(ENVELOPES)}")
    if not isinstance(sending.url, str) or not ADDRESS.fullmatch(sending.url):
        raise ValueError("url is no address on this machine")
    for name in ("late", "scattered", "twice", "lost", "strangers"):
        value, most = getattr(sending, name), 3600 if name in ("late", "scattered") else 1
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            raise ValueError(f"{name} is no number from 0 to {most}")
    return sending
