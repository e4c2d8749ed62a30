"""The console's modules by themselves, in a browser: as they are served, without a server."""

from typing import Any

import yaml
from playwright.sync_api import Page, Route

from local.console.served import FOLDER, PATH, TYPES, reply
from local.process import ROOT

ADDRESS = "http://127.0.0.1:9/"  # where nobody serves: each request is answered from the folder


def answer(route: Route) -> None:
    """Answer a request as the console does, and its address with an empty page."""
    if not (name := route.request.url.removeprefix(ADDRESS)):
        route.fulfill(body="<!doctype html><title>None</title>", content_type=TYPES[".html"])
        return
    status, headers, body = reply("GET", PATH + name)
    route.fulfill(status=status, body=body, headers=headers)


class Modules:
    """Calls what the modules export."""

    def __init__(self, page: Page) -> None:
        """Answer what the page asks of the modules' origin."""
        self.page = page
        page.route(f"{ADDRESS}**", answer)
        self.open()

    def open(self) -> None:
        """Open an empty page of the modules' origin: nothing is left of what was there."""
        self.page.goto(ADDRESS)

    def call(self, module: str, expression: str, given: Any = None) -> Any:
        """The value of an expression with the module as `m` and the argument as `given`."""
        script = (
            f"async (given) => {{ const m = await import('/{module}.js'); return {expression}; }}"
        )
        return self.page.evaluate(script, given)

    def state_machine(self) -> str:
        """The picture of the application's own state machine, as a file."""
        given = {
            "definition": definition(),
            "css": (FOLDER / "picture.css").read_text("utf-8"),
            "title": "The state machine of Straight-Through Processing",
        }
        expression = "m.fileText(m.picture(given.definition, given.title), given.css)"
        return str(self.call("picture", expression, given))


def definition() -> dict[str, Any]:
    """The application's own state machine."""
    text = (ROOT / "statemachine" / "straight_through.asl.yaml").read_text("utf-8")
    return dict(yaml.safe_load(text))
