"""Weights of single epochs: which are kept, that resuming changes none, and that old runs stay loadable."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from tiny_runs import InterruptAfter, differences, outcome, tiny_config

from anchorrec_graph.config import load_config
from anchorrec_graph.errors import RunError
from anchorrec_graph.train.checkpoint import read_tensors
from anchorrec_graph.train.fit import fit, load_run
from anchorrec_graph.train.run import RunFolder
from anchorrec_graph.train.seed import SeedFolder

EVERY = "train.snapshot_every=2"
LATER = ["snapshot_every", "batches_per_step", "mode", "num_neighbors", "shard_tables", "checkpoint_steps"]


def seed_folder(run: Path) -> SeedFolder:
    return RunFolder.open(run).seed(0)


def test_none_unless_asked_for(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    run = fit(config, config.dataset.load(), tmp_path / "run").folder
    assert seed_folder(run).saved_epochs() == []
    assert not seed_folder(run).epochs.exists()


def test_every_nth_epoch_is_kept_as_it_was(tmp_path: Path) -> None:
    """The weights after epoch 4 are those that a run of 4 epochs ends with."""
    config = tiny_config(tmp_path, EVERY, "train.epochs=11", "train.patience=50")
    data = config.dataset.load()
    folder = seed_folder(fit(config, data, tmp_path / "run").folder)
    assert folder.saved_epochs() == [2, 4, 6, 8, 10]  # in the order of numbers
    shorter = fit(tiny_config(tmp_path, "train.epochs=4"), data, tmp_path / "four").folder
    last, _ = read_tensors(shorter / "seed-0/checkpoint.safetensors")
    weights = folder.load_epoch(4)
    assert weights
    assert all(torch.equal(weights[name], last[f"model/{name}"]) for name in weights)


def test_a_resumed_run_ends_with_the_same_files(tmp_path: Path) -> None:
    """Checkpoints are rarer than snapshots here, so that epochs with a snapshot are trained again."""
    config = tiny_config(tmp_path, EVERY, "train.checkpoint_every=5", "train.epochs=8")
    data = config.dataset.load()
    expected = outcome(fit(config, data, tmp_path / "whole").folder)
    assert sum("epochs/" in name for name in expected) == 4
    for last in range(1, 9):
        run = tmp_path / f"run-{last}"
        with pytest.raises(KeyboardInterrupt):
            fit(config, data, run, display=InterruptAfter(last))
        fit(config, data, run, resume=True)
        assert differences(outcome(run), expected) == [], last


def test_epochs_of_a_run_that_was_replaced_are_gone(tmp_path: Path) -> None:
    """It never came as far as a checkpoint, and the new one keeps other epochs."""
    config = tiny_config(tmp_path, "train.snapshot_every=1", "train.checkpoint_every=6")
    data = config.dataset.load()
    with pytest.raises(KeyboardInterrupt):
        fit(config, data, tmp_path / "run", display=InterruptAfter(4))
    assert seed_folder(tmp_path / "run").saved_epochs() == [1, 2, 3]
    fit(tiny_config(tmp_path, EVERY), data, tmp_path / "run")
    assert seed_folder(tmp_path / "run").saved_epochs() == [2, 4, 6]


def test_weights_of_another_run_are_refused(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, EVERY)
    data = config.dataset.load()
    first = seed_folder(fit(config, data, tmp_path / "a").folder)
    second = seed_folder(
        fit(tiny_config(tmp_path, EVERY, "train.learning_rate=0.02"), data, tmp_path / "b").folder
    )
    first.epoch_path(2).write_bytes(second.epoch_path(2).read_bytes())
    with pytest.raises(RunError, match=r"2\.safetensors: belongs to other settings, data or seed"):
        first.load_epoch(2)
    with pytest.raises(RunError, match=r"3\.safetensors: cannot be read"):
        first.load_epoch(3)


def test_run_folders_from_before_the_setting_keep_their_hash(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    run = fit(config, config.dataset.load(), tmp_path / "run").folder
    settings = run / "config.yaml"
    text = settings.read_text()
    assert "  snapshot_every: 0\n" in text
    settings.write_text(text.replace("  snapshot_every: 0\n", ""))
    assert load_run(run).config == config
    hashes = {
        load_config(settings, overrides).hash for overrides in ([], [EVERY], ["train.snapshot_every=3"])
    }
    assert len(hashes) == 3
    assert config.hash in hashes


def test_the_hash_that_version_0_1_gave() -> None:
    """Of configs/anchorrec/planted.yaml, before these settings existed."""
    path = Path(__file__).parents[2] / "configs/anchorrec/planted.yaml"
    old = load_config(path).model_dump(mode="json")
    for name in LATER:
        del old["train"][name]
    del old["model"]["knn"]["approximate"], old["model"]["features_on_disk"], old["evaluate"]["max_users"]
    content = json.dumps(old, sort_keys=True).encode()
    assert load_config(path).hash == hashlib.sha256(content).hexdigest()[:12]
