"""The runs of an audit: opened, found to share data and evaluation, and encoded one seed after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch_geometric.data import HeteroData

from anchorrec_graph.compare.labels import Entry, run_entries
from anchorrec_graph.compare.task import shared_task
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.evaluate import EvaluateConfig
from anchorrec_graph.train.fit import load_model
from anchorrec_graph.train.run import RunFolder
from anchorrec_graph.typing import Embeddings


class Audited(NamedTuple):
    """One seed of a model."""

    label: str
    seed: int
    embeddings: Embeddings


class Opened(NamedTuple):
    """Runs that share data and evaluation."""

    models: Iterator[Audited]  # loaded when asked for
    data: HeteroData
    evaluate: EvaluateConfig


def open_runs(runs: Sequence[str | Path], k: int, seed: int | None) -> Opened:
    """The runs, ready to be audited in lists of k items. See `audit` for arguments and errors."""
    if k < 1:
        raise ConfigError(f"k is {k}; a list needs at least 1 item")
    metrics = (f"Recall@{k}", f"NDCG@{k}")
    entries = [_measured_by(metrics, entry) for entry in run_entries([str(run) for run in runs])]
    task = shared_task(entries)
    return Opened(_encoded(entries, task.data, seed), task.data, task.evaluate)


def _measured_by(metrics: tuple[str, ...], entry: Entry) -> Entry:
    evaluate = entry.config.evaluate.model_copy(update={"metrics": metrics})
    return entry._replace(config=entry.config.model_copy(update={"evaluate": evaluate}))


def _encoded(entries: Sequence[Entry], first: HeteroData, seed: int | None) -> Iterator[Audited]:
    for entry in entries:
        run, settings = RunFolder.open(entry.path), entry.config.dataset
        data = first if settings == entries[0].config.dataset else settings.load()
        run.check_data(data.manifest)
        for one in entry.config.train.seeds if seed is None else (seed,):
            run.check_seed(one)
            with torch.no_grad():
                yield Audited(entry.label, one, load_model(run, data, one).encode())
