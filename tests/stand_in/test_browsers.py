"""Only pages that the stand-in was told of, and its own, may use it; programs always may."""

from __future__ import annotations

from typing import Any

import pytest

from local.quantemplate import Control, running
from local.stack import origins_on
from tests.stand_in.strangers import REFUSED, TAKEN, ask

SETTINGS = "/control/settings"
PAGES = origins_on(4566)
# Of others who serve on this machine, and of names that only look like the console's.
OTHERS = [
    "http://127.0.0.1:4567",
    "http://localhost",
    "http://[::1]:4566",
    "https://127.0.0.1:4566",
    "http://127.0.0.1:45660",
    "http://bucket.localhost:4566",
    "http://127.0.0.1:4566/",
    "http://127.0.0.1:4566, http://127.0.0.1:4566",
]


@pytest.fixture(scope="module")
def beside_console() -> Any:
    with running(pages=PAGES) as control:
        yield control


@pytest.mark.parametrize("path", [SETTINGS, "/control/troubles", "/external/v1", "/"])
@pytest.mark.parametrize("lines", REFUSED.values(), ids=REFUSED)
def test_what_another_page_sends_is_refused(stand_in: Control, lines: Any, path: Any) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        reply = ask(stand_in.url, lines, path, method)
        assert reply.status == 403
        assert reply.json()["error"].endswith(".")
        assert not any(name.startswith("access-control") for name in reply.headers)


def test_an_order_of_another_page_changes_nothing(stand_in: Control) -> None:
    before = stand_in.settings()
    order = '{"client_secret": "mine"}'
    for lines in REFUSED.values():
        more = [*lines, "Content-Type: text/plain", f"Content-Length: {len(order)}", "", order]
        assert ask(stand_in.url, more, "/control/credentials", "PUT").status == 403
        assert ask(stand_in.url, lines, "/control/reset", "POST").status == 403
    assert stand_in.settings() == before


@pytest.mark.parametrize("lines", TAKEN.values(), ids=TAKEN)
def test_programs_and_its_own_pages_are_answered(
    stand_in: Control, beside_console: Any, lines: Any
) -> None:
    for url in (stand_in.url, beside_console.url):
        assert ask(url, lines, SETTINGS).status == 200


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("site", [[], ["Sec-Fetch-Site: same-site"]])
def test_the_console_controls_it_from_its_own_port(
    beside_console: Any, page: Any, site: Any
) -> None:
    lines = ["Host: 127.0.0.1:{port}", f"Origin: {page}", *site]
    reply = ask(beside_console.url, lines, SETTINGS)
    assert reply.status == 200
    assert reply.headers["access-control-allow-origin"] == page


@pytest.mark.parametrize("page", OTHERS)
def test_no_other_page_of_this_machine_does(beside_console: Any, page: Any) -> None:
    lines = ["Host: 127.0.0.1:{port}", f"Origin: {page}"]
    for method in ("GET", "POST", "OPTIONS"):
        reply = ask(beside_console.url, lines, SETTINGS, method)
        assert reply.status == 403
        assert "access-control-allow-origin" not in reply.headers


def test_a_page_of_another_port_that_hides_its_origin_does_not(beside_console: Any) -> None:
    lines = ["Host: 127.0.0.1:{port}", "Sec-Fetch-Site: same-site"]
    assert ask(beside_console.url, lines, SETTINGS).status == 403


@pytest.mark.parametrize("page", PAGES)
def test_nobody_told_means_no_page(stand_in: Control, page: Any) -> None:
    lines = ["Host: 127.0.0.1:{port}", f"Origin: {page}"]
    assert ask(stand_in.url, lines, SETTINGS).status == 403


@pytest.mark.parametrize("target", ["http://evil.example/control/settings", "evil.example:80"])
def test_a_name_in_the_request_line_counts_as_well(stand_in: Control, target: Any) -> None:
    assert ask(stand_in.url, TAKEN["a program"], target).status == 403


def test_the_own_name_in_the_request_line_is_fine(stand_in: Control) -> None:
    target = "http://127.0.0.1:{port}/control/settings"
    assert ask(stand_in.url, TAKEN["a program"], target).status == 200


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("lines", [[], ["Host: 127.0.0.1:{port}", "Host: evil.example"]])
def test_a_request_has_one_name(stand_in: Control, lines: Any, version: Any) -> None:
    assert ask(stand_in.url, lines, SETTINGS, version=version).status == 403
