"""Files that belong together make one run, whichever comes last and whatever happens on the way."""

import hashlib
import json
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jsonschema
import pytest

from local.process import ROOT
from local.quantemplate import Control
from stp.said import UNKNOWN
from tests.cli.conftest import Stp, credentials, local_stp, stp
from tests.end_to_end.mailbox import Mailbox
from tests.end_to_end.road import Road, Run
from tests.end_to_end.stack import PARTNER

__all__ = ["credentials", "local_stp", "stp"]
SCHEMA = json.loads((ROOT / "layers/straight_through/manifest.schema.json").read_text())
EVENT = json.loads((ROOT / "layers/straight_through/run_ended.schema.json").read_text())
MEMBERS = ("claims", "premiums", "cash")


def sha256(content: bytes) -> str:
    """The hash of some bytes."""
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class Gathering:
    """A route of a test's own with a set, and what Quantemplate has run of it."""

    road: Road
    stand_in: Control
    name: str
    datasets: dict[str, str]
    pipeline: str

    @property
    def document(self) -> dict[str, Any]:
        """The route's document."""
        members = [
            {"file": f"{file}-{{period}}.csv", "dataset_id": dataset}
            for file, dataset in self.datasets.items()
        ]
        ids = {"organisation_id": "c-broker", "pipeline_id": self.pipeline}
        return ids | {"set": {"period": "{period}", "members": members}}

    def put(self, **fields: dict[str, Any]) -> None:
        """Let members have these fields too."""
        document = self.document
        for file, member in zip(self.datasets, document["set"]["members"], strict=True):
            member.update(fields.get(file, {}))
        self.road.put_route(self.name, document)

    def drop(self, file: str, content: bytes, period: str = "2026-05") -> str:
        """Drop a file; return its key."""
        key = f"{self.name}/{file}-{period}.csv"
        self.road.drop(key, content)
        return key

    def processed(self, file: str, content: bytes, period: str = "2026-05") -> Run:
        """Drop a file and wait for the end of its own run."""
        before = len(self.road.executions_of(f"{self.name}/{file}-{period}.csv"))
        key = self.drop(file, content, period)
        self.road.until(lambda: len(self.road.executions_of(key)) > before, "an execution")
        return self.road.ended(self.road.executions_of(key)[0])

    def ended(self, keys: Iterable[str]) -> list[Run]:
        """All runs of some keys, once they have ended."""
        every = set(keys)
        for key in every:
            self.road.until(partial(self.road.executions_of, key), f"an execution of {key}")
        return [self.road.ended(arn) for key in every for arn in self.road.executions_of(key)]

    def inputs(self) -> list[dict[str, str]]:
        """Of each run in Quantemplate the hash of each dataset that it had, by its member."""
        of = {dataset: file for file, dataset in self.datasets.items()}
        return [
            {of[each["dataset"]]: each["sha256"] for each in run["inputs"]}
            for run in self.stand_in.journal("run_started")
            if run["pipeline"] == self.pipeline
        ]


@pytest.fixture
def gathering(road: Road, stand_in: Control) -> Gathering:
    """A route with a set of two members."""
    return gathering_of(road, stand_in, MEMBERS[:2])


def gathering_of(road: Road, stand_in: Control, files: Iterable[str]) -> Gathering:
    """A route with a set of these members."""
    mark = uuid.uuid4().hex[:8]
    datasets = {file: f"d-{file}-{mark}" for file in files}
    for dataset in datasets.values():
        stand_in.define_dataset(dataset)
    of_both = [*datasets.values()]
    stand_in.define_pipeline(f"p-{mark}", kind="copy", datasets=of_both, outputs=["Copy: Sheet 1"])
    made = Gathering(road, stand_in, f"r{mark}", datasets, f"p-{mark}")
    road.put_route(made.name, made.document)
    return made


CLAIMS, PREMIUMS = b"id,paid\nC-1,1.00\nC-2,3.00\n", b"id,premium\nP-1,9.00\n"


@pytest.mark.parametrize("order", [("claims", "premiums"), ("premiums", "claims")])
def test_the_last_file_is_the_run_of_all(
    road: Road, gathering: Gathering, mailbox: Mailbox, order: tuple[str, str]
) -> None:
    # Given one file of a set
    contents = {"claims": CLAIMS, "premiums": PREMIUMS}
    first = gathering.processed(order[0], contents[order[0]])
    # Then it is gathered, and tells who is missing; nothing is executed, and nobody is told
    missing = [f"{order[1]}-{{period}}.csv"]
    assert first.output["status"] == "Gathered"
    assert first.output["set"] == {"period": "2026-05", "version": 0, "missing": missing}
    assert road.entered(first) == ["Release?", "CheckFile", "FileChecked?", "Gathered"]
    told = mailbox.event(first)["detail"]
    jsonschema.validate(told, EVENT)
    assert (told["status"], told["set"]["missing"]) == ("Gathered", missing)
    mailbox.settled(first)
    assert mailbox.messages(first.name) == []
    assert gathering.inputs() == []
    # When the other comes
    last = gathering.processed(order[1], contents[order[1]])
    # Then it is the run of both, once
    assert (last.status, last.output["status"]) == ("SUCCEEDED", "Succeeded"), last.cause
    assert gathering.inputs() == [{"claims": sha256(CLAIMS), "premiums": sha256(PREMIUMS)}]
    # And its manifest names both, in a folder of the period
    manifest = road.manifest(last)
    jsonschema.validate(manifest, SCHEMA)
    assert manifest["set"] == {"period": "2026-05", "version": 1, "missing": []}
    assert manifest["source"]["key"] == f"{gathering.name}/{order[1]}-2026-05.csv"
    members = [(each["file"], each["sha256"], each["rows"]) for each in manifest["members"]]
    assert members == [
        ("claims-{period}.csv", sha256(CLAIMS), 2),
        ("premiums-{period}.csv", sha256(PREMIUMS), 1),
    ]
    runs = {"claims": first.name, "premiums": last.name}
    if order[1] == "claims":
        runs = {"claims": last.name, "premiums": first.name}
    assert [each["run"] for each in manifest["members"]] == [runs["claims"], runs["premiums"]]
    assert last.output["manifest"] == f"{gathering.name}/2026-05/{last.name}/manifest.json"
    assert last.output["rows_in"] == 3


def test_a_member_with_a_wrong_header_is_refused_and_its_set_waits_on(
    gathering: Gathering, mailbox: Mailbox, local_stp: Stp
) -> None:
    # Given a set each of whose members has a header, and a file of one of them
    headers = {"claims": ["id", "paid"], "premiums": ["id", "premium"]}
    gathering.put(**{file: {"header": header} for file, header in headers.items()})
    gathering.processed("claims", CLAIMS)
    # When the other comes with the header of the first
    refused = gathering.processed("premiums", CLAIMS)
    # Then it is refused at once, and people are told which columns it lacks
    assert (refused.error, refused.failed_at) == ("HeaderMismatch", "CheckFile")
    assert "'premium' missing" in mailbox.message(refused)["Message"]
    # And the set waits on
    (waiting,) = [
        each for each in local_stp("sets", "--json").json if each["route"] == gathering.name
    ]
    assert waiting["waits_for"] == ["premiums-{period}.csv"]
    assert gathering.inputs() == []
    # And runs once the right one comes, as its first version
    last = gathering.processed("premiums", PREMIUMS)
    assert last.output["set"] == {"period": "2026-05", "version": 1, "missing": []}, last.cause
    assert gathering.inputs() == [{"claims": sha256(CLAIMS), "premiums": sha256(PREMIUMS)}]


def test_of_a_member_with_a_table_that_is_what_goes_up(
    road: Road, gathering: Gathering, local_stp: Stp
) -> None:
    # Given a set of which one member has a table
    gathering.put(premiums={"table": {}, "header": ["id", "premium"]})
    gathering.processed("claims", CLAIMS)
    # When its file comes with a title above, and a total below
    sent = b"Premiums of May,\n,\nid,premium\nP-1,9.00\nP-2,8.00\n,\nTotal,17.00\n"
    last = gathering.processed("premiums", sent)
    # Then the pipeline has the table, and the other file as it is
    table = b"id,premium\r\nP-1,9.00\r\nP-2,8.00\r\n"
    assert (last.status, last.output["status"]) == ("SUCCEEDED", "Succeeded"), last.cause
    assert gathering.inputs() == [{"claims": sha256(CLAIMS), "premiums": sha256(table)}]
    # And everybody sees what was sent
    manifest = road.manifest(last)
    jsonschema.validate(manifest, SCHEMA)
    claims, premiums = manifest["members"]
    assert "prepared" not in claims
    assert premiums["prepared"]["key"] == f"prepared/{gathering.name}/{last.name}/{last.name}.csv"
    assert road.stored(premiums["prepared"]["key"]) == table
    assert (premiums["sha256"], premiums["rows"]) == (sha256(sent), 2)
    assert premiums["prepared"]["key"] in local_stp("show", last.name).out


def test_files_that_come_at_one_instant_make_one_run(road: Road, stand_in: Control) -> None:
    # Given sets of three
    gathering = gathering_of(road, stand_in, MEMBERS)
    contents = {file: f"id\n{file}\n".encode() for file in MEMBERS}
    # When all files of several periods come at once
    drops = [(file, contents[file], period) for period in ("05", "06", "07") for file in MEMBERS]
    with ThreadPoolExecutor(len(drops)) as threads:
        keys = list(threads.map(lambda drop: gathering.drop(*drop), drops))
    # Then each period has run once, and its other files were gathered
    ends = [run.output["status"] for run in gathering.ended(keys)]
    assert sorted(ends) == ["Gathered"] * 6 + ["Succeeded"] * 3
    assert gathering.inputs() == [{file: sha256(contents[file]) for file in MEMBERS}] * 3
    assert [each for each in stand_in.violations() if gathering.pipeline in str(each)] == []


def test_a_file_that_comes_again_runs_with_the_newest_of_each(gathering: Gathering) -> None:
    gathering.processed("claims", CLAIMS)
    gathering.processed("premiums", PREMIUMS)
    # When one file comes anew
    again = gathering.processed("claims", CLAIMS + b"C-3,5.00\n")
    # Then the set runs once more, with it and the other
    assert again.output["set"] == {"period": "2026-05", "version": 2, "missing": []}
    newest = {"claims": sha256(CLAIMS + b"C-3,5.00\n"), "premiums": sha256(PREMIUMS)}
    assert gathering.inputs()[1:] == [newest]


def test_an_older_file_that_comes_later_is_replaced(road: Road, gathering: Gathering) -> None:
    # Given a file that failed, as there was no route, and a newer one that was gathered
    later = replace(gathering, name=f"{gathering.name}-later")
    older = later.processed("claims", b"id\nold\n")
    assert older.error == "NoRoute"
    road.put_route(later.name, gathering.document)
    newer = later.processed("claims", CLAIMS)
    assert newer.output["status"] == "Gathered"
    # When the older one is redriven
    ended = road.redrive(older)
    # Then it is replaced, and the set runs with the newer one
    assert ended.output["status"] == "Replaced"
    last = later.processed("premiums", PREMIUMS)
    assert last.output["status"] == "Succeeded", last.cause
    assert gathering.inputs() == [{"claims": sha256(CLAIMS), "premiums": sha256(PREMIUMS)}]


def test_a_set_whose_run_is_stopped_and_redriven_runs_once(
    road: Road, gathering: Gathering, local_stp: Stp
) -> None:
    # Given a set that waits for its turn, with all its files
    gathering.processed("claims", CLAIMS)
    assert local_stp("queue", "pause", gathering.pipeline).code == 0
    key = gathering.drop("premiums", PREMIUMS)
    (arn,) = road.until(lambda: road.executions_of(key), "an execution")
    waits = lambda: any(  # noqa: E731 - one short line
        event["type"] == "TaskSubmitted"
        or event.get("stateEnteredEventDetails", {}).get("name") == "TakeTurn"
        for event in road.history(arn)
    )
    road.until(waits, "its wait for the turn")
    # When it is stopped, a newer file makes the next version, and it is redriven
    road.client("stepfunctions").stop_execution(executionArn=arn)
    stopped = road.ended(arn)
    key = gathering.drop("claims", CLAIMS + b"C-3,5.00\n")
    road.until(lambda: len(road.executions_of(key)) > 1, "the newer file's execution")
    road.client("stepfunctions").redrive_execution(executionArn=stopped.arn)
    assert local_stp("queue", "resume", gathering.pipeline).code == 0
    # Then each version runs once, with the files that it was completed with
    ended = [road.ended(stopped.arn), road.ended(road.executions_of(key)[0])]
    assert [run.output.get("status") for run in ended] == ["Succeeded", "Succeeded"]
    assert [run.output["set"]["version"] for run in ended] == [1, 2]
    versions = [sha256(CLAIMS), sha256(CLAIMS + b"C-3,5.00\n")]
    assert sorted(run["claims"] for run in gathering.inputs()) == sorted(versions)
    assert {run["premiums"] for run in gathering.inputs()} == {sha256(PREMIUMS)}


def test_what_a_gate_holds_of_a_set_is_published_by_its_period(
    road: Road, gathering: Gathering
) -> None:
    # Given a gate that holds a set's run, and a destination that is named by the stem
    mark = f"{gathering.name}/{{stem}}-{{output}}.csv"
    held_back = {"hold_if_rows": ["Copy: *"], "destinations": [f"s3://{PARTNER}/{mark}"]}
    road.put_route(gathering.name, gathering.document | held_back)
    gathering.processed("claims", CLAIMS)
    held = gathering.processed("premiums", PREMIUMS)
    folder = f"{gathering.name}/2026-05/{held.name}/"
    assert held.output["status"] == "Held"
    assert held.output["manifest"] == f"held/{folder}manifest.json"
    # When it is released
    released = road.ended(road.start({"release": held.name}))
    # Then it lies in the folder of its period, with its members, and so does its copy
    assert released.output["manifest"] == f"{folder}manifest.json", released.cause
    manifest = road.manifest(released)
    jsonschema.validate(manifest, SCHEMA)
    assert [each["file"] for each in manifest["members"]] == [
        "claims-{period}.csv",
        "premiums-{period}.csv",
    ]
    (copied,) = manifest["destinations"]
    assert copied["uri"] == f"s3://{PARTNER}/{gathering.name}/2026-05-Copy: Sheet 1.csv"


def test_what_is_missing_is_seen_and_a_set_runs_without_it(
    road: Road, gathering: Gathering, local_stp: Stp
) -> None:
    # Given a set of which a file has not come
    gathering.processed("claims", CLAIMS)
    (waiting,) = [
        each for each in local_stp("sets", "--json").json if each["route"] == gathering.name
    ]
    assert (waiting["period"], waiting["waits_for"]) == ("2026-05", ["premiums-{period}.csv"])
    assert waiting["since"]
    assert "premiums-{period}.csv" in local_stp("sets").out
    # When a person runs it without that
    done = local_stp("sets", "run", gathering.name, "2026-05", "--wait", "--json")
    # Then it runs, and its manifest says what was missing
    assert done.code == 0, done.err
    (run,) = done.json
    assert run["status"] == "Succeeded"
    arn = f"{road.state_machine.replace(':stateMachine:', ':execution:')}:{run['run']}"
    manifest = road.manifest(road.ended(arn))
    jsonschema.validate(manifest, SCHEMA)
    assert manifest["set"] == {
        "period": "2026-05",
        "version": 1,
        "missing": ["premiums-{period}.csv"],
    }
    assert [each["file"] for each in manifest["members"]] == ["claims-{period}.csv"]
    assert gathering.inputs() == [{"claims": sha256(CLAIMS)}]
    # And it is listed no more, but among all
    assert gathering.name not in {each["route"] for each in local_stp("sets", "--json").json}
    every = local_stp("sets", "--all", "--json").json
    assert run["run"] in {each["last_run"] for each in every}
    # And one of which no file has come cannot be run
    unknown = local_stp("sets", "run", gathering.name, "1999-01")
    assert (unknown.code, "No file of a set '1999-01'" in unknown.err) == (UNKNOWN, True)


def test_a_file_of_no_member_is_refused_with_what_would_fit(
    road: Road, gathering: Gathering, mailbox: Mailbox
) -> None:
    refused = gathering.processed("clams", CLAIMS)
    assert (refused.error, refused.failed_at) == ("NotInSet", "CheckFile")
    message = mailbox.message(refused)["Message"]
    assert "'clams-2026-05.csv' fits no member" in message
    assert "'claims-{period}.csv', 'premiums-{period}.csv'" in message
    assert road.stored_keys(gathering.name) == []
