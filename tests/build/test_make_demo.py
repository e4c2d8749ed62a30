"""`make demo` as a process: what a new user sees, and what is left for them."""

import csv
import json
import os
import pty
import re
import subprocess
from pathlib import Path

from tests.build.checkout import Checkout, wait_until_none


def test_the_demo_shows_the_run_and_leaves_input_and_outputs(checkout: Checkout) -> None:
    # When
    made = checkout.make("demo")
    # Then it succeeds, and shows each state and the time spent
    assert made.returncode == 0, made.stdout + made.stderr
    for state in ("UploadAndExecute", "WaitForPipeline", "DownloadOutputs", "PublishRun"):
        assert re.search(rf"\d\.\d s  {re.escape(state)}$", made.stdout, re.M), made.stdout
        assert re.search(rf"✓\s+{re.escape(state)}\s+\d+\.\d s", made.stdout), made.stdout
    # and what it leaves is what it names
    demo = checkout.folder / ".local" / "demo"
    sample = (checkout.folder / "local" / "samples" / "claims_may.csv").read_bytes()
    assert (demo / "inbox" / "claims" / "may.csv").read_bytes() == sample
    (manifest,) = demo.rglob("manifest.json")
    assert str(manifest.relative_to(checkout.folder)) in made.stdout
    outputs = json.loads(manifest.read_text(encoding="utf-8"))["outputs"]
    assert outputs
    for output in outputs:
        kept = demo / "outbox" / output["key"].replace(": ", "_ ")  # names that Windows takes
        assert kept.stat().st_size == output["bytes"]
    first = sorted(manifest.parent.glob("*.csv"))[0]
    with first.open(newline="", encoding="utf-8") as file:
        header, row = next(reader := csv.reader(file)), next(reader)
    assert header[0] in made.stdout
    assert row[0] in made.stdout
    # and nothing runs on
    wait_until_none(checkout.folder)


def test_a_run_that_fails_is_explained_in_a_terminal(checkout: Checkout) -> None:
    # Given a sample that is a workbook and not the text that its name says
    sample = checkout.folder / "local" / "samples" / "claims_may.csv"
    content = sample.read_bytes()
    sample.write_bytes(b"PK\x03\x04")
    try:
        # When, in a terminal
        code, shown = in_terminal(checkout)
    finally:
        sample.write_bytes(content)
    # Then the state, the error and its cause are there, and the exit status says it too
    assert code != 0
    assert "FAILED" in shown
    assert re.search(r"✗\s+CheckFile", shown), shown
    assert "WrongFormat" in shown
    assert "claims/may.csv" in shown.split("WrongFormat", 1)[1]
    assert "Traceback" not in shown
    wait_until_none(checkout.folder)


def in_terminal(checkout: Checkout) -> tuple[int, str]:
    """Run `make demo` in a terminal of its own; its exit status and all that was drawn."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["make", "--no-print-directory", "demo"],  # noqa: S607 - as a person types it
        cwd=checkout.folder,
        env=checkout.environment(TERM="xterm-256color", COLUMNS="100"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    drawn = bytearray()
    while True:
        try:
            drawn += os.read(ours, 65536)
        except OSError:  # Linux: the other side is closed
            break
    os.close(ours)
    colours = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
    return process.wait(), colours.sub("", drawn.decode("utf-8", "replace"))


def test_a_checkout_has_the_sample(checkout: Checkout) -> None:
    sample: Path = checkout.folder / "local" / "samples" / "claims_may.csv"
    with sample.open(newline="", encoding="utf-8-sig") as file:
        assert len(list(csv.reader(file))) > 200
