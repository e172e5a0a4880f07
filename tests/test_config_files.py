"""Settings as files: written and read back, their hash, and the files under configs/."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from short_config import SHORT, load

from anchorrec_graph.config import Config, load_config
from anchorrec_graph.strict_yaml import dump_yaml, parse_yaml
from anchorrec_graph.tune.space import Space

CONFIGS = Path(__file__).parents[1] / "configs"
SPACES = sorted(CONFIGS.rglob("search.yaml"))
FILES = sorted(set(CONFIGS.glob("*/*.yaml")) - set(SPACES))


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["model=lightgcn"],
        ["model=popularity"],
        ["train.learning_rate=1e-5", "train.seeds=[5, 1]", "dataset.split=leave_last"],
        ["model.align.terms=[{targets: {id: 1, image: .25}, detach_anchor: true}]", "model.loss=bpr"],
        ["dataset={name: mmrec, folder: /a b/é, features: {'1e-3': x.npy, 'no': 010.npy}}", "model.loss=bpr"],
    ],
)
def test_to_yaml_reads_back_equal(tmp_path: Path, overrides: list[str]) -> None:
    config = load(tmp_path, SHORT, *overrides)
    again = load(tmp_path, config.to_yaml())
    assert again == config
    assert again.hash == config.hash
    assert again.to_yaml() == config.to_yaml()


def test_hash_tells_settings_apart(tmp_path: Path) -> None:
    changes = [[], ["train.epochs=7"], ["model.loss=bpr"], ["dataset.seed=1"], ["train.seeds=[1]"]]
    hashes = [load(tmp_path, SHORT, *change).hash for change in changes]
    assert len(set(hashes)) == len(changes)
    assert all(len(value) == 12 and int(value, 16) >= 0 for value in hashes)


def test_hash_does_not_depend_on_the_order_of_keys(tmp_path: Path) -> None:
    text = (
        "dataset: planted\nmodel: {name: anchorrec, align: {terms: [{targets: {image: .25, text: .75}}]}}\n"
    )
    complete = parse_yaml(load(tmp_path, text).to_yaml(), "x")
    shuffled = load(tmp_path, dump_yaml(shuffle(complete, random.Random(0))))
    assert shuffled.to_yaml() != load(tmp_path, text).to_yaml()
    assert shuffled.hash == load(tmp_path, text).hash


def shuffle(value: Any, rng: random.Random) -> Any:
    if isinstance(value, list):
        return [shuffle(entry, rng) for entry in value]
    if isinstance(value, dict):
        keys = rng.sample(sorted(value), len(value))
        return {key: shuffle(value[key], rng) for key in keys}
    return value


def test_there_are_configurations() -> None:
    assert len(FILES) >= 3


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_configurations_load_and_are_complete(path: Path) -> None:
    """Every setting is written out, and the first line says what to expect."""
    config, text = load_config(path), path.read_text(encoding="utf-8")
    assert config.model.name == path.parent.name
    assert text.startswith("# ")
    assert parse_yaml(text, str(path)) == config.model_dump(mode="json")


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.parent.name)
def test_search_spaces_fit_the_model_and_every_configuration_beside_them(path: Path) -> None:
    space = Space.load(path)
    space.check(Config.model_validate({"dataset": "planted", "model": path.parent.name}))
    for file in FILES:
        if file.parent == path.parent:
            space.check(load_config(file))
