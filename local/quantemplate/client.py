"""The handle on a running stand-in, in this process or another: it speaks HTTP to it."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import requests

from local.quantemplate.api import API_PATH, TOKEN_PATH
from local.quantemplate.server import Server


class Control:
    """Tells the stand-in at `url` what to do; a refused order raises ValueError."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.api_url = self.url + API_PATH
        self.token_url = self.url + TOKEN_PATH

    @property
    def client_id(self) -> str:
        """The client id that the token endpoint accepts now."""
        return str(self.settings()["client_id"])

    @property
    def client_secret(self) -> str:
        """The client secret that the token endpoint accepts now."""
        return str(self.settings()["client_secret"])

    def reset(self) -> None:
        """Start anew: seeds, empty journal, no tokens, no trouble; only the time scale stays."""
        self._order("POST", "reset")

    def settings(self, **changed: float | str) -> dict[str, Any]:
        """The settings, after changing some: time_scale, token_seconds, clock_ahead, times."""
        found: dict[str, Any] = self._order("PUT", "settings", changed)
        return found

    def rotate_credentials(self, client_secret: str, client_id: str | None = None) -> None:
        """Make the token endpoint take these from now on; tokens stay good."""
        given = {"client_id": client_id} if client_id else {}
        self._order("PUT", "credentials", {"client_secret": client_secret, **given})

    def expire_tokens(self) -> None:
        """Make every token handed out so far expire now."""
        self._order("POST", "tokens/expire")

    def datasets(self) -> dict[str, Any]:
        """Every dataset with its versions, by id."""
        found: dict[str, Any] = self._order("GET", "datasets")
        return found

    def define_dataset(self, dataset_id: str, *, shared: bool = True, **more: bool) -> None:
        """Add a dataset, or change whether the API user may edit it, and shared_with_all."""
        self._order("PUT", f"datasets/{dataset_id}", {"shared": shared, **more})

    def update_dataset(self, dataset_id: str, content: str | None = None) -> None:
        """Update a dataset as somebody else, with this content or with its own."""
        given = {} if content is None else {"content": content}
        self._order("POST", f"datasets/{dataset_id}/update", given)

    def pipelines(self) -> dict[str, Any]:
        """Every pipeline with its runs, by id."""
        found: dict[str, Any] = self._order("GET", "pipelines")
        return found

    def define_pipeline(self, pipeline_id: str, **definition: Any) -> None:
        """Add or replace a pipeline: kind, datasets, outputs, seconds, jitter, shared."""
        self._order("PUT", f"pipelines/{pipeline_id}", definition)

    def share_pipeline(self, pipeline_id: str, *, shared_with_all: bool) -> None:
        """Share a pipeline with all in the organisation, or not: then there are no events."""
        given = {"shared_with_all": shared_with_all}
        self._order("PUT", f"pipelines/{pipeline_id}/sharing", given)

    def events(self, **changed: float | str) -> dict[str, Any]:
        """How events are sent and how deliveries went, after changing some settings."""
        found: dict[str, Any] = self._order("PUT", "events", changed)
        return found

    def send_event(self, name: str, **payload: Any) -> None:
        """Send an event, true or not."""
        self._order("POST", "events", {"name": name, "payload": payload})

    def define_history(self, pipeline_id: str, **history: Any) -> None:
        """Say what a pipeline's list begins with: items, or a count of plain ones."""
        self._order("PUT", f"pipelines/{pipeline_id}/history", history)

    def run(self, pipeline_id: str, **plan: Any) -> dict[str, Any]:
        """Make a run as somebody else; the execution object."""
        found: dict[str, Any] = self._order("POST", "runs", {"pipeline": pipeline_id, **plan})
        return found

    def cancel(self, execution_id: str, **how: Any) -> None:
        """Cancel a run: end_status (the spelling), keep_outputs."""
        self._order("POST", f"runs/{execution_id}/cancel", how)

    def finish(self, execution_id: str, **how: Any) -> None:
        """End a run now: end_status, keep_outputs."""
        self._order("POST", f"runs/{execution_id}/finish", how)

    def trouble(self, operation: str, kind: str, **order: Any) -> None:
        """Order misbehaviour; see the package's docstring."""
        self._order("POST", "troubles", {"operation": operation, "kind": kind, **order})

    def troubles(self) -> list[dict[str, Any]]:
        """The orders that are not used up."""
        found: list[dict[str, Any]] = self._order("GET", "troubles")
        return found

    def clear_troubles(self) -> None:
        """Behave again."""
        self._order("DELETE", "troubles")

    def journal(self, event: str | None = None, after: int = 0) -> list[dict[str, Any]]:
        """The journal's entries above number `after`, of one event or all."""
        entries = self._order("GET", f"journal?after={after}")
        return [entry for entry in entries if event in (None, entry["event"])]

    def violations(self) -> list[dict[str, Any]]:
        """The journal's violations."""
        return self.journal("violation")

    def _order(self, method: str, path: str, content: dict[str, Any] | None = None) -> Any:
        with requests.Session() as session:
            session.trust_env = False  # no proxy on the loopback interface
            reply = session.request(method, f"{self.url}/control/{path}", json=content, timeout=60)
        result = reply.json()
        if not reply.ok:
            raise ValueError(result["error"])
        return result


@contextmanager
def running(
    port: int = 0, time_scale: float = 1.0, pages: Collection[str] = ()
) -> Iterator[Control]:
    """Serve from a thread of this process until the block ends, to these origins' pages too."""
    server = Server(port, time_scale, pages)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Control(server.url)
    finally:
        server.stop()
        thread.join()
