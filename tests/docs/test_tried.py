"""The commands of the documents, run as they stand against the deployed application.

A block of the language `sh` is one that is run here, by a shell, in the order of its page.
"""

import json
import re
from collections.abc import Callable

import pytest

from tests.docs.pages import PAGES, blocks, name_of, text_of
from tests.docs.reader import Reader

RUN = "claims-may-8e4a34ed3a68e23dd38f"  # of which the pages speak
APART = {"README.md"}  # test_ten_minutes.py


# --- what each page needs, and what has come of it ------------------------------------------------
def with_a_failed_run(reader: Reader) -> Callable[[list[str]], None]:
    """A failed run goes on, and another is processed again."""
    run = reader.failed()
    named = reader.road.client("stepfunctions").describe_execution(executionArn=run.arn)
    key = json.loads(named["input"])["key"]
    # The pipeline's run that one attaches to.
    execution = run.cause.partition("(")[2].partition(")")[0]
    reader.replaced |= {RUN: run.name, "e-474330098586ece6": execution, "claims/may.csv": key}

    def then(said: list[str]) -> None:
        assert "Failed: PipelineFailed" in said[0]
        assert f"{run.name} goes on" in said[0]
        assert f"{run.name} runs again as" in said[2]
        assert reader.road.ended(run.arn).status == "SUCCEEDED"
        attached = json.loads(said[3])["executionArn"]
        assert reader.road.ended(attached).error == "PipelineFailed"

    return then


def with_a_held_run(reader: Reader) -> Callable[[list[str]], None]:
    """It is released."""
    run = reader.held()
    reader.replaced |= {RUN: run.name}

    def then(said: list[str]) -> None:
        assert "held because" in said[0]
        assert f"held/{run.output['route']}/may/{run.name}/" in said[0]
        release = re.findall(r"is being released by (\S+)\.", said[1])[0]
        arn = run.arn.replace(run.name, release)
        assert reader.road.ended(arn).output["status"] == "Succeeded"

    return then


def with_a_role(reader: Reader) -> Callable[[list[str]], None]:
    """Executions start from a shell and from an event."""
    road, route = reader.road, reader.route()
    *_, policy = blocks(text_of("docs/start-from-elsewhere.md"), "json")
    reader.makes_role(json.loads(policy))
    reader.replaced |= {"claims/": f"{route.name}/", "ours-may-1": f"ours-{route.name}"}

    def then(said: list[str]) -> None:
        started = json.loads(said[0][said[0].index("{") :])
        assert road.ended(started["executionArn"]).output["status"] == "Succeeded"
        key = f"{route.name}/may.csv.filepart"
        detail = json.dumps({"bucket": road.inbox, "key": key})
        entry = {"Source": "partner", "DetailType": "File Ready", "Detail": detail}
        road.client("events").put_events(Entries=[entry])
        road.until(lambda: len(road.executions_of(key)) > 1, "an execution by the rule")
        schedule = road.client("scheduler").get_schedule(Name="every-morning")
        assert json.loads(schedule["Target"]["Input"])["bucket"] == road.inbox

    return then


def with_nothing(_: Reader) -> Callable[[list[str]], None]:
    """Nothing more than may.csv is needed."""
    return lambda _: None


PREPARED = {
    "docs/add-a-route.md": with_nothing,
    "docs/messages.md": with_nothing,
    "docs/release.md": with_a_held_run,
    "docs/rerun.md": with_a_failed_run,
    "docs/rotate-the-secret.md": with_nothing,
    "docs/several-stages.md": with_nothing,
    "docs/start-from-elsewhere.md": with_a_role,
    "docs/turns.md": with_nothing,
}


def test_every_page_with_commands_is_tried() -> None:
    tried = {name_of(page) for page in PAGES if blocks(page.read_text("utf-8"), "sh")}
    assert tried == PREPARED.keys() | APART


@pytest.mark.parametrize("page", sorted(PREPARED))
def test_the_commands_of_a_page_do_what_it_says(reader: Reader, page: str) -> None:
    # Given what the page speaks of
    then = PREPARED[page](reader)
    # When its commands are typed, one block after the other
    said = [reader.types(block) for block in blocks(text_of(page), "sh")]
    # Then none has failed, and what it says has come
    then(said)
