"""The commands of the documents, run as they stand against the deployed application.

A block of the language `sh` is one that is run here, by a shell, in the order of its page.
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.docs.pages import PAGES, blocks, name_of, text_of
from tests.docs.reader import Reader
from tests.end_to_end.stack import make_route

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
    reader.keeps_to(run)
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


def with_a_name_of_its_own(reader: Reader) -> Callable[[list[str]], None]:
    """The route is the one of the last document."""
    name = reader.folder.name.replace("_", "-")
    reader.replaced |= {"routes/claims": f"routes/{name}"}

    def then(said: list[str]) -> None:
        assert f"add {name}" in said[0]
        assert "1 change, none made (--dry-run)" in said[0]
        assert "1 change made" in said[0]
        parameter = f"{reader.road.routes_path}/{name}"
        put = reader.road.client("ssm").get_parameter(Name=parameter)["Parameter"]
        assert json.loads(put["Value"]) == json.loads((reader.folder / "claims.json").read_text())

    return then


def with_a_failed_run_of_another_day(reader: Reader) -> Callable[[list[str]], None]:
    """The token is taken, and failed runs go on."""
    run = reader.failed()
    reader.keeps_to(run)
    # Routes that are wrong, for other tests, lie in the stack too: 1 is of those.
    reader.replaced |= {"stp doctor": "stp doctor || test $? -eq 1"}

    def then(said: list[str]) -> None:
        assert "✓ secret" in said[0]
        assert "✓ token" in said[0]
        assert f"{run.name} goes on" in said[1]
        assert reader.road.ended(run.arn).status == "SUCCEEDED"

    return then


def with_a_queue(reader: Reader) -> Callable[[list[str]], None]:
    """It is paused and goes on, twice."""
    pipeline = reader.route().pipeline_id
    reader.replaced |= {"p-claims": pipeline}

    def then(said: list[str]) -> None:
        assert f"Queue {pipeline} is paused." in said[1]
        assert f"Queue {pipeline} goes on." in said[1]
        assert said[2].index("month end") < said[2].rindex('"paused": null')

    return then


def with_a_topic(reader: Reader) -> Callable[[list[str]], None]:
    """People are subscribed, other systems have a rule, and a file is asked for its tags."""
    file = "claims/may.csv.filepart"  # which starts nothing
    reader.road.drop(file, b"a\n")
    reader.replaced |= {"claims/may.csv": file}

    def then(_: list[str]) -> None:
        road = reader.road
        pages = road.client("sns").get_paginator("list_subscriptions_by_topic")
        listed = [s for p in pages.paginate(TopicArn=road.topic) for s in p["Subscriptions"]]
        of = {each["Endpoint"]: each["SubscriptionArn"] for each in listed}
        assert of.keys() >= {"claims-team@example.com", "claims-only@example.com"}
        mine = road.client("sns").get_subscription_attributes(
            SubscriptionArn=of["claims-only@example.com"]
        )["Attributes"]
        assert json.loads(mine["FilterPolicy"])["route"] == ["claims"]
        rule = road.client("events").describe_rule(Name="runs-ended")
        assert json.loads(rule["EventPattern"])["source"] == ["straight-through"]

    return then


def with_two_routes(_: Reader) -> Callable[[list[str]], None]:
    """The files of the stages are sound."""

    def then(said: list[str]) -> None:
        assert said == ["2 routes in routes: 0 errors\n"]

    return then


def with_a_run(reader: Reader) -> Callable[[list[str]], None]:
    """Its line is here."""
    run = reader.held()

    def there() -> bool:
        listed = reader.road.client("s3").list_objects_v2(Bucket=reader.road.outbox, Prefix="runs/")
        return any(each["Key"].endswith(f"/{run.name}.json") for each in listed.get("Contents", ()))

    reader.road.until(there, "the line of a run")

    def then(_: list[str]) -> None:
        (line,) = (reader.folder / "runs").rglob(f"{run.name}.json")
        assert json.loads(line.read_text("utf-8"))["status"] == "Held"

    return then


def with_failed_files(reader: Reader) -> Callable[[list[str]], None]:
    """They are replayed."""
    run = reader.failed()
    described = reader.road.client("stepfunctions").describe_execution(executionArn=run.arn)
    route = json.loads(described["input"])["key"].partition("/")[0]
    today = datetime.now(UTC).date()
    later = today + timedelta(days=2)
    reader.replaced |= {"--route claims": f"--route {route}"}
    reader.replaced |= {"2026-09-01": str(today - timedelta(days=2)), "2026-10-01": str(later)}

    def then(said: list[str]) -> None:
        (one,) = said
        assert f"{route}/may.csv" in one
        assert "1 run: 1 Succeeded." in one
        replayed = [
            reader.road.ended(arn).name for arn in reader.road.executions_of(f"{route}/may.csv")
        ]
        assert len(replayed) == 2
        assert replayed[0].startswith(f"{run.name}-replay-")

    return then


def with_no_set(_: Reader) -> Callable[[list[str]], None]:
    """No route gathers one."""

    def then(said: list[str]) -> None:
        assert len(said) == 1

    return then


def with_a_route_that_expects(reader: Reader) -> Callable[[list[str]], None]:
    """It is listed."""
    rule = {"file": "claims-{period}.csv", "every": "month", "by": "working day 5, 17:00"}
    route = make_route(reader.road, reader.stand_in, "Copy", expect=rule)

    def listed() -> bool:
        return f"{route.name} " in reader.types("stp expected\n")

    reader.road.until(listed, "what is expected")

    def then(said: list[str]) -> None:
        assert any(route.name in each for each in said)

    return then


PREPARED = {
    "docs/add-a-route.md": with_a_name_of_its_own,
    "docs/expect-files.md": with_a_route_that_expects,
    "docs/gather-a-set.md": with_no_set,
    "docs/messages.md": with_a_topic,
    "docs/query-your-runs.md": with_a_run,
    "docs/release.md": with_a_held_run,
    "docs/replay.md": with_failed_files,
    "docs/rerun.md": with_a_failed_run,
    "docs/rotate-the-secret.md": with_a_failed_run_of_another_day,
    "docs/several-stages.md": with_two_routes,
    "docs/start-from-elsewhere.md": with_a_role,
    "docs/turns.md": with_a_queue,
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
