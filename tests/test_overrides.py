"""Overrides: `-o train.epochs=50`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from short_config import SHORT, load, refusal


@pytest.mark.parametrize(
    ("override", "path", "expected"),
    [
        ("train.epochs=7", "train.epochs", 7),
        (" train.epochs = 7 ", "train.epochs", 7),
        ("train.learning_rate=1e-2", "train.learning_rate", 0.01),
        ("train.seeds=[3, 4]", "train.seeds", (3, 4)),
        ("model=lightgcn", "model.name", "lightgcn"),
        ("model.name=lightgcn", "model.name", "lightgcn"),
        ("model.loss=bpr", "model.loss.name", "bpr"),
        ("model.loss={name: softmax, temperature: 1}", "model.loss.temperature", 1.0),
        ("model.feature_dim=null", "model.feature_dim", None),
        ("model.align.weight=0", "model.align.weight", 0.0),
        ("model.align.terms=[{targets: {id: 1}}]", "model.align.terms.0.targets", {"id": 1.0}),
        ("dataset.split=leave_last", "dataset.split.name", "leave_last"),
        ("dataset.split.name=leave_last", "dataset.split.name", "leave_last"),
        ("dataset=movielens", "dataset.name", "movielens"),
        ("evaluate.mask=[train]", "evaluate.mask", ("train",)),
    ],
)
def test_overrides(tmp_path: Path, override: str, path: str, expected: Any) -> None:
    value: Any = load(tmp_path, SHORT, override)
    for part in path.split("."):
        value = value[int(part)] if part.isdigit() else getattr(value, part)
    assert value == expected


def test_a_bare_name_takes_overrides_below_it(tmp_path: Path) -> None:
    config = load(tmp_path, "dataset: planted\nmodel: lightgcn\n", "model.embedding_dim=8", "train.epochs=2")
    assert (config.model.name, config.model.embedding_dim, config.train.epochs) == ("lightgcn", 8, 2)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.epochs", "override 'train.epochs': expected key=value, for example train.epochs=50"),
        ("=3", "override '=3': expected key=value, for example train.epochs=50"),
        ("train.epochs=[", "override 'train.epochs=[': not valid YAML in line 1"),
        ("train.epoch=3", " -o train.epoch=3: train: unknown key 'epoch'; did you mean 'epochs'?"),
        ("train=", " -o train=: train: must be a section of keys, got null"),
        (
            "model.align.terms.0.weight=2",
            " -o model.align.terms.0.weight=2: model.align.terms: must be a list",
        ),
    ],
)
def test_wrong_overrides(tmp_path: Path, override: str, expected: str) -> None:
    assert refusal(tmp_path, SHORT, override).startswith(expected)


def test_an_override_below_a_value_is_refused(tmp_path: Path) -> None:
    expected = "override 'train.epochs.x=1': 'epochs' holds a value, not a section"
    assert refusal(tmp_path, SHORT + "train: {epochs: 3}", "train.epochs.x=1") == expected


def test_another_name_for_a_complete_section_says_how_to_replace_it(tmp_path: Path) -> None:
    complete = load(tmp_path, SHORT).to_yaml()
    message = refusal(tmp_path, complete, "model.loss.name=bpr")
    assert "model.loss: unknown key" in message
    assert message.endswith("; to replace a whole section write -o model.loss=bpr")
    assert load(tmp_path, complete, "model.loss=bpr").model.loss.name == "bpr"
