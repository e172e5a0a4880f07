"""One trial: a configuration of the search space is trained on one seed, and measured on validation."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch_geometric.data import HeteroData

from anchorrec_graph.config import Config
from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.errors import ConfigError, TrainingError
from anchorrec_graph.evaluate.evaluator import Evaluator
from anchorrec_graph.evaluate.user_items import PAIRS
from anchorrec_graph.models.base import build_model
from anchorrec_graph.train.trainer import Trainer
from anchorrec_graph.tune.space import Space

if TYPE_CHECKING:
    from optuna import Trial

ITSELF, REASON = "config", "reason"  # attributes of a trial


def without_test(data: HeteroData) -> HeteroData:
    """The same data without test pairs; `data` keeps its own."""
    data = copy.copy(data)
    if PAIRS["test"] in data[INTERACTS]:
        del data[INTERACTS][PAIRS["test"]]
    return data


def run_trial(trial: Trial, config: Config, space: Space, data: HeteroData, evaluator: Evaluator) -> float:
    """The best validation value of the settings that the trial draws.

    The trial that stands for `config` itself draws nothing and is never cut short.

    Raises:
        optuna.TrialPruned: it is worse than the median at the same epoch, its settings contradict each
            other, or a loss term is not finite; the last two are noted as the trial's reason.
        ConfigError: `config` itself does not fit the data.
    """
    best = -float("inf")
    with noting_reasons(trial):
        for epoch, value in validation_values(draw(trial, config, space), data, evaluator):
            best = max(best, value)
            report(trial, epoch, value)
    return best


def draw(trial: Trial, config: Config, space: Space) -> Config:
    """The settings that a trial draws, or `config` for the trial that stands for it.

    Raises:
        ConfigError: they contradict each other.
    """
    if ITSELF in trial.user_attrs:
        for key in space.params(config):
            space.dimensions[key].suggest(trial, key)  # enqueued with it
        return config
    return space.apply(config, {key: dim.suggest(trial, key) for key, dim in space.dimensions.items()})


def report(trial: Trial, epoch: int, value: float) -> None:
    """
    Raises:
        optuna.TrialPruned: the value is worse than the median at the same epoch.
    """
    from optuna import TrialPruned

    trial.report(value, epoch)
    if ITSELF not in trial.user_attrs and trial.should_prune():
        raise TrialPruned


@contextmanager
def noting_reasons(trial: Trial) -> Iterator[None]:
    """End a trial whose settings or training fail as pruned, and note why.

    Raises:
        optuna.TrialPruned: instead of a TrainingError or ConfigError.
        ConfigError: of the trial that stands for the configuration itself.
    """
    from optuna import TrialPruned

    try:
        yield
    except (TrainingError, ConfigError) as error:
        if ITSELF in trial.user_attrs and isinstance(error, ConfigError):
            raise
        trial.set_user_attr(REASON, str(error))
        raise TrialPruned from error


def validation_values(config: Config, data: HeteroData, evaluator: Evaluator) -> Iterator[tuple[int, float]]:
    """Epoch and value of `train.metric` at each evaluation, while the first of `train.seeds` is trained as in
    `fit`; of epoch 0 alone for a model that learns nothing by gradient."""
    seed, metric = config.train.seeds[0], config.train.metric
    torch.manual_seed(seed)
    model = build_model(config.model, data)
    if next(model.parameters(), None) is None:
        with torch.no_grad():
            yield 0, evaluator.evaluate(model.eval().final(), "validation").metrics[metric]
        return
    for record in Trainer(model, data, config.train, evaluator, seed).epochs():
        if record["validation"]:
            yield record["epoch"], record["validation"][metric]
