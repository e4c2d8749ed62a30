"""A client of the API that judges nothing, and waiting for what is to happen."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import requests

from local.quantemplate import Control

CSV = b"Claim Ref,Policy No,Date of Loss,Paid\nC1,P1,03/05/2026,1\n"


class Client:
    """Calls as a plain program makes them; each gives the reply, whatever its status."""

    def __init__(self, control: Control) -> None:
        self.session = requests.Session()
        self.session.trust_env = False
        self.control = control
        self.organisation = f"{control.api_url}/organisations/c-broker"

    def token(self, **changed: str | None) -> requests.Response:
        """Ask for a token; None leaves a field out."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self.control.client_id,
            "client_secret": self.control.client_secret,
        }
        return self.session.post(self.control.token_url, data=form | changed, timeout=60)

    def sign_in(self) -> Client:
        """Carry a new token in every call from now on."""
        token = self.token().json()["access_token"]
        self.session.headers["Authorization"] = f"Bearer {token}"
        return self

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        """Call a path below the organisation."""
        more = {"timeout": 5, "allow_redirects": False} | more
        return self.session.request(method, self.organisation + path, **more)

    def upload(self, data: Any = CSV, dataset: str = "d-claims", **more: Any) -> requests.Response:
        """Upload Dataset."""
        return self.call("POST", f"/datasets/{dataset}", data=data, **more)

    def execute(self, pipeline: str = "p-claims", **more: Any) -> requests.Response:
        """Execute Pipeline."""
        return self.call("POST", f"/pipelines/{pipeline}/executions", **more)

    def list(self, pipeline: str = "p-claims", **more: Any) -> requests.Response:
        """List Executions."""
        return self.call("GET", f"/pipelines/{pipeline}/executions", **more)

    def output(self, run: dict[str, Any], number: int = 0, **more: Any) -> requests.Response:
        """Download Output, by its place in the run's list."""
        path = f"/pipelines/p-claims/executions/{run['id']}/outputs/{run['outputs'][number]['id']}"
        return self.call("GET", path, **more)

    def finished(self, number: int = 1, pipeline: str = "p-claims") -> dict[str, Any]:
        """The execution object of this run number, once it has ended."""

        def ended() -> dict[str, Any] | None:
            runs = self.list(pipeline).json()
            return next((r for r in runs if r["runNumber"] == number and "finishedAt" in r), None)

        return dict(eventually(ended))


def eventually(look: Callable[[], Any]) -> Any:
    """What `look` finds, once it finds something."""
    until = time.monotonic() + 60
    while not (found := look()):
        assert time.monotonic() < until, "it did not happen within a minute"
        time.sleep(0.005)
    return found
