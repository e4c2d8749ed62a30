"""What must hold after the storm, judged by the stand-in's journal, the outbox and the table."""

import json
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.storm.files import Version
from tests.storm.stack import Stack

Entry = dict[str, Any]
BEGINS = {"upload_started": "upload", "execute_requested": "execution"}
ENDS = {"upload_finished": "upload", "upload_aborted": "upload", "run_ended": "execution"}
ENDED_BADLY = ("Failed", "Cancelled")


def overlaps(journal: list[Entry]) -> list[str]:
    """Uploads and runs of one queue that were going on at the same time."""
    found: list[str] = []
    going: dict[str, list[str]] = defaultdict(list)
    for entry in journal:
        event = entry["event"]
        queue = (entry.get("dataset") or entry.get("pipeline") or "")[2:]
        if event in BEGINS:
            name = entry[BEGINS[event]]
            found += [f"{name} began during {other}" for other in going[queue]]
            going[queue].append(name)
        elif event in ENDS:
            going[queue].remove(entry[ENDS[event]])
    return found + [f"{name} never ended" for names in going.values() for name in names]


def runs_of_each(journal: list[Entry], versions: list[Version]) -> list[str]:
    """Versions without exactly one good run, or with another that did not end badly."""
    statuses = defaultdict(list)
    for entry in journal:
        if entry["event"] == "run_ended":
            (data,) = entry["inputs"]
            statuses[data["sha256"]].append(entry["status"])
    wrong = [
        f"{version.file.key} {version.version_id}: runs {statuses[version.sha256]}"
        for version in versions
        if [s for s in statuses[version.sha256] if s not in ENDED_BADLY] != ["Succeeded"]
    ]
    strange = statuses.keys() - {version.sha256 for version in versions}
    return wrong + [f"a run of {sha}, which nobody has dropped" for sha in strange]


def manifests(stack: Stack, versions: list[Version]) -> list[str]:
    """Versions whose one complete manifest, with outputs made of their bytes, is not there."""
    # What a gate has released leaves the manifest by which it was held.
    keys = [key for key in stack.stored_keys("") if not key.startswith("held/")]
    with ThreadPoolExecutor(4) as pool:
        objects = dict(zip(keys, pool.map(stack.stored, keys), strict=True))
    by_version = defaultdict(list)
    for key, content in objects.items():
        if key.endswith("/manifest.json"):
            manifest = json.loads(content)
            by_version[manifest["source"]["version_id"]].append(manifest)
    problems = []
    for version in versions:
        found = by_version.pop(version.version_id, [])
        stored = [objects.get(output["key"]) for each in found for output in each["outputs"]]
        keys_told = [each["source"]["key"] for each in found]
        if stored != [version.file.content] or keys_told != [version.file.key]:
            problems.append(f"{version.file.key} {version.version_id}: {len(found)} manifests")
    return problems + [f"a manifest of version {version}" for version in by_version]


def executions(stack: Stack, versions: list[Version]) -> list[str]:
    """Versions without exactly one execution that succeeded."""
    states = stack.client("stepfunctions")
    by_version = defaultdict(list)
    for execution in stack.executions():
        described = states.describe_execution(executionArn=execution["executionArn"])
        by_version[json.loads(described["input"])["version_id"]].append(described["status"])
    wrong = [v for v in versions if by_version.pop(v.version_id, []) != ["SUCCEEDED"]]
    return [f"{v.file.key} {v.version_id}: not one that succeeded" for v in wrong] + [
        f"executions of version {version}" for version in by_version
    ]


def left_over(
    stack: Stack, given_up: tuple[str, ...] = ("DropsDeadLetters", "EndsDeadLetters")
) -> list[str]:
    """Tickets, holders and marks that are left in the table, and events that were given up."""
    found = []
    for item in stack.items():
        if item["pk"]["S"].startswith("tickets#"):
            found.append(f"ticket {item['pk']['S']} {item['sk']['S']}")
        if "holder" in item:
            found.append(f"queue {item['sk']['S']} held: {item['holder']['M']}")
        if "paused" in item:
            found.append(f"queue {item['sk']['S']} paused")
    for name in given_up:
        (count,) = (
            stack.client("sqs")
            .get_queue_attributes(
                QueueUrl=stack.resource(name), AttributeNames=["ApproximateNumberOfMessages"]
            )["Attributes"]
            .values()
        )
        if count != "0":
            found.append(f"{count} messages in {name}")
    return found
