"""Datasets: versions of raw bytes, kept as files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from local.quantemplate.events import Events
from local.quantemplate.journal import Journal


@dataclass(frozen=True)
class Version:
    """What a dataset holds, or held once; numbers count up from 1."""

    dataset_id: str
    number: int
    path: Path
    sha256: str
    bytes: int

    def facts(self) -> dict[str, object]:
        """The version as the journal names it."""
        return {"dataset": self.dataset_id, "version": self.number, "sha256": self.sha256}


@dataclass
class Dataset:
    """One dataset; `shared` is whether the API user may edit it.

    There are events of one that is shared with all in the organisation.
    """

    id: str
    shared: bool = True
    shared_with_all: bool = True
    versions: list[Version] = field(default_factory=list)


class Datasets:
    """All datasets of the organisation, and the uploads that are going on."""

    def __init__(self, journal: Journal, events: Events, folder: Path) -> None:
        self.by_id: dict[str, Dataset] = {}
        self._journal = journal
        self._events = events
        self._folder = folder
        self._numbers = count(1)
        self._going: dict[str, str] = {}  # upload -> dataset

    def begin(self, dataset_id: str) -> str:
        """Note that an upload starts; its name."""
        with self._journal.lock:
            upload = f"u-{next(self._numbers)}"
            self._journal.note("upload_started", upload=upload, dataset=dataset_id)
            for other in self.going([dataset_id]):
                self._journal.note(
                    "violation", kind="two_uploads", dataset=dataset_id, uploads=[other, upload]
                )
            self._going[upload] = dataset_id
        return upload

    def receive(self, upload: str, pieces: Iterator[bytes]) -> Version | None:
        """Store the bytes beside the dataset; None when there were none.

        Errors of `pieces` pass through; the dataset stays as it was.
        """
        dataset_id = self._going[upload]
        path, digest, size = self._folder / upload, hashlib.sha256(), 0
        try:
            with path.open("xb") as file:
                for piece in pieces:
                    digest.update(piece)
                    file.write(piece)
                    size += len(piece)
        except BaseException:
            path.unlink(missing_ok=True)
            self.abandon(upload, size)
            raise
        if not size:
            path.unlink(missing_ok=True)
            self.abandon(upload, size)
            return None
        return Version(dataset_id, 0, path, digest.hexdigest(), size)

    def abandon(self, upload: str, size: int) -> None:
        """Note that an upload came to nothing."""
        with self._journal.lock:
            dataset_id = self._going.pop(upload)
            self._journal.note("upload_aborted", upload=upload, dataset=dataset_id, bytes=size)

    def overwrite(self, upload: str, received: Version) -> Version:
        """Make what was received the dataset's newest version."""
        with self._journal.lock:
            dataset = self.by_id[self._going.pop(upload)]
            number = len(dataset.versions) + 1
            version = Version(dataset.id, number, received.path, received.sha256, received.bytes)
            dataset.versions.append(version)
            facts = version.facts() | {"upload": upload, "bytes": version.bytes}
            self._journal.note("upload_finished", **facts)
            self.tell(dataset)
        return version

    def tell(self, dataset: Dataset) -> None:
        """Let all know that a dataset was updated."""
        if dataset.shared_with_all:
            self._events.updated(dataset.id)

    def going(self, dataset_ids: list[str]) -> list[str]:
        """The uploads to these datasets that have not ended."""
        with self._journal.lock:
            return [upload for upload, dataset in self._going.items() if dataset in dataset_ids]

    def newest(self, dataset_ids: list[str]) -> tuple[Version, ...]:
        """What the datasets hold now; those without data are left out."""
        with self._journal.lock:
            datasets = [self.by_id[dataset_id] for dataset_id in dataset_ids]
            return tuple(dataset.versions[-1] for dataset in datasets if dataset.versions)
