"""The customer's account: all that the server knows between calls."""

from __future__ import annotations

from typing import Any

from local.quantemplate.datasets import Dataset, Datasets
from local.quantemplate.events import Events
from local.quantemplate.journal import Journal
from local.quantemplate.pipelines import Pipelines, pipeline_from
from local.quantemplate.scratch import Scratch
from local.quantemplate.tokens import Tokens
from local.quantemplate.trouble import Troubles

ORGANISATION = "c-broker"
SEEDS = {"p-claims": "claims", "p-claims-eu": "claims", "p-premiums": "premiums"}


class Account:
    """One organisation with its datasets, pipelines, runs, tokens and journal.

    Uploads and outputs are files in a temporary folder, which `close` removes.
    """

    def __init__(self, time_scale: float = 1.0) -> None:
        self._scratch = Scratch()
        folder = self._scratch.path
        self.journal = Journal()
        self.tokens = Tokens(self.journal)
        self.troubles = Troubles(self.journal)
        self.events = Events(self.journal)
        self.datasets = Datasets(self.journal, self.events, folder)
        self.pipelines = Pipelines(self.journal, self.datasets, self.events, folder)
        self.pipelines.time_scale = time_scale
        for pipeline_id, kind in SEEDS.items():
            dataset_id = pipeline_id.replace("p-", "d-", 1)
            self.define_dataset(dataset_id)
            self.define_pipeline(pipeline_id, {"kind": kind, "datasets": [dataset_id]})

    def define_dataset(
        self, dataset_id: str, *, shared: bool = True, shared_with_all: bool | None = None
    ) -> None:
        """Add a dataset without data, or change who may edit it and, where told, who sees it."""
        with self.journal.lock:
            dataset = self.datasets.by_id.setdefault(dataset_id, Dataset(dataset_id))
            dataset.shared = shared
            if shared_with_all is not None:
                dataset.shared_with_all = shared_with_all

    def update_dataset(self, dataset_id: str, content: bytes | None) -> None:
        """Somebody else updates a dataset, with this content or its own; raises ValueError."""
        if dataset_id not in self.datasets.by_id:
            raise ValueError(f"there is no dataset {dataset_id}")
        if content is None:
            with self.journal.lock:
                self.journal.note("dataset_updated_by_somebody_else", dataset=dataset_id)
                self.datasets.tell(self.datasets.by_id[dataset_id])
            return
        upload = self.datasets.begin(dataset_id)
        received = self.datasets.receive(upload, iter([content]))
        if received is None:
            raise ValueError("content is empty")
        with self.journal.lock:
            self.datasets.overwrite(upload, received)
            self.pipelines.dataset_changed(dataset_id)

    def define_pipeline(self, pipeline_id: str, given: dict[str, Any]) -> None:
        """Add or replace a pipeline, and add the datasets it names; raises ValueError."""
        pipeline = pipeline_from(pipeline_id, given)
        with self.journal.lock:
            for dataset_id in pipeline.datasets:
                self.datasets.by_id.setdefault(dataset_id, Dataset(dataset_id))
            self.pipelines.define(pipeline)

    def close(self) -> None:
        """Abandon the runs and the events, and remove the files."""
        self.events.close()
        self.pipelines.close()
        self._scratch.remove()
