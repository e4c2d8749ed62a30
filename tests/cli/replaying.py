"""Files of an inbox and what has become of them, as `stp replay` finds them."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import moto.s3.models
import pytest

from local.deploy import ORGANISATION
from stp.stack import Stack
from straight_through.moments import iso
from straight_through.names import row_key, run_name
from straight_through.queue.records import record_key
from tests.cli.conftest import MACHINE, Done, Stp
from tests.cli.states import States, pretend

NOW = datetime.now(UTC).replace(microsecond=0)
IDS = {"organisation_id": ORGANISATION, "dataset_id": "d-claims", "pipeline_id": "p-claims"}
SPAN = ("--since", "7d")


class AlreadyExists(Exception):
    """Step Functions' refusal of a name that was used."""


@dataclass
class Machine(States):
    """Step Functions that runs what is started to its end at once."""

    given: dict[str, Any] = field(default_factory=dict)
    ends: dict[str, dict[str, Any]] = field(default_factory=dict)  # by the key of the file
    exceptions: Any = field(
        default_factory=lambda: SimpleNamespace(ExecutionAlreadyExists=AlreadyExists)
    )

    def start_execution(self, *, name: str, **more: Any) -> dict[str, str]:
        """Start one, which ends at once."""
        if name in self.runs:
            raise AlreadyExists
        self.started.append(name)
        self.given[name] = json.loads(more["input"])
        good = {"status": "SUCCEEDED", "output": '{"status": "Succeeded"}'}
        self.runs[name] = {"input": more["input"]} | self.ends.get(self.given[name]["key"], good)
        self.runs[name] |= {"startDate": datetime.now(UTC), "stopDate": datetime.now(UTC)}
        return {"executionArn": f"{MACHINE.replace(':stateMachine:', ':execution:')}:{name}"}


@dataclass
class World:
    """An inbox with files, and what has become of them."""

    stack: Stack
    states: Machine
    drops: int = 0

    def dropped(self, key: str, hours_ago: float) -> str:
        """Drop a file; return its version."""
        s3 = self.stack.client("s3")
        version = str(s3.put_object(Bucket="inbox", Key=key, Body=b"x")["VersionId"])
        bucket = moto.s3.models.s3_backends["123456789012"]["aws"].buckets["inbox"]
        (found,) = (each for each in bucket.keys.getlist(key) if each.version_id == version)
        # S3 tells seconds, and the newest version first.
        self.drops += 1
        moment = NOW - timedelta(hours=hours_ago) + timedelta(milliseconds=self.drops)
        found.last_modified = moment.replace(tzinfo=None)
        return version

    def ended(self, key: str, version: str, status: str, name: str = "", **more: Any) -> str:
        """Let a run of a file have ended so, with its line and its record; return its name."""
        run = name or run_name("inbox", key, version)
        began = more.pop("started_at", iso(NOW - timedelta(hours=1)))
        source = {"bucket": "inbox", "key": key, "version_id": version}
        row = {
            "run": run,
            "status": status,
            "error": "PipelineFailed" if status == "Failed" else None,
            "route": "claims",
            "started_at": began,
            "source": source | {"dropped_at": iso(NOW - timedelta(hours=2))},
            "releases": None,
            "pipeline_version": None,
            "set": None,
            "started_by": "hand" if name else "drop",
        } | more
        self.stack.client("s3").put_object(
            Bucket="outbox", Key=row_key(run, began), Body=json.dumps(row).encode()
        )
        self.record(run, source=row["source"])
        return run

    def record(self, run: str, **values: Any) -> None:
        """Let a run's record have these."""
        change = "SET #route = :route" + "".join(f", #{name} = :{name}" for name in values)
        self.stack.table.update(record_key(run), change, route="claims", **values)

    def route(self, **more: Any) -> None:
        """Let the route be so."""
        self.stack.client("ssm").put_parameter(
            Name=f"{self.stack.routes_path}/claims",
            Value=json.dumps(IDS | more),
            Type="String",
            Overwrite=True,
        )


@pytest.fixture
def world(deployed: Stack, monkeypatch: pytest.MonkeyPatch) -> World:
    """A stack with one route, whose inbox keeps versions."""
    deployed.client("s3").put_bucket_versioning(
        Bucket="inbox", VersioningConfiguration={"Status": "Enabled"}
    )
    world = World(deployed, Machine({}))
    world.route()
    pretend(monkeypatch, world.states)
    monkeypatch.setattr("stp.replay_runs.FIRST_LOOK", 0.0)
    return world


@pytest.fixture
def replay(stp: Stp) -> Callable[..., Done]:
    """Run the command for the files of the last week, without a question."""

    def run(*options: str) -> Done:
        return stp("replay", "--route", "claims", *SPAN, "--json", *options)

    return run


def keys(done: Done) -> list[str]:
    """The files of a plan."""
    return [each["input"]["key"] for each in done.json["files"]]


def reasons(done: Done) -> dict[str, str]:
    """Why each file is left out."""
    return {each["key"]: each["why"] for each in done.json["left_out"]}


def plans(world: World) -> list[str]:
    """The ids of the plans that are kept."""
    listed = world.stack.client("s3").list_objects_v2(Bucket="outbox", Prefix="replays/")
    return [
        each["Key"].removeprefix("replays/").removesuffix(".json")
        for each in listed.get("Contents", ())
    ]
