"""The customer's account: all that the server knows between calls."""

from __future__ import annotations

from typing import Any

from local.quantemplate.datasets import Dataset, Datasets
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
        self.datasets = Datasets(self.journal, folder)
        self.pipelines = Pipelines(self.journal, self.datasets, folder)
        self.pipelines.time_scale = time_scale
        for pipeline_id, kind in SEEDS.items():
            dataset_id = pipeline_id.replace("p-", "d-", 1)
            self.define_dataset(dataset_id, shared=True)
            self.define_pipeline(pipeline_id, {"kind": kind, "datasets": [dataset_id]})

    def define_dataset(self, dataset_id: str, *, shared: bool) -> None:
        """Add a dataset without data, or change who may edit it."""
        with self.journal.lock:
            self.datasets.by_id.setdefault(dataset_id, Dataset(dataset_id)).shared = shared

    def define_pipeline(self, pipeline_id: str, given: dict[str, Any]) -> None:
        """Add or replace a pipeline, and add the datasets it names; raises ValueError."""
        pipeline = pipeline_from(pipeline_id, given)
        with self.journal.lock:
            for dataset_id in pipeline.datasets:
                self.datasets.by_id.setdefault(dataset_id, Dataset(dataset_id))
            self.pipelines.define(pipeline)

    def close(self) -> None:
        """Abandon the runs and remove the files."""
        self.pipelines.close()
        self._scratch.remove()
