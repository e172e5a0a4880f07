"""Audits of run folders."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_runs import tiny_config

from anchorrec_graph.audit import Audit, audit
from anchorrec_graph.errors import ConfigError, DataError, RunError
from anchorrec_graph.evaluate import Evaluator
from anchorrec_graph.train.fit import fit, load_run


def train(folder: Path, *overrides: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    config = tiny_config(folder, "train.epochs=2", *overrides)
    return fit(config, config.dataset.load(), folder / "run").folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """LightGCN with two seeds and a prior, and popularity."""
    folder = tmp_path_factory.mktemp("runs")
    lightgcn = train(folder / "a", "train.seeds=[3, 5]", "model.popularity_weight=0.5")
    return lightgcn, train(folder / "b", "model=popularity")


@pytest.fixture(scope="module")
def found(runs: tuple[Path, Path]) -> Audit:
    return audit(runs, ["popularity", "activity"], k=5, without="each", least=5)


def test_runs_are_labelled_and_have_all_their_seeds(found: Audit) -> None:
    about = found.about
    assert about.seeds == {"lightgcn": [3, 5], "popularity": [0]}
    assert (about.dataset, about.split, about.k, about.users, about.items) == ("planted", "test", 5, 60, 40)
    assert about.mask == ["train", "validation"]
    removed = found.groups.select("model", "without").unique(maintain_order=True).rows()
    assert removed == [("lightgcn", ""), ("lightgcn", "id"), ("lightgcn", "popularity"), ("popularity", "")]


def test_accuracy_is_that_of_the_training(found: Audit, runs: tuple[Path, Path]) -> None:
    each = []
    for seed in (3, 5):
        run = load_run(runs[0], seed)
        with torch.no_grad():
            result = Evaluator(run.config.evaluate, run.data).evaluate(run.model.encode(), "test")
        each.append(result.metrics)
    values = dict(
        found.groups.filter(of="lists", model="lightgcn", without="").select("measure", "value").rows()
    )
    assert values["recall"] == pytest.approx(sum(m["Recall@5"] for m in each) / 2)
    assert values["ndcg"] == pytest.approx(sum(m["NDCG@5"] for m in each) / 2)
    assert values["coverage"] == pytest.approx(sum(m["Coverage@5"] for m in each) / 2)


def test_without_its_learned_view_lightgcn_is_the_popularity_model(found: Audit) -> None:
    columns = ["of", "by", "measure", "group", "value"]
    prior = found.groups.filter(model="lightgcn", without="id").select(columns)
    popular = found.groups.filter(model="popularity", without="").select(columns)
    assert prior.drop("value").equals(popular.drop("value"))
    assert prior["value"].to_list() == pytest.approx(popular["value"].to_list())


def test_one_seed_other_labels_and_validation(runs: tuple[Path, Path]) -> None:
    one = audit([f"ours={runs[0]}"], ["popularity"], k=5, seed=5, split="validation", least=5)
    assert one.about.seeds == {"ours": [5]}
    assert one.about.mask == ["train"]
    assert one.groups["sd"].is_null().all()
    assert list(audit([runs[0], f"x={runs[1]}"], ["cold"], least=5).about.seeds) == ["lightgcn", "x"]


def test_runs_of_one_model_are_told_apart_by_their_folders(runs: tuple[Path, Path], tmp_path: Path) -> None:
    other = train(tmp_path).rename(tmp_path / "other")
    assert list(audit([runs[0], other], ["cold"], least=5).about.seeds) == ["lightgcn/run", "lightgcn/other"]


def test_runs_that_do_not_fit_are_refused(runs: tuple[Path, Path], tmp_path: Path) -> None:
    other = train(tmp_path / "split", "model=popularity", "dataset.split={name: random, seed: 1}")
    with pytest.raises(DataError, match=f"{runs[0]} and {other} have different train, validation, test"):
        audit([runs[0], other])
    masked = train(tmp_path / "mask", "model=popularity", "evaluate.mask=[train]")
    with pytest.raises(ConfigError, match=r"differ in evaluate.mask"):
        audit([runs[0], masked])
    with pytest.raises(ConfigError, match="2 rows have the label 'lightgcn/run'"):
        audit([runs[0], runs[0]])


def test_wrong_arguments_are_refused(runs: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="name at least one run folder"):
        audit([])
    with pytest.raises(ConfigError, match="k is 0"):
        audit(runs, k=0)
    with pytest.raises(RunError, match="no run here"):
        audit([tmp_path])
    with pytest.raises(RunError, match="has no seed 9; it has 3, 5"):
        audit(runs, seed=9)
