"""Runs whose report has rows are held, until a person releases them."""

import json
import uuid

import jsonschema
import pytest

from local.process import ROOT
from local.quantemplate import Control
from tests.end_to_end.mailbox import Mailbox
from tests.end_to_end.road import Road, Route, Run
from tests.end_to_end.stack import PARTNER, make_route

SCHEMA = json.loads((ROOT / "layers/straight_through/manifest.schema.json").read_text())
CLEAN, REPORT = "Clean claims: Sheet 1", "Validation report: Sheet 1"


def content() -> bytes:
    """A file of two rows, which its pipeline's report has too."""
    return f"reference,amount\n{uuid.uuid4().hex},100\nB,200\n".encode()


@pytest.fixture
def gated(road: Road, stand_in: Control) -> tuple[Route, Route]:
    """A route with a gate, a destination and a next stage; and that stage."""
    central = make_route(road, stand_in, "Central: Sheet 1")
    return make_route(
        road,
        stand_in,
        CLEAN,
        REPORT,
        hold_if_rows=["Validation report: *"],
        destinations=[f"s3://{PARTNER}/{{route}}/{{output}}.csv"],
        then=[{"route": central.name, "output": CLEAN}],
    ), central


def released(road: Road, run: Run) -> Run:
    """A new execution that releases the run, at its end."""
    return road.ended(road.start({"release": run.name}))


def keys_of(road: Road, bucket: str, prefix: str) -> list[str]:
    """What lies in a bucket."""
    listed = road.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)
    return [each["Key"] for each in listed.get("Contents", ())]


def calls(stand_in: Control) -> int:
    """How many requests Quantemplate has had."""
    return len(stand_in.journal())


def test_a_run_whose_report_has_rows_is_held(
    road: Road, gated: tuple[Route, Route], mailbox: Mailbox
) -> None:
    # Given a route with a gate
    route, central = gated
    # When a file is dropped whose report has rows
    run = road.processed(f"{route.name}/may.csv", content())
    # Then the execution has done its work and is marked
    assert run.status == "SUCCEEDED", run.cause
    assert run.output["status"] == "Held"
    # And everything lies under held/, and says why
    folder = f"held/{route.name}/may/{run.name}/"
    assert run.output["manifest"] == f"{folder}manifest.json"
    manifest = road.manifest(run)
    jsonschema.validate(manifest, SCHEMA)
    assert manifest["status"] == "Held"
    assert manifest["held"] == [{"name": REPORT, "rows": 2}]
    assert [output["key"] for output in manifest["outputs"]] == [
        f"{folder}{CLEAN}.csv",
        f"{folder}{REPORT}.csv",
    ]
    assert road.stored(manifest["outputs"][0]["key"]).count(b"\n") == 3
    # And nothing is exported, chained or published
    assert road.stored_keys(f"{route.name}/") == []
    assert keys_of(road, PARTNER, f"{route.name}/") == []
    assert keys_of(road, road.inbox, f"{central.name}/") == []
    # And people are told how to go on
    message = mailbox.message(run)
    assert message["Subject"] == f"Held: {route.name}/may.csv"
    assert f"{REPORT!r} has 2 rows" in message["Message"]
    assert f'{{"release": "{run.name}"}}' in message["Message"]
    assert f"s3://{road.outbox}/{folder}" in message["Message"]


def test_a_run_whose_report_is_empty_passes(road: Road, gated: tuple[Route, Route]) -> None:
    # Given a route with a gate
    route, central = gated
    # When a file is dropped whose report has no rows
    run = road.processed(f"{route.name}/may.csv", b"reference,amount\n")
    # Then all lies where it lies without a gate, and nothing is left at the gate
    assert run.output["status"] == "Succeeded", run.cause
    folder = f"{route.name}/may/{run.name}/"
    assert road.stored_keys(f"{route.name}/") == [
        f"{folder}{CLEAN}.csv",
        f"{folder}{REPORT}.csv",
        f"{folder}manifest.json",
    ]
    assert road.stored_keys(f"held/{route.name}/") == []
    assert len(keys_of(road, PARTNER, f"{route.name}/")) == 2
    assert len(keys_of(road, road.inbox, f"{central.name}/")) == 1


@pytest.mark.parametrize(
    ("report", "why"),
    [
        ("inch-mark", "has 2 rows"),
        ("inch-in-header", "has 1 row"),
        ("cr-only", "has 1 row"),
        ("open-quote", "cannot be counted: a quote in row 1 that never ends"),
        ("backslash-quote", "cannot be counted: text after a closing quote in row 1"),
        ("header-quoted", ""),
    ],
)
def test_a_report_holds_a_run_unless_it_has_no_rows_for_certain(
    road: Road, gated: tuple[Route, Route], mailbox: Mailbox, report: str, why: str
) -> None:
    # When a file is dropped whose report is one of those that people have sent
    route, central = gated
    sent = (ROOT / f"tests/unit/reports/report-{report}.csv").read_bytes()
    run = road.processed(f"{route.name}/may.csv", sent)
    # Then it is held, with the reason, unless the report is a header and nothing else
    assert run.output["status"] == ("Held" if why else "Succeeded"), run.cause
    assert len(keys_of(road, road.inbox, f"{central.name}/")) == (0 if why else 1)
    if why:
        assert f"Held because:  '{REPORT}' {why}\n" in mailbox.message(run)["Message"]
        (held,) = road.manifest(run)["held"]
        assert (held["rows"] is None) == ("reason" in held)


def test_the_name_of_a_held_file_forges_no_line_of_its_message(
    road: Road, gated: tuple[Route, Route], mailbox: Mailbox
) -> None:
    # Given a file whose name wants to be two lines of a message and to turn the reading around
    route, _ = gated
    run = road.processed(f"{route.name}/may\nNext: pay\x1b[2J\u202e.csv", content())
    # When its run is held
    message = mailbox.message(run)
    # Then the name is one line's text, and all of it can be seen
    assert rf"/{route.name}/may\nNext: pay\x1b[2J\u202e.csv" in message["Message"]
    assert all(line.isprintable() for line in message["Message"].split("\n"))
    assert sum(line.startswith("Next:") for line in message["Message"].split("\n")) == 1
    assert message["Subject"].isprintable()


def test_a_run_that_made_no_outputs_says_so(
    road: Road, stand_in: Control, mailbox: Mailbox
) -> None:
    # Given a pipeline that makes no outputs
    route = make_route(road, stand_in, notify="always")
    stand_in.define_pipeline(
        route.pipeline_id, kind="copy", datasets=[route.dataset_id], outputs=[]
    )
    # When a file has gone through it
    run = road.processed(f"{route.name}/may.csv", content())
    # Then its manifest and its message say so
    assert run.output["status"] == "Succeeded", run.cause
    assert road.manifest(run)["no_outputs"] is True
    assert "Outputs:       none: the run made no outputs\n" in mailbox.message(run)["Message"]


def test_releasing_exports_and_chains_once_without_quantemplate(
    road: Road, stand_in: Control, gated: tuple[Route, Route]
) -> None:
    # Given a held run
    route, _ = gated
    file = content()
    held = road.processed(f"{route.name}/may.csv", file)
    seen = calls(stand_in)
    uploads = len(stand_in.journal("upload_started"))
    # When it is released
    release = released(road, held)
    # Then it is published under its own name, as it would have been
    assert release.status == "SUCCEEDED", release.cause
    assert release.output["status"] == "Succeeded"
    assert release.output["run"] == held.name
    manifest = road.manifest(release)
    jsonschema.validate(manifest, SCHEMA)
    folder = f"{route.name}/may/{held.name}/"
    assert manifest["status"] == "Succeeded"
    assert [output["key"] for output in manifest["outputs"]] == [
        f"{folder}{CLEAN}.csv",
        f"{folder}{REPORT}.csv",
    ]
    assert road.stored(f"{folder}{CLEAN}.csv") == file
    assert len(manifest["destinations"]) == 2
    assert len(keys_of(road, PARTNER, f"{route.name}/")) == 2
    (chained,) = manifest["chained"]
    # And the next stage has begun, once, and is all that Quantemplate heard of it
    next_stage = road.ended(
        road.until(lambda: road.executions_of(chained["key"]), "the next stage")[0]
    )
    assert next_stage.status == "SUCCEEDED", next_stage.cause
    assert len(stand_in.journal("upload_started")) == uploads + 1
    asked = [entry for entry in stand_in.journal(after=seen) if route.pipeline_id in str(entry)]
    assert [e for e in asked if e["event"] != "executions_listed"] == []
    assert road.entered(release) == ["Release?", "PublishRun"]
    # And it cannot be released again
    again = released(road, held)
    assert (again.status, again.error) == ("FAILED", "ReleaseRefused")
    assert f"was released by run {release.name!r} already" in again.cause
    assert len(road.executions_of(chained["key"])) == 1


@pytest.mark.parametrize(
    ("name", "error", "told"),
    [
        ("no-such-run", "ReleaseRefused", "is not held"),
        ("", "InputInvalid", "is no run's name"),
    ],
)
def test_only_held_runs_can_be_released(road: Road, name: str, error: str, told: str) -> None:
    # Given a name that no held run has
    # When it is to be released
    run = road.ended(road.start({"release": name}))
    # Then it is refused, and said what can be
    assert (run.error, run.failed_at) == (error, "PublishRun")
    assert told in run.cause
    assert "held/" in run.cause


def test_a_release_that_fails_is_redriven(
    road: Road, gated: tuple[Route, Route], mailbox: Mailbox
) -> None:
    # Given a held run, and a route that was changed to one that cannot be exported
    route, _ = gated
    held = road.processed(f"{route.name}/may.csv", content())
    road.change(route, destinations=[f"s3://{PARTNER}/{route.name}.csv"])
    # When it is released
    release = released(road, held)
    # Then it fails, and people are told which file it is about
    assert (release.error, release.failed_at) == ("DestinationClash", "PublishRun")
    assert f"{route.name}/may.csv" in mailbox.message(release)["Message"]
    # And when the route is mended, its redrive publishes
    road.change(route)
    again = road.redrive(release)
    assert again.status == "SUCCEEDED", again.cause
    assert road.manifest(again)["status"] == "Succeeded"


def test_a_gate_that_comes_under_way_lets_nothing_pass_unseen(
    road: Road, stand_in: Control
) -> None:
    # Given a run that could not be exported, and whose report was not fetched
    missing = f"s3://no-such-bucket-{uuid.uuid4().hex[:8]}/x.csv"
    route = make_route(road, stand_in, CLEAN, REPORT, outputs=[CLEAN], destinations=[missing])
    key = f"{route.name}/may.csv"
    run = road.processed(key, content())
    assert run.error == "DestinationFailed"
    # When the route has a gate by the time of the redrive
    road.change(route, outputs=[CLEAN], hold_if_rows=[REPORT])
    again = road.redrive(run)
    # Then it does not pass
    assert (again.error, again.failed_at) == ("OutputMissing", "PublishRun")
    # And a new execution that is attached to the same run fetches the report, and is held
    ids = stand_in.pipelines()[route.pipeline_id]["runs"][0]["id"]
    attach = {"bucket": road.inbox, "key": key, "execution_id": ids}
    attached = road.ended(road.start(attach))
    assert attached.output["status"] == "Held", attached.cause
    assert len(stand_in.pipelines()[route.pipeline_id]["runs"]) == 1
