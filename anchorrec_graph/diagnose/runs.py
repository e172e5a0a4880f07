"""Diagnoses of trained runs: before training, after it, and of single epochs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import polars as pl
import torch
from torch_geometric.data import HeteroData

from anchorrec_graph.diagnose.diagnosis import DEFAULT_K, Diagnoser
from anchorrec_graph.errors import ConfigError, RunError
from anchorrec_graph.evaluate import Split
from anchorrec_graph.models.base import Recommender, build_model
from anchorrec_graph.train.fit import learns, load_weights
from anchorrec_graph.train.run import RunFolder
from anchorrec_graph.train.seed import SeedFolder

Stage = Literal["before", "after", "both"]
BEFORE, AFTER = "before", "after"


class Diagnosis(NamedTuple):
    """All measures of one run."""

    label: str  # the model's name, with a number if another run has the same model
    folder: Path
    seeds: list[int]
    table: pl.DataFrame  # stage ("before", "after" or "epoch 12"), seed, and the columns of `Diagnoser`
    notes: list[str]  # how the numbers were made


def diagnose_run(
    folder: str | Path,
    *,
    stage: Stage = "both",
    epochs: bool = False,
    split: Split = "validation",
    k: int = DEFAULT_K,
    seed: int | None = None,
) -> Diagnosis:
    """All measures of a run, see `Diagnoser`.

    Args:
        stage: "before" training (the initial weights of the seed), "after" it (the best weights), or both.
        epochs: also the weights kept by `train.snapshot_every`.
        split: whose held-out pairs the scores are measured on.
        k: neighbours of an item.
        seed: one of the run's seeds; default all.

    Raises:
        RunError: no such run or seed, not trained yet, damaged, the data changed since, or no epochs kept.
        DataError: k is too large for the items.
    """
    return diagnose_runs([folder], stage=stage, epochs=epochs, split=split, k=k, seed=seed)[0]


def diagnose_runs(
    folders: Iterable[str | Path],
    *,
    stage: Stage = "both",
    epochs: bool = False,
    split: Split = "validation",
    k: int = DEFAULT_K,
    seed: int | None = None,
) -> list[Diagnosis]:
    """`diagnose_run` of several runs. What they share is computed once where one follows another on its data.

    Raises:
        ConfigError: a folder is named twice, and as `diagnose_run`.
    """
    runs = [RunFolder.open(Path(folder)) for folder in folders]
    for path, count in Counter(run.path.resolve() for run in runs).items():
        if count > 1:
            raise ConfigError(f"{path} is named {count} times; name every run once")
    chosen = [_seeds(run, seed) for run in runs]
    diagnoses, known, diagnoser, data = [], None, None, None
    for label, run, seeds in zip(_labels(runs), runs, chosen, strict=True):
        source = run.config.dataset, run.config.evaluate
        if source != known or diagnoser is None or data is None:
            known, data = source, run.config.dataset.load()
            diagnoser = Diagnoser(data, split, k, run.config.evaluate)
        run.check_data(data.manifest)
        tables = []
        for number in seeds:
            for name, table in _tables(diagnoser, run, data, number, stage, epochs):
                tables.append(labelled(table, name, number))
        diagnoses.append(Diagnosis(label, run.path, seeds, pl.concat(tables), diagnoser.notes))
    return diagnoses


def labelled(table: pl.DataFrame, stage: str, seed: int) -> pl.DataFrame:
    """A table of `Diagnoser` with the columns stage and seed before its own."""
    return table.select(pl.lit(stage).alias("stage"), pl.lit(seed, pl.Int64).alias("seed"), pl.all())


def _tables(
    diagnoser: Diagnoser, run: RunFolder, data: HeteroData, seed: int, stage: Stage, epochs: bool
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Stage and table of every state of one seed. A model that learns nothing is the same in all."""
    folder, wanted = run.seed(seed), [name for name in (BEFORE, AFTER) if stage in (name, "both")]
    model = initial_model(run, data, seed)
    if not learns(model):
        table = diagnoser.diagnose(model, seed)
        yield from ((name, table) for name in wanted)
        return
    best = folder.load_best()  # what is missing is said before anything is measured
    kept = _epochs(folder) if epochs else []
    if BEFORE in wanted:
        yield BEFORE, diagnoser.diagnose(model, seed)
    if AFTER in wanted:
        load_weights(model, best, folder.best)
        yield AFTER, diagnoser.diagnose(model, seed)
    for epoch in kept:
        load_weights(model, folder.load_epoch(epoch), folder.epoch_path(epoch))
        yield f"epoch {epoch}", diagnoser.diagnose(model, seed)


def initial_model(run: RunFolder, data: HeteroData, seed: int) -> Recommender:
    """The model with the weights that the training of this seed began with."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_model(run.config.model, data)


def _epochs(folder: SeedFolder) -> list[int]:
    epochs = folder.saved_epochs()
    if not epochs:
        raise RunError(
            f"{folder.path}: no weights of single epochs; train with -o train.snapshot_every=5 in a new run"
        )
    return epochs


def _seeds(run: RunFolder, seed: int | None) -> list[int]:
    if seed is None:
        return list(run.config.train.seeds)
    run.check_seed(seed)
    return [seed]


def _labels(runs: list[RunFolder]) -> list[str]:
    models = [run.config.model.name for run in runs]
    return [
        name if models.count(name) == 1 else f"{name} {models[: place + 1].count(name)}"
        for place, name in enumerate(models)
    ]
