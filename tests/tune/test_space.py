"""Search spaces: what is read, drawn and refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from tiny_runs import tiny_config

from anchorrec_graph.config import Config
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.tune.space import Space

RATE = {"train.learning_rate": {"log": [1e-4, 1e-1]}}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return tiny_config(tmp_path)


def space(values: Any) -> Space:
    return Space.parse(values, "s.yaml")


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("train.learning_rate: {log: [1e-4, 1e-1]}\n")
    found = Space.load(tmp_path / "s.yaml")
    assert found == Space(str(tmp_path / "s.yaml"), space(RATE).dimensions)
    assert found.dimensions["train.learning_rate"].log == (1e-4, 1e-1)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read; name a search space with --space"):
        Space.load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (None, "expected entries like train.learning_rate"),
        ([1], "expected entries like train.learning_rate"),
        ({"dataset.split.seed": {"int": [0, 3]}}, "dataset.split.seed: only keys below model and train"),
        ({"train.metric": {"choice": ["NDCG@5"]}}, "train.metric: only keys below model and train"),
        ({"train.seeds": {"choice": [[1]]}}, "train.seeds: only keys below model and train"),
        ({"train.epochs": 5}, "train.epochs: must be a section of keys, got 5"),
        ({"train.epochs": {}}, "train.epochs: give one of {log: [lo, hi]}"),
        ({"train.epochs": {"int": [1, 2], "log": [1, 2]}}, "train.epochs: give one of {log: [lo, hi]}"),
        ({"train.epochs": {"itn": [1, 2]}}, "train.epochs: unknown key 'itn'; did you mean 'int'?"),
        ({"train.epochs": {"int": [1.5, 2]}}, "train.epochs: int.0: must be a valid integer, got 1.5"),
        ({"train.epochs": {"int": [2, 1]}}, "train.epochs: int: the first end must be less than the second"),
        ({"train.decay": {"log": [0, 1]}}, "train.decay: log.0: must be greater than 0, got 0"),
        ({"train.decay": {"log": [1]}}, "train.decay: log.1: is missing"),
        ({"train.decay": {"choice": []}}, "train.decay: choice: must have at least 1 entry"),
        (
            {"model.loss.temperature": {"log": [0.1, 1]}, "model.loss": {"choice": ["bpr"]}},
            "model.loss.temperature: lies inside model.loss, which is tuned as a whole",
        ),
    ],
)
def test_a_wrong_space_names_file_and_key(values: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        space(values)
    assert str(caught.value).startswith(f"s.yaml: {message}")


@pytest.mark.parametrize(
    ("key", "dimension", "message"),
    [
        ("model.l2_wieght", {"log": [1e-4, 1]}, "model: unknown key 'l2_wieght'; did you mean 'l2_weight'?"),
        ("train.decay", {"uniform": [0.5, 1.5]}, "train.decay: must be less than or equal to 1, got 1.5"),
        (
            "model.embedding_dim",
            {"uniform": [8, 16]},
            "model.embedding_dim: must be a valid integer, got 8.28",
        ),
        ("model.loss", {"choice": ["bpr", "brp"]}, "model.loss: unknown ranking loss 'brp'"),
        ("train.epochs.x", {"int": [1, 2]}, "'epochs' holds a value, not a section; tune it as a whole"),
        (
            "model.bakbone.num_layers",
            {"int": [1, 2]},
            "model: unknown key 'bakbone'; did you mean 'backbone'?",
        ),
    ],
)
def test_what_a_configuration_cannot_take_is_refused(
    config: Config, key: str, dimension: Any, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        space(RATE | {key: dimension}).check(config)
    assert str(caught.value).startswith(f"s.yaml: {key}: {message}")


def test_apply_changes_only_what_is_named(config: Config) -> None:
    changed = space(RATE).apply(config, {"model.backbone.num_layers": 3, "model.loss": {"name": "softmax"}})
    assert changed.model.backbone.num_layers == 3
    assert changed.model.loss.temperature == 0.2
    assert space(RATE).apply(changed, {"model.backbone.num_layers": 2, "model.loss": "bpr"}) == config


def test_draws_stay_in_their_ranges(config: Config) -> None:
    """And floats have three digits, so that the best configuration can be read."""
    dimensions = RATE | {
        "train.decay": {"uniform": [0.5, 1.0]},
        "model.backbone.num_layers": {"int": [1, 3]},
        "model.loss": {"choice": ["bpr", {"name": "softmax", "temperature": 0.3}]},
    }
    tuned, seen = space(dimensions), []
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(30):
        trial = study.ask()
        drawn = {key: dimension.suggest(trial, key) for key, dimension in tuned.dimensions.items()}
        assert drawn == tuned.settings(trial.params)
        seen.append(tuned.apply(config, drawn))
    rates = [found.train.learning_rate for found in seen]
    assert 1e-4 <= min(rates) < 1e-3 < 1e-2 < max(rates) <= 1e-1
    assert all(rate == float(f"{rate:.3g}") for rate in rates)
    assert all(0.5 <= found.train.decay <= 1 for found in seen)
    assert {found.model.backbone.num_layers for found in seen} == {1, 2, 3}
    assert {found.model.loss.name for found in seen} == {"bpr", "softmax"}


@pytest.mark.parametrize(
    ("key", "dimension", "param"),
    [
        ("train.learning_rate", {"log": [1e-4, 1e-1]}, 0.01),
        ("train.learning_rate", {"log": [1e-4, 1e-3]}, None),
        ("model.backbone.num_layers", {"int": [1, 3]}, 2),
        ("train.decay", {"uniform": [0.9, 1.0]}, 0.96),
        ("model.loss", {"choice": [{"name": "softmax"}, {"name": "bpr"}]}, '{"name": "bpr"}'),
        ("model.loss", {"choice": [{"name": "softmax"}]}, None),
    ],
)
def test_the_parameters_of_the_configuration_itself(
    config: Config, key: str, dimension: Any, param: Any
) -> None:
    params = space({key: dimension}).params(config)
    assert params == ({} if param is None else {key: param})
    assert space({key: dimension}).apply(config, space({key: dimension}).settings(params)) == config
