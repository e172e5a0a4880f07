"""The runs of an audit: opened, found to share data and evaluation, and encoded one seed after another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch_geometric.data import HeteroData

from anchorrec_graph.compare.labels import Entry, check_labels, split_label
from anchorrec_graph.compare.task import shared_task
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.evaluate import EvaluateConfig
from anchorrec_graph.train.fit import load_run
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
    if not runs:
        raise ConfigError("name at least one run folder")
    if k < 1:
        raise ConfigError(f"k is {k}; a list needs at least 1 item")
    entries = _entries([str(run) for run in runs], k)
    task = shared_task(entries)
    return Opened(_encoded(entries, seed), task.data, task.evaluate)


def _entries(runs: Sequence[str], k: int) -> list[Entry]:
    """Each run with its settings, but for metrics at k; the label is the model's name, with the folder's
    behind it where several runs without a label have the same model."""
    named = [split_label(run) for run in runs]
    configs = [RunFolder.open(path).config for _, path in named]
    models = Counter(c.model.name for (label, _), c in zip(named, configs, strict=True) if label is None)
    entries = []
    for (label, path), config in zip(named, configs, strict=True):
        model = config.model.name
        default = f"{model}/{path.resolve().name}" if models[model] > 1 else model
        metrics = (f"Recall@{k}", f"NDCG@{k}")
        evaluate = config.evaluate.model_copy(update={"metrics": metrics})
        config = config.model_copy(update={"evaluate": evaluate})
        entries.append(Entry(default if label is None else label, config, path))
    check_labels([entry.label for entry in entries])
    return entries


def _encoded(entries: Sequence[Entry], seed: int | None) -> Iterator[Audited]:
    for entry in entries:
        for one in entry.config.train.seeds if seed is None else (seed,):
            run = load_run(entry.path, one)
            with torch.no_grad():
                yield Audited(entry.label, one, run.model.encode())
