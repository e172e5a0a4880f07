"""Settings that are refused, and in which words."""

from __future__ import annotations

from pathlib import Path

import pytest
from short_config import SHORT, load, refusal

from anchorrec_graph.config import load_config
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.models import MODELS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("trian: {}", "unknown key 'trian'; did you mean 'train'?"),
        ("zzz: 1", "unknown key 'zzz'; known: dataset, evaluate, model, train"),
        ("1: 2", "unknown key '1'; known: dataset, evaluate, model, train"),
        ("<<: {a: 1}", "unknown key '<<'; known: dataset, evaluate, model, train"),
        ("train: {epoch: 3}", "train: unknown key 'epoch'; did you mean 'epochs'?"),
        ("evaluate: {metric: []}", "evaluate: unknown key 'metric'; did you mean 'metrics'?"),
    ],
)
def test_unknown_keys_name_the_nearest(tmp_path: Path, text: str, expected: str) -> None:
    assert refusal(tmp_path, SHORT + text) == expected


@pytest.mark.parametrize(
    ("dataset", "model", "expected"),
    [
        ("{name: plantet}", "lightgcn", "dataset: unknown dataset 'plantet'; did you mean 'planted'?"),
        (
            "{name: planted, num_user: 9}",
            "lightgcn",
            "dataset: unknown key 'num_user'; did you mean 'num_users'?",
        ),
        ("planted", "{name: lightgnc}", "model: unknown model 'lightgnc'; did you mean 'lightgcn'?"),
        ("planted", "{name: 3}", f"model: unknown model '3'; known: {', '.join(sorted(MODELS))}"),
        ("planted", "{name: anchorrec, los: x}", "model: unknown key 'los'; did you mean 'loss'?"),
        (
            "{name: planted, split: {name: randm}}",
            "lightgcn",
            "dataset.split: unknown split 'randm'; did you mean 'random'?",
        ),
        (
            "{name: planted, split: {name: random, sed: 1}}",
            "lightgcn",
            "dataset.split: unknown key 'sed'; did you mean 'seed'?",
        ),
        (
            "planted",
            "{name: anchorrec, backbone: {name: lightgcn, num_layer: 1}}",
            "model.backbone: unknown key 'num_layer'; did you mean 'num_layers'?",
        ),
        (
            "planted",
            "{name: anchorrec, loss: {name: softmax, temprature: 1}}",
            "model.loss: unknown key 'temprature'; did you mean 'temperature'?",
        ),
        (
            "planted",
            "{name: anchorrec, align: {terms: [{targets: {id: 1}, wight: 2}]}}",
            "model.align.terms.0: unknown key 'wight'; did you mean 'weight'?",
        ),
        (
            "{split: random}",
            "lightgcn",
            "dataset: missing key 'name': the dataset; known: mmrec, movielens, planted, prepared",
        ),
    ],
)
def test_unknown_names_and_keys_in_sections_of_many_kinds(
    tmp_path: Path, dataset: str, model: str, expected: str
) -> None:
    assert refusal(tmp_path, f"dataset: {dataset}\nmodel: {model}\n") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train: {epochs: 0}", "train.epochs: must be greater than 0, got 0"),
        ("train: {epochs: 1.5}", "train.epochs: must be a valid integer, got 1.5"),
        ("train: {epochs: null}", "train.epochs: must be a valid integer, got null"),
        ("train: {epochs: many}", 'train.epochs: must be a valid integer, got "many"'),
        ("train: {learning_rate: on}", 'train.learning_rate: must be a valid number, got "on"'),
        ("train: {learning_rate: 1e999}", "train.learning_rate: must be a finite number, got Infinity"),
        ("train: {learning_rate: nan}", 'train.learning_rate: must be a finite number, got "nan"'),
        ("train: {decay: 1.5}", "train.decay: must be less than or equal to 1, got 1.5"),
        ("train: {seeds: 3}", "train.seeds: must be a list, got 3"),
        ("train: {seeds: []}", "train.seeds: must have at least 1 entry"),
        ("train: {seeds: [-1]}", "train.seeds.0: must be greater than or equal to 0, got -1"),
        (f"train: {{seeds: [{2**32}]}}", f"train.seeds.0: must be less than {2**32}, got {2**32}"),
        ("train: {seeds: [1, 1]}", "train.seeds: a seed occurs twice; it would train the same model again"),
        ("train: 5", "train: must be a section of keys, got 5"),
        ("train: null", "train: must be a section of keys, got null"),
        ("evaluate: {metrics: []}", "evaluate.metrics: must have at least 1 entry"),
        (
            "evaluate: {metrics: [Recall20]}",
            "evaluate.metrics.0: metric 'Recall20' must be a metric and a cutoff, such as 'Recall@20'",
        ),
        ("train: {metric: Recal@20}", "train.metric: unknown metric 'Recal'; did you mean 'Recall'?"),
        ("train: {metric: Recall@7}", "train.metric 'Recall@7' is not in evaluate.metrics; add it there"),
        (
            "train: {epochs: 0, patience: x}",
            'train.epochs: must be greater than 0, got 0; train.patience: must be a valid integer, got "x"',
        ),
    ],
)
def test_wrong_types_and_ranges(tmp_path: Path, text: str, expected: str) -> None:
    assert refusal(tmp_path, SHORT + text) == expected


@pytest.mark.parametrize("metric", ["Gini@20", "Coverage@20", "Novelty@20"])
def test_a_metric_without_accuracy_cannot_choose_the_epoch(tmp_path: Path, metric: str) -> None:
    assert "does not measure accuracy" in refusal(tmp_path, SHORT, f"train.metric={metric}")


def test_a_section_may_be_missing_only_if_it_has_defaults(tmp_path: Path) -> None:
    assert refusal(tmp_path, "model: lightgcn") == "dataset: is missing"
    assert load(tmp_path, SHORT).train.epochs > 0


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: no such file; examples are in configs/"):
        load_config(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("a: é".encode("latin-1"))
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "latin.yaml")


def test_settings_are_frozen(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(tmp_path, SHORT).train.epochs = 3
