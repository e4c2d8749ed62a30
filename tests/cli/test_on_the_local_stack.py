"""Each command once against the deployed application, as a person uses it."""

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from local.console.served import PATH
from local.deploy import ORGANISATION
from local.process import ROOT
from local.quantemplate import Control
from stp.disk import legal_name
from stp.doctor import BAD
from stp.said import FAILED, OK, UNKNOWN, USAGE
from tests.cli.conftest import Done, Stp
from tests.end_to_end.road import Road, Route
from tests.end_to_end.stack import make_route

SAMPLE = ROOT / "local" / "samples" / "claims_may.csv"
PLAIN = "a,b\n1,2\n3,4\n"
DropOne = Callable[..., Done]


@pytest.fixture
def route(road: Road, stand_in: Control) -> Route:
    """A route of the test's own, whose pipeline gives the file back."""
    return make_route(road, stand_in, "Copy: Sheet 1")


@pytest.fixture
def drop(local_stp: Stp, route: Route, tmp_path: Path) -> DropOne:
    """Drop a file of the test's own with --json."""

    def dropped(*options: str) -> Done:
        path = tmp_path / f"{uuid.uuid4().hex[:6]}.csv"
        path.write_text(PLAIN)
        return local_stp("drop", str(path), "--route", route.name, "--json", *options)

    return dropped


def failed_run(drop: DropOne, stand_in: Control, route: Route) -> str:
    """The name of a run whose pipeline has failed."""
    plan = {"end_status": "Failed"}
    stand_in.trouble("execute_pipeline", "run", id=route.pipeline_id, run=plan)
    done = drop("--wait")
    assert done.code == FAILED, done.err
    return str(done.json[0]["run"])


def control(road: Road, method: str, quotas: Any = None) -> Any:
    """Tell or ask the quotas of the local AWS."""
    body = None if quotas is None else json.dumps(quotas).encode()
    request = Request(f"{road.endpoint}/_local/quotas", body, method=method)  # noqa: S310 - loopback
    with urlopen(request) as answer:  # noqa: S310
        return json.loads(answer.read() or "null")


# --- drops --------------------------------------------------------------------------------------
def test_the_whole_job_in_one_line(local_stp: Stp, tmp_path: Path) -> None:
    # When the sample is dropped and its outputs are wanted
    done = local_stp("drop", str(SAMPLE), "--route", "claims", "--to", str(tmp_path / "out"))
    # Then they lie there, and each state was told on the way
    assert done.code == OK, done.err
    clean = (tmp_path / "out" / "Clean claims_ Sheet 1.csv").read_text("utf-8-sig")
    assert clean.startswith("Claim Reference,")
    assert "347 rows" in done.out
    order = ["CheckFile", "TakeTurn", "UploadAndExecute", "WaitForPipeline"]
    order += ["DownloadOutputs", "PublishRun"]
    places = [done.err.index(state) for state in order]
    assert places == sorted(places)
    assert "Succeeded" in done.err


def test_several_files_have_folders_of_their_own(
    local_stp: Stp, route: Route, tmp_path: Path
) -> None:
    # Given two files of one route
    files = []
    for name in ("one", "two"):
        files.append(tmp_path / f"{name}.csv")
        files[-1].write_text(f"a\n{name}\n")
    # When both are dropped at once
    arguments = [*map(str, files), "--route", route.name, "--to", str(tmp_path / "out")]
    done = local_stp("drop", *arguments, "--json")
    # Then each run's output lies in a folder of its own
    assert done.code == OK, done.err
    for run, content in zip(done.json, ("a\none\n", "a\ntwo\n"), strict=True):
        (file,) = run["files"]
        assert file["path"].startswith(str(tmp_path / "out" / run["run"]))
        assert Path(file["path"]).read_text() == content


def test_outputs_have_names_that_every_disk_takes_and_follow_no_link(
    local_stp: Stp, road: Road, stand_in: Control, tmp_path: Path
) -> None:
    # Given a pipeline whose outputs are named as no file on Windows, and a link in their folder
    outputs = ['Claims <all>: "Sheet 1"', "NUL", "a:b", "A?B", "../../up"]
    route = make_route(road, stand_in, *outputs)
    file, folder, other = tmp_path / "one.csv", tmp_path / "out", tmp_path / "other"
    file.write_text("a\none\n")
    folder.mkdir()
    other.write_text("mine")
    (folder / "_NUL.csv").symlink_to(other)
    # When a file is dropped and they are fetched
    done = local_stp("drop", str(file), "--route", route.name, "--to", str(folder), "--json")
    # Then all of them lie in the folder, whole
    assert done.code == OK, done.err
    paths = [Path(each["path"]) for each in done.json[0]["files"]]
    assert {path.parent for path in paths} == {folder}
    assert sorted(folder.iterdir()) == sorted(paths)
    assert len(paths) == len(outputs)
    for path in paths:
        assert path.name == legal_name(path.name)
        assert not path.is_symlink()
        assert path.read_text() == "a\none\n"
    assert "Claims _all__ _Sheet 1_.csv" in {path.name for path in paths}
    # and what the link led to is as it was
    assert other.read_text() == "mine"


# --- runs ---------------------------------------------------------------------------------------
def test_runs_are_redriven_where_others_have_used_up_the_quotas(
    local_stp: Stp, road: Road, route: Route
) -> None:
    # Given more runs that failed than AWS describes at once, since its quotas are almost used up
    for number in range(6):
        assert road.processed(f"{route.name}/{number}.csv", b"%PDF-1.4").status == "FAILED"
    scarce = {"DescribeExecution": [2, 4], "GetExecutionHistory": [2, 4]}
    control(road, "PUT", {"rates": scarce})
    try:
        # When all are redriven
        chosen = ["--failed", "--since", "1h", "--route", route.name]
        done = local_stp("redrive", *chosen, "--yes", "--json")
        counts = control(road, "GET")["counts"]
    finally:
        control(road, "DELETE")
    # Then each goes on, though AWS has refused some requests
    assert done.code == OK, done.err
    assert [each["trouble"] for each in done.json] == [""] * 6
    assert counts["DescribeExecution"]["refused"]
    local_stp("watch", "--until-idle")
    runs = local_stp("runs", "--route", route.name, "--json").json
    assert {each["attempt"] for each in runs} == {2}


def test_a_failed_run_is_listed_shown_and_redriven(
    local_stp: Stp, road: Road, drop: DropOne, route: Route, stand_in: Control
) -> None:
    # Given a run that failed, and one that did not
    run = failed_run(drop, stand_in, route)
    drop("--wait")
    # Then it alone is among the failed runs of its route
    listed = local_stp("runs", "--route", route.name, "--failed", "--json").json
    assert [each["run"] for each in listed] == [run]
    assert len(local_stp("runs", "--route", route.name, "--json").json) == 2
    # And shown, it says where it failed and what to do
    shown = local_stp("show", run)
    assert "✗ ran in Quantemplate" in shown.out
    assert "PipelineFailed" in shown.out
    assert f"stp redrive {run}" in shown.out
    assert f"{road.endpoint}{PATH}#/runs/{run}\n" in shown.out
    assert "console.aws" not in shown.out
    # When all failed ones of the route are redriven
    done = local_stp("redrive", "--failed", "--since", "1h", "--route", route.name, "--yes")
    # Then it goes on, and comes to its end
    assert (done.code, done.out) == (OK, f"{run} goes on\n")
    local_stp("watch", "--until-idle")
    timeline = local_stp("show", run, "--json").json
    assert timeline["status"] == "Succeeded"
    assert any(phase["redriven"] for phase in timeline["timeline"])


def test_a_run_that_is_not_there(local_stp: Stp) -> None:
    done = local_stp("show", "nobody")
    assert done.code == UNKNOWN
    assert "stp runs" in done.err


def test_no_runs_say_so_and_no_route_too(local_stp: Stp, route: Route) -> None:
    done = local_stp("runs", "--route", route.name)
    assert (done.code, done.out[:8]) == (OK, "No runs ")
    assert local_stp("runs", "--route", "nobody/nowhere").code == UNKNOWN


def test_watch_tells_each_run(local_stp: Stp, drop: DropOne) -> None:
    # Given a run that has ended
    (run,) = drop("--wait").json
    # When the runs are watched until nothing goes on
    done = local_stp("watch", "--until-idle")
    # Then it is among them
    assert run["run"] in done.out


# --- again --------------------------------------------------------------------------------------
def test_a_rerun_is_a_new_run_of_the_same_version(local_stp: Stp, drop: DropOne) -> None:
    # Given a run that has ended
    (first,) = drop("--wait").json
    # When it is run again
    done = local_stp("rerun", first["run"], "--json")
    # Then a new run processes the same version
    (again,) = done.json
    local_stp("watch", "--until-idle")
    shown = local_stp("show", again["run"], "--json").json
    assert shown["status"] == "Succeeded"
    assert shown["file"] == first["file"]


def test_a_run_that_succeeded_is_not_redriven(local_stp: Stp, drop: DropOne) -> None:
    (run,) = drop("--wait").json
    done = local_stp("redrive", run["run"])
    assert done.code == FAILED
    assert "stp rerun" in done.out
    assert local_stp("redrive").code == USAGE


def test_failed_runs_are_redriven_in_the_order_of_their_drops(
    local_stp: Stp, drop: DropOne, route: Route, stand_in: Control
) -> None:
    # Given two failed runs
    first, second = (failed_run(drop, stand_in, route) for _ in range(2))
    # When they are named the other way round
    done = local_stp("redrive", second, first, "--json")
    # Then the older drop goes on first
    assert [each["run"] for each in done.json] == [first, second]


def test_a_stopped_run_and_a_paused_queue(
    local_stp: Stp, drop: DropOne, route: Route, road: Road
) -> None:
    # Given a paused queue and a file that waits in it
    queue = route.pipeline_id
    paused = local_stp("queue", "pause", queue, "--reason", "month end")
    assert paused.code == OK, paused.err
    (run,) = drop().json
    road.until(lambda: road.executions_of(run["key"]), "an execution")

    def waits() -> bool:
        (seen,) = local_stp("queue", "--queue", queue, "--json").json
        return [each["run"] for each in seen["waiting"]] == [run["run"]]

    road.until(waits, "a ticket")
    assert "month end" in local_stp("queue").out
    # And the doctor tells of it
    assert f"stp queue resume {queue}" in local_stp("doctor").out
    # When the run is stopped, and the queue goes on
    stopped = local_stp("stop", run["run"])
    assert "nothing was uploaded" in stopped.out
    assert local_stp("queue", "resume", queue).code == OK
    # Then it is no more among the failed ones that --failed redrives, and stopping it again fails
    chosen = local_stp("redrive", "--failed", "--since", "1h", "--route", route.name, "--yes")
    assert "No run" in chosen.out
    assert local_stp("stop", run["run"]).code == FAILED
    # And named, it goes on
    assert local_stp("redrive", run["run"]).code == OK
    local_stp("watch", "--until-idle")
    assert local_stp("show", run["run"], "--json").json["status"] == "Succeeded"


def test_a_queue_that_nobody_uses_is_not_paused(local_stp: Stp) -> None:
    assert local_stp("queue", "pause", "p-typo").code == UNKNOWN


def test_how_long_a_turn_takes_is_known_from_the_pipeline(
    local_stp: Stp, drop: DropOne, route: Route, road: Road, stand_in: Control
) -> None:
    # Given a pipeline that has run, and then a run that goes on
    drop("--wait")
    stand_in.define_pipeline(
        route.pipeline_id,
        kind="copy",
        datasets=[route.dataset_id],
        outputs=["Copy: Sheet 1"],
        seconds=600,
    )
    (run,) = drop().json

    def held() -> bool:
        (seen,) = local_stp("queue", "--queue", route.pipeline_id, "--json").json
        return bool(seen["holder"] and seen["holder"]["run"] == run["run"])

    road.until(held, "a holder")
    # Then what its runs usually take is known
    (seen,) = local_stp("queue", "--queue", route.pipeline_id, "--json").json
    assert seen["holder"]["usually_seconds"] is not None
    local_stp("stop", run["run"])


def test_what_a_gate_holds_is_released(
    local_stp: Stp, drop: DropOne, route: Route, road: Road
) -> None:
    # Given a route whose gate holds every run
    ids = {"dataset_id": route.dataset_id, "pipeline_id": route.pipeline_id}
    road.put_route(
        route.name, {"organisation_id": ORGANISATION, **ids, "hold_if_rows": ["Copy: *"]}
    )
    done = drop("--wait")
    (run,) = done.json
    assert (done.code, run["status"]) == (FAILED, "Held")
    assert f"stp release {run['run']}" in run["next"]
    # When it is released
    released = local_stp("release", run["run"], "--json")
    local_stp("watch", "--until-idle")
    # Then its outputs are published, and once only
    assert local_stp("show", released.json["run"], "--json").json["status"] == "Succeeded"
    again = local_stp("release", run["run"])
    assert again.code == FAILED
    assert "released already" in again.err


def test_what_is_not_held_is_not_released(local_stp: Stp, drop: DropOne) -> None:
    (run,) = drop("--wait").json
    assert "is not held" in local_stp("release", run["run"]).err


# --- the deployment -----------------------------------------------------------------------------
def test_the_doctor_finds_nothing_broken(local_stp: Stp, road: Road) -> None:
    # When the deployment is checked
    done = local_stp("doctor", "--json")
    # Then nothing is broken but what other tests have made in the stack, and no secret is shown
    bad = {each["about"] for each in done.json if each["state"] == BAD}
    assert {each for each in bad if not each.startswith(("route ", "alarm "))} == set(), done.out
    about = {each["about"] for each in done.json}
    assert {"inbox events", "StartRun", "secret", "token", "messages"} <= about
    secret = road.client("secretsmanager").get_secret_value(SecretId=road.secret)
    assert json.loads(secret["SecretString"])["client_secret"] not in done.out + done.err


def test_routes_that_quantemplate_does_not_know(
    local_stp: Stp, route: Route, tmp_path: Path
) -> None:
    # Given files of a route as it is, and of one with a wrong pipeline
    local_stp("routes", "show", route.name, "--to", str(tmp_path))
    assert local_stp("routes", "check", str(tmp_path), "--online").code == OK
    wrong = {"organisation_id": ORGANISATION, "dataset_id": "d-claims", "pipeline_id": "p-none"}
    (tmp_path / "wrong.json").write_text(json.dumps(wrong))
    # When Quantemplate is asked
    done = local_stp("routes", "check", str(tmp_path), "--online")
    # Then the wrong one is told
    assert done.code == FAILED
    assert "error wrong: " in done.out
    assert "p-none" in done.out
