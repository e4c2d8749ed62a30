"""Only pages of this machine may use the stand-in, under its own name; programs always may."""

from __future__ import annotations

import pytest

from tests.strangers import REFUSED, TAKEN, ask

SETTINGS = "/control/settings"
LOOPBACK = [
    "http://127.0.0.1:4566",
    "http://localhost:4566",
    "http://[::1]:8080",
]


@pytest.mark.parametrize("path", [SETTINGS, "/control/troubles", "/external/v1", "/"])
@pytest.mark.parametrize("lines", REFUSED.values(), ids=REFUSED)
def test_what_another_page_sends_is_refused(stand_in, lines, path):
    for method in ("GET", "POST", "OPTIONS"):
        reply = ask(stand_in.url, lines, path, method)
        assert reply.status == 403
        assert reply.json()["error"].endswith(".")
        assert not any(name.startswith("access-control") for name in reply.headers)


def test_an_order_of_another_page_changes_nothing(stand_in):
    before = stand_in.settings()
    order = '{"client_secret": "mine"}'
    for lines in REFUSED.values():
        more = [*lines, "Content-Type: text/plain", f"Content-Length: {len(order)}", "", order]
        assert ask(stand_in.url, more, "/control/credentials", "PUT").status == 403
        assert ask(stand_in.url, lines, "/control/reset", "POST").status == 403
    assert stand_in.settings() == before


@pytest.mark.parametrize("lines", TAKEN.values(), ids=TAKEN)
def test_programs_and_pages_of_this_machine_are_answered(stand_in, lines):
    assert ask(stand_in.url, lines, SETTINGS).status == 200


@pytest.mark.parametrize("page", LOOPBACK)
def test_the_console_controls_it_from_its_own_port(stand_in, page):
    reply = ask(stand_in.url, ["Host: 127.0.0.1:{port}", f"Origin: {page}"], SETTINGS)
    assert reply.status == 200
    assert reply.headers["access-control-allow-origin"] == page


@pytest.mark.parametrize("target", ["http://evil.example/control/settings", "evil.example:80"])
def test_a_name_in_the_request_line_counts_as_well(stand_in, target):
    assert ask(stand_in.url, TAKEN["a program"], target).status == 403


def test_the_own_name_in_the_request_line_is_fine(stand_in):
    target = "http://127.0.0.1:{port}/control/settings"
    assert ask(stand_in.url, TAKEN["a program"], target).status == 200


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("lines", [[], ["Host: 127.0.0.1:{port}", "Host: evil.example"]])
def test_a_request_has_one_name(stand_in, lines, version):
    assert ask(stand_in.url, lines, SETTINGS, version=version).status == 403
