"""The console as a person sees and uses it."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from local.console.served import PATH

# What a browser does when files are dropped on an element.
DROP = """([target, files]) => {
  const transfer = new DataTransfer();
  for (const [name, text] of files) transfer.items.add(new File([text], name));
  for (const type of ["dragenter", "dragover", "drop"]) {
    const event = new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer: transfer });
    target.dispatchEvent(event);
  }
}"""
RULES = {
    "type": "tag",
    "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}


@dataclass
class Console:
    """A page of the console; `errors` and `origins` are what it did in the background."""

    page: Page
    endpoint: str
    errors: list[str] = field(default_factory=list)
    origins: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Watch the page."""
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.origins.add(origin(request.url)))

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    # --- what a person does ----------------------------------------------------------------------
    def open(self, view: str = "runs") -> "Console":
        """Open a view by its address."""
        self.page.goto(f"{self.endpoint}{PATH}#/{quote(view)}")
        return self

    def choose(self, route: str, file: Path | dict[str, Any]) -> None:
        """Choose a file for a route in the browser's own dialogue."""
        self.page.get_by_role("radio", name=route, exact=True).check()
        with self.page.expect_file_chooser() as chooser:
            self.page.get_by_role("button", name="Choose files").click()
        chooser.value.set_files(file)  # type: ignore[arg-type]

    def drop(self, route: str, **files: str) -> None:
        """Drag files, named by stem, onto a route."""
        target = self.page.locator(f'[data-route="{route}"]')
        expect(target).to_be_visible()
        self.page.evaluate(
            DROP, [target.element_handle(), [[f"{n}.csv", t] for n, t in files.items()]]
        )

    def press(self, name: str) -> None:
        """Press a button."""
        self.page.get_by_role("button", name=name, exact=True).click()

    # --- what a person sees ----------------------------------------------------------------------
    def listed(self, key: str) -> Locator:
        """The list's entries of a file."""
        return self.page.locator("#runs a.run").filter(has_text=key)

    def shows(self, status: str) -> None:
        """Wait until the run that is open has this status."""
        expect(self.page.locator(".head .pill")).to_contain_text(status)

    def is_of(self, name: str) -> None:
        """Wait until the run of this name is open."""
        expect(self.page.locator(".head code")).to_have_text(name)

    @property
    def run(self) -> str:
        """The name of the run that is open."""
        return self.page.locator(".head code").inner_text()

    def lit(self, status: str) -> list[str]:
        """The picture's states that have this status, from top to bottom."""
        shapes = self.page.locator(f".picture .state.{status}").all()
        return [str(shape.get_attribute("data-state")) for shape in shapes]

    def data(self, title: str) -> Any:
        """A state's input or output."""
        return json.loads(self.page.get_by_role("region", name=title, exact=True).inner_text())

    def table(self) -> list[list[str]]:
        """The preview, head first."""
        rows = self.page.locator(".preview tr").all()
        return [row.locator("th, td").all_inner_texts() for row in rows]

    def barriers(self) -> list[str]:
        """What keeps somebody from using the page, by the axe rules."""
        found = Axe().run(self.page, options={"runOnly": RULES})
        return [
            f"{each['id']}: {node['html']} {node['failureSummary']}"
            for each in found.response["violations"]
            for node in each["nodes"]
        ]


def origin(url: str) -> str:
    """Where a request goes."""
    return "{0.scheme}://{0.netloc}".format(urlsplit(url))
