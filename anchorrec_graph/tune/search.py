"""`tune`: the best configuration of a search space, by validation."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl
from torch_geometric.data import HeteroData

from anchorrec_graph.cluster.connection import Cluster
from anchorrec_graph.config import Config
from anchorrec_graph.data.manifest import json_hash
from anchorrec_graph.errors import TrainingError
from anchorrec_graph.evaluate.evaluator import Evaluator
from anchorrec_graph.tune.cluster import fill_on
from anchorrec_graph.tune.space import Space, setting_of
from anchorrec_graph.tune.study import fill, opened
from anchorrec_graph.tune.trial import ITSELF, REASON, run_trial, without_test

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

WAITING = "waiting for trials of other processes; one that was killed is given up after"
RANKED = 10  # complete trials from which importance is estimated


class TuneResult(NamedTuple):
    """What `tune` returns."""

    study: str
    metric: str
    best_config: Config
    best_value: float  # of `metric` on validation, first seed
    best_trial: int
    start_value: float | None  # of the configuration as it stood; None if its loss was not finite
    trials: pl.DataFrame  # trial, state, value, epochs, seconds, reason, and the JSON of each tuned setting
    importance: dict[str, float]  # by key, largest first, sum 1; empty for too few or equal trials


def tune(
    config: Config,
    data: HeteroData,
    space: Space,
    trials: int,
    storage: Path,
    show: Callable[[str], None] = lambda _: None,
    cluster: Cluster | None = None,
) -> TuneResult:
    """Search for the settings with the best `train.metric` on validation; test is never read.

    The first trial is `config` itself. Others are drawn by TPE (Bergstra et al., NeurIPS 2011), and cut short
    when they are below the median of the others at the same epoch. Each trains the first of `train.seeds`.
    The study goes on where an earlier call in the same storage with equal settings, space and data stopped,
    and several processes may work on it at once; each returns when the whole budget is spent.

    Args:
        data: what `config.dataset.load()` returned.
        trials: how many trials of the study are to be complete or pruned in the end.
        storage: an SQLite file, which may hold many studies.
        show: gets one line for each trial that this process has ended.
        cluster: trains in place of this process, several trials at once, see `anchorrec_graph.cluster`.

    Raises:
        ConfigError: the space does not fit `config`, or Optuna is not installed.
        DataError: the data has no validation pairs.
        RunError: the storage cannot be read.
        TrainingError: no trial came to its end.
    """
    space.check(config)
    seen = without_test(data)
    evaluator = Evaluator(config.evaluate, seen)
    evaluator.users("validation")
    name = study_name(config, space, data)

    def done(study: Study, trial: FrozenTrial) -> None:
        show(_line(study, trial, config, trials))

    def waits(seconds: int) -> None:
        show(f"{WAITING} {seconds} s")

    with opened(storage, name) as study:
        try:
            if cluster is None:
                itself = space.params(config)
                fill(
                    study, storage, trials, itself,
                    lambda trial: run_trial(trial, config, space, seen, evaluator), done, waits,
                )  # fmt: skip
            else:
                fill_on(cluster, study, storage, trials, config, space, seen, done, waits)
        except KeyboardInterrupt as stop:
            stop.add_note("the same command goes on with the study")
            raise
        return _result(study, config, space)


def study_name(config: Config, space: Space, data: HeteroData) -> str:
    """`<model>-<dataset>-<hash>`, of the settings, the space and the data."""
    dimensions = {key: dimension.model_dump(mode="json") for key, dimension in space.dimensions.items()}
    parts = {"config": config.hash, "space": dimensions, "data": data.manifest["hash"]}
    return f"{config.model.name}-{config.dataset.name}-{json_hash(parts)[:12]}"


def _result(study: Study, config: Config, space: Space) -> TuneResult:
    finished = [t for t in study.get_trials(deepcopy=False) if t.state.name in ("COMPLETE", "PRUNED")]
    complete = [trial for trial in finished if trial.state.name == "COMPLETE"]
    if not complete:
        raise TrainingError(f"no trial came to its end; the first: {finished[0].user_attrs.get(REASON)}")
    best = max(complete, key=best_value)  # the first of equals
    itself = ITSELF in best.user_attrs
    return TuneResult(
        study.study_name,
        config.train.metric,
        config if itself else space.apply(config, space.settings(best.params)),
        best_value(best),
        best.number,
        next((best_value(trial) for trial in complete if ITSELF in trial.user_attrs), None),
        pl.DataFrame([_row(trial, config, space) for trial in finished], infer_schema_length=None),
        _importance(study, list(space.dimensions)) if len(complete) >= RANKED else {},
    )


def _line(study: Study, trial: FrozenTrial, config: Config, trials: int) -> str:
    states = [t.state.name for t in study.get_trials(deepcopy=False)]
    ended = states.count("COMPLETE") + states.count("PRUNED")
    line = f"{config.model.name} on {config.dataset.name}, {ended} of {trials}: trial {trial.number} "
    line += trial.state.name.lower()
    if trial.intermediate_values:
        line += (
            f", {config.train.metric} {best_value(trial):.4f} within {max(trial.intermediate_values)} epochs"
        )
    if REASON in trial.user_attrs:
        line += f" ({trial.user_attrs[REASON]})"
    if "COMPLETE" in states:
        line += f"; best {study.best_value:.4f} in trial {study.best_trial.number}"
    return line


def best_value(trial: FrozenTrial) -> float:
    """The largest validation value so far; -inf before the first."""
    return max(trial.intermediate_values.values(), default=-float("inf"))


def _row(trial: FrozenTrial, config: Config, space: Space) -> dict[str, Any]:
    drawn = space.settings(trial.params)
    if ITSELF in trial.user_attrs:
        drawn = {key: setting_of(config, key) for key in space.dimensions}
    return {
        "trial": trial.number,
        "state": trial.state.name.lower(),
        "value": max(trial.intermediate_values.values(), default=None),
        "epochs": max(trial.intermediate_values, default=None),
        "seconds": trial.duration.total_seconds() if trial.duration else None,
        "reason": trial.user_attrs.get(REASON),
    } | {key: json.dumps(drawn.get(key)) for key in space.dimensions}


def _importance(study: Study, keys: list[str]) -> dict[str, float]:
    """PED-ANOVA (Watanabe et al., IJCAI 2023): how far the best quarter differs from all trials."""
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    evaluator = PedAnovaImportanceEvaluator(target_quantile=0.25)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Some regimes for")  # the start, where it lies outside the space
        warnings.filterwarnings("error", "Target and region quantiles select the same set")
        try:
            found = get_param_importances(study, evaluator=evaluator, params=keys)
        except UserWarning:  # the best quarter is all: nearly all are equally good
            return {}
    return {key: float(value) for key, value in sorted(found.items(), key=lambda pair: -pair[1])}
