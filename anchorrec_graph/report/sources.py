"""The runs of a report, read and found to be about the same question."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch_geometric.data import HeteroData

from anchorrec_graph.compare.comparison import Comparison
from anchorrec_graph.compare.labels import Entry, run_entries
from anchorrec_graph.compare.runs import Job, Result, read_result
from anchorrec_graph.compare.table import make_rows, shown_metrics
from anchorrec_graph.compare.task import Task, shared_task
from anchorrec_graph.config import Config
from anchorrec_graph.data.checks import DataWarning
from anchorrec_graph.diagnose.runs import initial_model
from anchorrec_graph.errors import RunError
from anchorrec_graph.models.base import Recommender
from anchorrec_graph.train.environment import environment
from anchorrec_graph.train.fit import load_model
from anchorrec_graph.train.run import RunFolder
from anchorrec_graph.train.seed import read_object
from anchorrec_graph.typing import Embeddings


class Source(NamedTuple):
    """One run."""

    label: str
    folder: RunFolder
    data: HeteroData
    results: list[Result]  # one per seed
    environment: dict[str, Any]  # where it was trained

    @property
    def config(self) -> Config:
        return self.folder.config

    @property
    def seeds(self) -> tuple[int, ...]:
        return self.config.train.seeds

    def fresh_model(self, seed: int) -> Recommender:
        """The model as it was before the first step of `seed`."""
        return initial_model(self.folder, self.data, seed).eval()

    def model(self, seed: int) -> Recommender:
        """The model with the best weights of `seed`."""
        return load_model(self.folder, self.data, seed)

    def embeddings(self, seed: int) -> Embeddings:
        """What the best weights of `seed` give."""
        with torch.no_grad():
            return self.model(seed).encode()


class Sources(NamedTuple):
    runs: list[Source]
    comparison: Comparison  # the first run is the reference
    warnings: list[str]  # what loading the data warned of

    @property
    def task(self) -> Task:
        return self.comparison.task


def read_sources(arguments: Sequence[str]) -> Sources:
    """Finished runs, each `FOLDER` or `LABEL=FOLDER`.

    Without a label a run is called by its model, or `<model>/<folder name>` where several have the same.

    Raises:
        ConfigError: no runs, a label twice, or different masks or metrics.
        DataError: interactions or splits that differ.
        RunError: no run, not finished, damaged, or the data changed since.
    """
    entries = run_entries(arguments)
    folders = [RunFolder.open(entry.path) for entry in entries]
    for folder in folders:
        _check_finished(folder)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        task = shared_task(entries)
    said = [str(w.message) for w in caught if issubclass(w.category, DataWarning)]
    runs: list[Source] = []
    for entry, folder in zip(entries, folders, strict=True):
        folder.check_data(task.manifests[entry.label])
        runs.append(_read(entry, folder, _data(entry, runs, task)))
    shown = shown_metrics((), entries[0].config.evaluate.metrics)
    rows = make_rows({run.label: run.results for run in runs}, shown, runs[0].label)
    seeds = sorted({seed for run in runs for seed in run.seeds})
    comparison = Comparison(rows, shown, runs[0].label, seeds, task, [], environment())
    return Sources(runs, comparison, list(dict.fromkeys(said)))


def _check_finished(folder: RunFolder) -> None:
    for seed in folder.config.train.seeds:
        if folder.seed(seed).load_result() is None:
            raise RunError(
                f"{folder.path}: seed {seed} is not finished; continue with "
                f"anchorrec train --resume {folder.path}"
            )


def _data(entry: Entry, runs: Sequence[Source], task: Task) -> HeteroData:
    """Runs with the same settings of the data set share it."""
    settings = entry.config.dataset
    for run in runs:
        if run.config.dataset == settings:
            return run.data
    if not runs:
        return task.data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # shared_task has shown it
        return settings.load()


def _read(entry: Entry, folder: RunFolder, data: HeteroData) -> Source:
    jobs = [Job(entry.label, seed, folder.config, folder.path) for seed in folder.config.train.seeds]
    where = read_object(folder.path / "environment.json")
    return Source(entry.label, folder, data, [read_result(job) for job in jobs], where)
