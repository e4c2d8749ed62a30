"""The road in one process: the real functions, an AWS of our own and a stand-in Quantemplate.

The machine plays the definition between them, one invocation after the other in virtual time. When
anybody goes a step, and what happens at a function's calls, is the matter of who makes a road.
"""

import hashlib
import json
import uuid
from collections.abc import Callable
from datetime import UTC
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3

from local.quantemplate import Control
from straight_through.names import run_folder
from tests.machine.agenda import Agenda, Clock
from tests.machine.machine import Call, Execution, Machine
from tests.unit.conftest import INBOX, OUTBOX

DATASET, PIPELINE = "d-road", "p-road"


IN_THE_SECRET = "s3cr3t"


class Road:
    """One route, its files, and all that becomes of them."""

    def __init__(
        self, load: Callable[..., ModuleType], stand_in: Control, environment: dict[str, str]
    ) -> None:
        """Nothing is dropped yet; `load` imports a function with that environment."""
        self.stand_in = stand_in
        self._load, self._environment = load, environment

    def set_up(self, **route: Any) -> None:
        """Begin anew: nothing is dropped yet, nothing in the table, no process of a function."""
        self.agenda = Agenda(lambda: Clock.now(UTC))
        self.machine = Machine(self.agenda, self._begin, self.changed)
        self.queue = f"q{uuid.uuid4().hex[:8]}"
        self.dropped: list[tuple[str, str, bytes]] = []  # key, version and content
        self.apps: dict[str, ModuleType] = {}
        self.stand_in.reset()
        self.stand_in.rotate_credentials(IN_THE_SECRET)
        ids = {"organisation_id": "c-broker", "dataset_id": DATASET, "pipeline_id": PIPELINE}
        datasets = [DATASET]
        self.gathers = "set" in route
        if self.gathers:
            del ids["dataset_id"]
            datasets = [member["dataset_id"] for member in route["set"]["members"]]
        for dataset in datasets:
            self.stand_in.define_dataset(dataset)
        self.stand_in.define_pipeline(PIPELINE, datasets=datasets, outputs=["Copy"], seconds=0)
        ssm, path = boto3.client("ssm"), self._environment["ROUTES_PATH"]
        while before := ssm.get_parameters_by_path(Path=path, Recursive=True)["Parameters"]:
            ssm.delete_parameters(Names=[each["Name"] for each in before])
        ssm.put_parameter(
            Name=f"{path}/{self.queue}",
            Type="String",
            Value=json.dumps(ids | route),
        )
        dynamodb, table = boto3.client("dynamodb"), self._environment["TURNS_TABLE"]
        for item in self.items():
            dynamodb.delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})

    def changed(self, execution: Execution) -> None:
        """Hear of an execution's new status."""
        raise NotImplementedError

    def invoke(self, name: str, event: Any) -> Any:
        """Run a function."""
        raise NotImplementedError

    def _begin(self, call: Call) -> None:
        """Put the invocation of a Task on the agenda."""
        self.agenda.later(0, lambda: self.machine.run(call, self.invoke), call.execution)

    def app(self, name: str) -> ModuleType:
        """A function's process: that of before, or a new one."""
        if name not in self.apps:
            self.apps[name] = self._load(name, **self._environment)
        return self.apps[name]

    def handled(self, name: str, event: Any) -> Any:
        """What a function returns, as Lambda hands it on."""
        context = SimpleNamespace(
            function_name=name,
            memory_limit_in_mb=256,
            invoked_function_arn=f"arn:aws:lambda:eu-west-1:000000000000:function:{name}",
            aws_request_id=uuid.uuid4().hex,
            get_remaining_time_in_millis=lambda: 60_000,
        )
        return json.loads(json.dumps(self.app(name).handler(event, context)))

    def put(self, name: str, content: str) -> Any:
        """Put a file into the inbox; return the event by which SQS tells StartRun of it."""
        key, body = f"{self.queue}/{name}.csv", content.encode()
        put = boto3.client("s3").put_object(Bucket=INBOX, Key=key, Body=body)
        item = {
            "key": key,
            "version-id": put["VersionId"],
            "size": len(body),
            "etag": put["ETag"].strip('"'),
            "sequencer": f"{len(self.dropped):016X}",
        }
        self.dropped.append((key, put["VersionId"], body))
        detail = {"bucket": {"name": INBOX}, "object": item}
        told = json.dumps({"time": Clock.now().astimezone().isoformat(), "detail": detail})
        return {"Records": [{"messageId": "m", "body": told}]}

    def step(self, execution: Execution | None = None) -> bool:
        """Do what is due next, of one execution or of all, at its time; False where nothing is."""
        due = self.agenda.next_due(execution)
        if due:
            Clock.reach(due)
            self.agenda.take(execution)()
        return bool(due)

    def pipelines_end(self) -> bool:
        """Whether what the pipeline executes has ended, which it does at once and by itself."""
        return all("finishedAt" in run for run in self.stand_in.pipelines()[PIPELINE]["runs"])

    # --- what is left of it ---------------------------------------------------------------------
    def executions(self, *statuses: str) -> list[Execution]:
        """The executions that stand so."""
        return [e for e in self.machine.executions.values() if e.status in statuses]

    def items(self) -> list[dict[str, Any]]:
        """All items of the table."""
        table = self._environment["TURNS_TABLE"]
        return list(boto3.client("dynamodb").scan(TableName=table)["Items"])

    def left_over(self) -> list[str]:
        """Tickets and holders in the table."""
        return [
            f"{item['pk']['S']} {item['sk']['S']}"
            for item in self.items()
            if item["pk"]["S"].startswith("tickets#") or "holder" in item
        ]

    def problems(self) -> list[str]:
        """What is not as it must be: every file processed once, whole, as its own; nothing left."""
        found = [str(violation) for violation in self.stand_in.violations()]
        found += [f"left over: {item}" for item in self.left_over()]
        executions = list(self.machine.executions.values())
        found += [f"{e.name} {e.status} {e.error}" for e in executions if e.status != "SUCCEEDED"]
        runs = [run for run in self.stand_in.journal("run_ended") if self.counts(run)]
        if self.gathers:
            return found + self._of_a_set(executions, runs)
        made = [run["inputs"][0]["sha256"] for run in runs]
        if len(made) != len(self.dropped) or len(set(made)) != len(made):
            found.append(f"{len(made)} runs of {len(self.dropped)} files")
        for key, version, content in self.dropped:
            of_it = [e for e in executions if e.input.get("version_id") == version]
            if len(of_it) != 1:
                found.append(f"{key} has {len(of_it)} executions")
                continue
            folder = run_folder(key.split("/")[0], key, of_it[0].name)
            stored = _stored(folder)
            manifest = json.loads(stored.pop(f"{folder}manifest.json", b"{}"))
            told = manifest.get("source", {}).get("version_id")
            if told != version or list(stored.values()) != [content]:
                found.append(f"{key}: {sorted(stored)} of version {told}")
        return found

    def _of_a_set(self, executions: list[Execution], runs: list[dict[str, Any]]) -> list[str]:
        """What is not as it must be where the files that were dropped are one set."""
        found = []
        hashes = [hashlib.sha256(content).hexdigest() for *_, content in self.dropped]
        if [[data["sha256"] for data in run["inputs"]] for run in runs] != [hashes]:
            found.append(f"{len(runs)} runs of one set: {[run['inputs'] for run in runs]}")
        ends = sorted((e.output or {}).get("status", "") for e in executions)
        if ends != ["Gathered"] * (len(hashes) - 1) + ["Succeeded"]:
            return [*found, f"the files of a set ended with {ends}"]
        (last,) = [e for e in executions if e.output["status"] == "Succeeded"]
        stored = _stored(last.output["manifest"].rpartition("/")[0] + "/")
        manifest = json.loads(stored.pop(last.output["manifest"], b"{}"))
        told = [member["sha256"] for member in manifest.get("members", [])]
        if told != hashes or list(stored.values()) != [self.dropped[0][2]]:
            found.append(f"{sorted(stored)} of {told}")
        return found

    def counts(self, run: dict[str, Any]) -> bool:
        """Whether there may be one such run of each file."""
        raise NotImplementedError


def _stored(folder: str) -> dict[str, bytes]:
    """What stands in a folder of the outbox, by key."""
    s3 = boto3.client("s3")
    listed = s3.list_objects_v2(Bucket=OUTBOX, Prefix=folder).get("Contents", [])
    keys = [each["Key"] for each in listed]
    return {key: s3.get_object(Bucket=OUTBOX, Key=key)["Body"].read() for key in keys}
