from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from anchorrec_graph.config import Config, load_config
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.models.base import build_model
from anchorrec_graph.testing import tiny_data

ROOT = Path(__file__).parents[2]


@pytest.fixture
def ablation(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("ablation")


def test_every_variant_is_a_model_of_its_own(ablation: ModuleType) -> None:
    """All build on two modalities, names and settings are distinct but for the rows that say the default."""
    rows = ablation.variants(("image", "text"))
    configs = [ablation.settings("planted", row, 0, None) for row in rows]
    assert len({row.key for row in rows}) == len(rows)
    assert len({config.hash for config in configs}) >= len(rows) - 2  # one temperature is the default's
    for config in configs:
        build_model(config.model.model_copy(update={"embedding_dim": 4}), tiny_data())


def test_a_variant_differs_from_its_base_in_the_model_alone(ablation: ModuleType) -> None:
    default = ablation.settings("planted", ablation.Variant("", ""), 0, None)
    for row in ablation.variants(("image", "text")):
        config = ablation.settings("planted", row, 0, None)
        assert config.dataset == default.dataset
        if not row.base:
            assert config.train == default.train


def test_measures_validation_without_test_pairs(
    ablation: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    original = ablation.without_test
    monkeypatch.setattr(ablation, "without_test", lambda data: seen.append(original(data)) or seen[-1])
    result = ablation.measure(small(ablation))
    (data,) = seen
    assert "test_edge_label_index" not in data["user", "interacts", "item"]
    assert 0 < result["Recall@20"] <= 1
    assert result["epochs"] == 2
    assert {"overlap image", "overlap text"} <= set(result)


def small(ablation: ModuleType) -> Config:
    config: Config = load_config(
        "configs/anchorrec/planted.yaml",
        ["dataset={name: planted, num_users: 60, num_items: 40}", "train.epochs=2", "train.seeds=[0]"],
    )
    return config


def test_finished_variants_are_read_and_not_trained_again(
    ablation: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ablation, "CACHE", tmp_path)
    monkeypatch.setattr(ablation, "variants", lambda modalities: [ablation.Variant("default", "x")])
    monkeypatch.setattr(ablation, "settings", lambda dataset, variant, seed, data: small(ablation))
    first = ablation.run("planted", [0], 1, None)
    monkeypatch.setattr(ablation, "measure", None)
    assert ablation.run("planted", [0], 1, None) == first
    assert len((tmp_path / "planted.jsonl").read_text().splitlines()) == 1
    assert "| default: x |" in ablation.table(first, [0])


def test_groups_that_no_row_has_are_refused(ablation: ModuleType) -> None:
    with pytest.raises(ConfigError, match=r"--groups: .*'nothing'"):
        ablation.run("planted", [0], 1, None, ["view", "nothing"])
