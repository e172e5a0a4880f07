"""Diagnoses of run folders."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
import torch
from tiny_runs import tiny_config

from anchorrec_graph.config import Config, load_config
from anchorrec_graph.diagnose.diagnosis import Diagnoser
from anchorrec_graph.diagnose.runs import diagnose_run, diagnose_runs, initial_model
from anchorrec_graph.errors import ConfigError, RunError
from anchorrec_graph.train.fit import fit, load_run
from anchorrec_graph.train.run import RunFolder

ANCHORREC = "model={name: anchorrec, embedding_dim: 8}"
RELEASED = Path(__file__).parents[2] / "configs/anchorrec/planted-released.yaml"
K = 5


def trained(config: Config, folder: Path) -> Path:
    return fit(config, config.dataset.load(), folder).folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    settings = [ANCHORREC, "train.epochs=4", "train.seeds=[3, 1]", "train.snapshot_every=2"]
    return trained(tiny_config(folder, *settings), folder / "run")


def at(table: pl.DataFrame, stage: str, seed: int) -> pl.DataFrame:
    return table.filter(stage=stage, seed=seed).drop("stage", "seed")


def test_stages_and_seeds(run: Path) -> None:
    found = diagnose_run(run, epochs=True, k=K)
    assert found.table.columns == ["stage", "seed", "measure", "space", "against", "group", "value"]
    assert found.table["stage"].unique(maintain_order=True).to_list() == [
        "before", "after", "epoch 2", "epoch 4"
    ]  # fmt: skip
    assert found.table["seed"].unique(maintain_order=True).to_list() == found.seeds == [3, 1]
    assert (found.label, found.folder) == ("anchorrec", run)
    states = [at(found.table, stage, seed) for stage in ("before", "after") for seed in (3, 1)]
    assert not any(a.equals(b) for a in states for b in states if a is not b)


def test_after_is_the_loaded_run_and_an_epoch_its_snapshot(run: Path) -> None:
    found = diagnose_run(run, stage="after", epochs=True, seed=1, k=K)
    loaded = load_run(run, 1)
    diagnoser = Diagnoser(loaded.data, k=K, evaluate=loaded.config.evaluate)
    assert at(found.table, "after", 1).equals(diagnoser.diagnose(loaded.model, 1))
    loaded.model.load_state_dict(RunFolder.open(run).seed(1).load_epoch(2))
    assert at(found.table, "epoch 2", 1).equals(diagnoser.diagnose(loaded.model, 1))
    assert "before" not in found.table["stage"].to_list()


def test_before_is_what_training_began_with(tmp_path: Path) -> None:
    """A training whose steps are too small for float32 changes nothing."""
    still = tiny_config(tmp_path, "train.learning_rate=1e-30", "train.epochs=1", "train.seeds=[7]")
    run = trained(still, tmp_path / "run")
    state = torch.random.get_rng_state()
    found = diagnose_run(run, k=K).table
    assert torch.equal(torch.random.get_rng_state(), state)
    assert at(found, "before", 7).equals(at(found, "after", 7))
    initial = initial_model(RunFolder.open(run), still.dataset.load(), 7).state_dict()
    weights = load_run(run).model.state_dict()
    assert all(torch.equal(initial[name], weights[name]) for name in weights)


def released(second_weight: float, first_weight: float = 1.0) -> Config:
    terms = [
        {"targets": {"id": 1.0}, "weight": first_weight},
        {"targets": {"image": 0.25, "text": 0.75}, "weight": second_weight, "detach_anchor": True},
    ]
    shop = "{name: planted, num_users: 60, num_items: 40, interactions_per_user: 8, num_clusters: 4}"
    overrides = [
        f"dataset={shop}", f"model.align.terms={json.dumps(terms)}", "model.align.weight=1",
        "model.embedding_dim=8", "train.epochs=3", "train.learning_rate=0.01",
    ]  # fmt: skip
    return load_config(RELEASED, overrides)


def test_the_inert_term_of_the_release_changes_no_number(tmp_path: Path) -> None:
    with_term, without, other = (
        diagnose_run(trained(config, tmp_path / str(place)), stage="after", k=K).table
        for place, config in enumerate((released(1.0), released(0.0), released(1.0, first_weight=0.0)))
    )
    assert with_term.equals(without)
    assert len(with_term) > 300
    assert not with_term.equals(other)  # the first term is not inert


def test_several_runs(run: Path, tmp_path: Path) -> None:
    others = [
        trained(tiny_config(tmp_path, *settings, "train.epochs=1"), tmp_path / name)
        for name, settings in (("p", ["model=popularity"]), ("l", []), ("other", ["dataset.seed=1"]))
    ]
    found = diagnose_runs([run, *others], stage="both", k=K)
    assert [one.label for one in found] == ["anchorrec", "popularity", "lightgcn 1", "lightgcn 2"]
    for one in found:  # the same as alone, although they share what is computed from the data
        assert one.table.equals(diagnose_run(one.folder, k=K).table)
    popularity = found[1].table
    assert at(popularity, "before", 0).equals(at(popularity, "after", 0))


def test_errors(run: Path, tmp_path: Path) -> None:
    plain = trained(tiny_config(tmp_path, "train.epochs=1"), tmp_path / "plain")
    with pytest.raises(RunError, match=r"no weights of single epochs; train with -o train\.snapshot_every=5"):
        diagnose_run(plain, epochs=True, k=K)
    with pytest.raises(RunError, match="has no seed 5; it has 3, 1"):
        diagnose_run(run, seed=5)
    with pytest.raises(ConfigError, match="is named 2 times"):
        diagnose_runs([run, run.parent / "." / run.name])
    with pytest.raises(RunError, match="no run here"):
        diagnose_run(tmp_path / "nothing")
    for path in plain.rglob("best.safetensors"):
        path.unlink()
    with pytest.raises(RunError, match="not trained yet"):
        diagnose_run(plain, stage="before", k=K)
