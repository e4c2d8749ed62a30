"""Routes as documents: in files under version control, and as parameters of the stack."""

import json
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import Any

import yaml

from stp.disk import legal_name
from stp.said import USAGE, Stop
from stp.stack import Stack
from straight_through.text import shown

SUFFIXES = (".yaml", ".yml", ".json")
# Bytes of a parameter of the advanced tier, which costs $0.05 a month; up to 4,096 bytes are of the
# standard one, which is free. PutParameter's documentation.
LARGEST = 8192


@dataclass(frozen=True)
class Document:
    """What is meant to be a route; `trouble` says why it could not be read."""

    route: str
    value: Any
    where: str
    trouble: str = ""

    @property
    def text(self) -> str:
        """The document as it is stored in a parameter."""
        return json.dumps(self.value, ensure_ascii=False, separators=(",", ":"), default=str)

    @property
    def lines(self) -> list[str]:
        """The document as people compare it."""
        shown = json.dumps(self.value, ensure_ascii=False, indent=2, default=str)
        return shown.splitlines()


@dataclass(frozen=True)
class Change:
    """What applying the files does to one route: `add`, `change` or `remove`."""

    kind: str
    route: str
    before: Document | None
    after: Document | None

    @property
    def difference(self) -> list[str]:
        """The lines of a unified difference."""
        before = self.before.lines if self.before else []
        after = self.after.lines if self.after else []
        names = ("deployed" if before else "nothing", self.after.where if self.after else "nothing")
        return list(unified_diff(before, after, *names, lineterm=""))


def file_documents(folder: Path) -> dict[str, Document]:
    """Return the routes of a folder's files, each named by its path. Raises Stop."""
    if not folder.is_dir():
        raise Stop(
            f"There is no folder {folder}. A route is a file there: {folder}/claims.yaml is the "
            "route claims, and holds organisation_id, dataset_id and pipeline_id. Begin with those "
            f"of the stack: stp routes show --to {folder}",
            USAGE,
        )
    found: dict[str, Document] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix not in SUFFIXES or not path.is_file():
            continue
        name = path.relative_to(folder).with_suffix("").as_posix()
        document = read_document(name, path)
        if name in found:
            trouble = f"the route has two files, {found[name].where} and {path}: remove one"
            document = Document(name, None, str(path), trouble)
        found[name] = document
    return found


def read_document(name: str, path: Path) -> Document:
    """Return what a file holds."""
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))  # JSON is YAML
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        return Document(name, None, str(path), " ".join(str(error).split()))
    return Document(name, value, str(path))


def deployed_documents(stack: Stack) -> dict[str, Document]:
    """Return the stack's routes."""
    found = {}
    pages = stack.client("ssm").get_paginator("get_parameters_by_path")
    for page in pages.paginate(Path=stack.routes_path, Recursive=True):
        for parameter in page["Parameters"]:
            name = parameter["Name"].removeprefix(f"{stack.routes_path}/")
            found[name] = _deployed(name, parameter["Name"], parameter["Value"])
    return dict(sorted(found.items()))


def _deployed(name: str, where: str, text: str) -> Document:
    """Return the document of a parameter."""
    try:
        return Document(name, json.loads(text), where)
    except ValueError as error:
        return Document(name, text, where, f"it is not JSON: {error}")


def changes(
    deployed: dict[str, Document], wanted: dict[str, Document], *, prune: bool
) -> list[Change]:
    """Return what makes the deployed routes the wanted ones; `prune` removes those without file."""
    found = [
        Change("change" if name in deployed else "add", name, deployed.get(name), document)
        for name, document in wanted.items()
        if name not in deployed or deployed[name].value != document.value
    ]
    gone = [Change("remove", n, d, None) for n, d in deployed.items() if n not in wanted]
    return found + (gone if prune else [])


def apply(stack: Stack, change: Change) -> None:
    """Make one change."""
    ssm, name = stack.client("ssm"), f"{stack.routes_path}/{change.route}"
    if change.after is None:
        ssm.delete_parameter(Name=name)
    else:
        ssm.put_parameter(
            Name=name,
            Value=change.after.text,
            Type="String",
            Overwrite=True,
            Tier="Intelligent-Tiering",  # standard, where it suffices
        )


def write_files(documents: dict[str, Document], folder: Path) -> list[Path]:
    """Write each route as a YAML file; one that is there already stays. Raises Stop."""
    written = []
    for name, document in documents.items():
        path = folder / f"{name}.yaml"
        # The file's name is the route's when it is read again: it cannot be changed.
        if any(part != legal_name(part) for part in f"{name}.yaml".split("/")):
            raise Stop(
                f"No file can be named as route {shown(name)}, on Windows at least. Name the other "
                "routes one by one: stp routes show ROUTE --to DIR"
            )
        if not path.resolve().is_relative_to(folder.resolve()):
            raise Stop(f"{path} is a link to another place. Remove it, or name another folder.")
        if any(path.with_suffix(suffix).exists() for suffix in SUFFIXES):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(document.value, sort_keys=False, allow_unicode=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written
