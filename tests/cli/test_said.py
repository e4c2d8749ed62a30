"""What is said where there is no terminal."""

import io
import json
import threading
import time

import pytest
from rich.console import Console

import stp.said
from stp.said import Said, as_json


@pytest.fixture
def said() -> Said:
    """What is said into pipes."""
    return Said(out=Console(file=io.StringIO()), err=Console(file=io.StringIO()))


def heard(said: Said) -> str:
    """Return what was written on stderr."""
    return str(said.err.file.getvalue())  # type: ignore[attr-defined]


def test_what_takes_long_is_told_in_a_line(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a patience that is soon at its end
    monkeypatch.setattr(stp.said, "PATIENCE", 0.01)
    # When something takes until it is told
    with said.doing("Asking"):
        deadline = time.monotonic() + 60
        while not heard(said) and time.monotonic() < deadline:
            time.sleep(0.01)
    # Then it is one plain line
    assert heard(said) == "Asking …\n"


def test_what_is_done_soon_is_not_told(said: Said) -> None:
    # When something is done at once
    before = set(threading.enumerate())
    with said.doing("Asking"):
        (timer,) = set(threading.enumerate()) - before
    # Then nothing is told, and nothing waits to tell it
    timer.join(stp.said.PATIENCE / 2)
    assert not timer.is_alive()
    assert heard(said) == ""


EVIL = "may[red].csv\x1b[2J\u202e\ud800\nNext: nothing"


def test_what_others_have_named_commands_no_terminal(said: Said) -> None:
    said.note(EVIL)
    said.result({}, EVIL)
    for console in (said.err, said.out):
        text = console.file.getvalue()  # type: ignore[attr-defined]
        assert text == "may[red].csv\\x1b[2J\\u202e\\ud800\nNext: nothing\n"


def test_nor_does_json_which_says_the_same() -> None:
    document = {"key": EVIL, "ü": "😀\x85"}
    text = as_json(document)
    assert all(line.isprintable() for line in text.split("\n"))
    assert "ü" in text
    assert "😀" in text
    assert json.loads(text) == document
