"""Run folders: what is in them, what they refuse, and what is read back."""

from __future__ import annotations

import json
import os
import statistics
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from tiny_runs import outcome, tiny_config

from anchorrec_graph.config import Config, load_config
from anchorrec_graph.data.planted import PlantedConfig
from anchorrec_graph.errors import RunError
from anchorrec_graph.evaluate.evaluator import Evaluator
from anchorrec_graph.train.fit import FitResult, fit, load_run
from anchorrec_graph.train.run import RunFolder


class Trained:
    """One run of two seeds. Tests that change it work on a copy."""

    def __init__(self, folder: Path) -> None:
        self.config = tiny_config(folder, "train.seeds=[0, 4]")
        self.data = self.config.dataset.load()
        self.result: FitResult = fit(self.config, self.data, folder / "run")
        self.run = self.result.folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(tmp_path_factory.mktemp("trained"))


@pytest.fixture
def copied(trained: Trained, tmp_path: Path) -> Path:
    """The run, to be damaged."""
    for path in trained.run.rglob("*"):
        if path.is_file():
            target = tmp_path / "copy" / path.relative_to(trained.run)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return tmp_path / "copy"


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_contents(trained: Trained) -> None:
    names = {str(path.relative_to(trained.run)) for path in trained.run.rglob("*") if path.is_file()}
    seed = {"history.jsonl", "checkpoint.safetensors", "best.safetensors", "metrics.json", "per_user.parquet"}
    top = {"config.yaml", "environment.json", "manifest.json", "summary.json", ".lock"}
    assert names == top | {f"seed-{s}/{name}" for s in (0, 4) for name in seed}
    assert load_config(trained.run / "config.yaml") == trained.config
    assert read(trained.run / "manifest.json") == trained.data.manifest
    environment = read(trained.run / "environment.json")
    assert environment["packages"]["torch"] == torch.__version__
    assert environment["machine"]["cores"] == os.cpu_count()
    assert environment["command"]


def test_metrics_are_means_over_users(trained: Trained) -> None:
    for seed in (0, 4):
        per_user = pl.read_parquet(trained.run / f"seed-{seed}/per_user.parquet")
        test = read(trained.run / f"seed-{seed}/metrics.json")["test"]
        assert per_user.columns == ["user", "user_id", "Recall@5", "NDCG@5"]
        for name in ("Recall@5", "NDCG@5"):
            assert per_user[name].mean() == pytest.approx(test[name], abs=1e-12)
        assert set(test) == {"Recall@5", "NDCG@5", "Coverage@5"}


def test_summary_is_mean_and_standard_deviation_over_seeds(trained: Trained) -> None:
    seeds = [read(trained.run / f"seed-{seed}/metrics.json") for seed in (0, 4)]
    summary = read(trained.run / "summary.json")
    for split in ("validation", "test"):
        for name in ("Recall@5", "NDCG@5", "Coverage@5"):
            assert summary[split][name] == pytest.approx(statistics.fmean(s[split][name] for s in seeds))
    for name in ("Recall@5", "NDCG@5", "Coverage@5"):
        assert summary["test_sd"][name] == pytest.approx(statistics.stdev(s["test"][name] for s in seeds))
    assert summary["seeds"] == [0, 4]
    assert summary["test"] == trained.result.test
    assert summary["test_sd"] == trained.result.spread


def test_one_seed_has_no_standard_deviation(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    result = fit(config, config.dataset.load(), tmp_path / "run")
    assert result.spread == {}
    assert read(tmp_path / "run/summary.json")["test_sd"] == {}


@pytest.mark.parametrize("seed", [0, 4])
def test_a_loaded_run_has_the_metrics_of_the_training(trained: Trained, seed: int) -> None:
    run = load_run(trained.run, seed)
    assert not run.model.training
    with torch.no_grad():
        embeddings = run.model.encode()
    for split in ("validation", "test"):
        metrics = Evaluator(run.config.evaluate, run.data).evaluate(embeddings, split).metrics
        assert metrics == trained.result.seeds[seed][split]


def test_the_first_seed_is_the_default(trained: Trained) -> None:
    assert load_run(trained.run).seed == 0


def test_a_model_without_parameters(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, "model=popularity")
    result = fit(config, config.dataset.load(), tmp_path / "run")
    assert result.seeds[0]["parameters"] == 0
    assert not (tmp_path / "run/seed-0/best.safetensors").exists()
    assert load_run(tmp_path / "run").model.encode().item.sum() > 0
    assert outcome(tmp_path / "run") == outcome(
        fit(config, config.dataset.load(), tmp_path / "run", resume=True).folder
    )


def test_an_existing_run_is_not_overwritten(trained: Trained) -> None:
    before = outcome(trained.run)
    with pytest.raises(
        RunError, match="already holds a run; continue it with --resume, or name another folder"
    ):
        fit(trained.config, trained.data, trained.run)
    assert outcome(trained.run) == before


def test_a_folder_with_other_files_is_refused(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match=r"already holds other files \(notes\.txt\); name a new folder"):
        fit(trained.config, trained.data, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_configuration_of_the_user_is_not_overwritten(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("# mine")
    with pytest.raises(RunError, match=r"already holds other files \(config\.yaml\)"):
        fit(trained.config, trained.data, tmp_path)
    assert (tmp_path / "config.yaml").read_text() == "# mine"


def test_a_run_that_came_to_nothing_is_replaced(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the same command works again once the fault is repaired."""
    with monkeypatch.context() as patch:
        patch.setattr("anchorrec_graph.train.trainer.Trainer.step", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            fit(tiny_config(tmp_path, "train.seeds=[7]"), trained.data, tmp_path / "run")
    fit(trained.config, trained.data, tmp_path / "run")
    (tmp_path / "run/seed-7/history.jsonl").unlink()
    (tmp_path / "run/seed-7").rmdir()
    assert outcome(tmp_path / "run") == outcome(trained.run)


def test_default_folders_never_meet(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.strftime", lambda _: "20260101-120000")
    made = [RunFolder.create(None, trained.config, trained.data.manifest).path for _ in range(3)]
    base = "runs/lightgcn-planted-20260101-120000"
    assert [str(path) for path in made] == [base, f"{base}-2", f"{base}-3"]


def test_a_finished_seed_is_not_trained_again(
    trained: Trained, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anchorrec_graph.train.trainer.Trainer.run", None)
    result = fit(trained.config, trained.data, copied, resume=True)
    assert result._replace(folder=trained.run) == trained.result


def test_resume_needs_a_folder_with_a_run(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="to resume, name the run folder"):
        fit(trained.config, trained.data, resume=True)
    with pytest.raises(RunError, match=r"no run here \(config\.yaml is missing\)"):
        fit(trained.config, trained.data, tmp_path / "none", resume=True)
    assert not (tmp_path / "none").exists()


def test_other_settings_are_refused(trained: Trained, tmp_path: Path) -> None:
    other = tiny_config(tmp_path, "train.seeds=[0, 4]", "train.epochs=7")
    with pytest.raises(RunError, match=r"holds a run of other settings \(see its config\.yaml\)"):
        fit(other, trained.data, trained.run, resume=True)


def edit(run: Path, *overrides: str) -> Config:
    config = load_config(run / "config.yaml", overrides)
    (run / "config.yaml").write_text(config.to_yaml())
    return config


def test_settings_edited_in_the_folder_are_refused(trained: Trained, copied: Path) -> None:
    """Finished metrics, weights and checkpoints all say what they belong to."""
    config = edit(copied, "train.learning_rate=0.5")
    with pytest.raises(RunError, match=r"metrics\.json: belongs to other settings, data or seed"):
        fit(config, trained.data, copied, resume=True)
    with pytest.raises(RunError, match=r"best\.safetensors: belongs to other settings, data or seed"):
        load_run(copied)
    for seed in (0, 4):
        (copied / f"seed-{seed}/metrics.json").unlink()
    with pytest.raises(RunError, match=r"checkpoint\.safetensors: belongs to other settings, data or seed"):
        fit(config, trained.data, copied, resume=True)


def test_files_of_another_seed_are_refused(trained: Trained, copied: Path) -> None:
    for name in ("metrics.json", "best.safetensors"):
        (copied / "seed-0" / name).write_bytes((copied / "seed-4" / name).read_bytes())
    with pytest.raises(RunError, match="belongs to other settings, data or seed"):
        fit(trained.config, trained.data, copied, resume=True)
    with pytest.raises(RunError, match="belongs to other settings, data or seed"):
        load_run(copied, 0)


def test_changed_data_are_refused(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    real = PlantedConfig.read

    def changed(config: PlantedConfig) -> Any:
        raw = real(config)
        return raw._replace(items=raw.items.with_columns(title=pl.lit("renamed")))

    monkeypatch.setattr(PlantedConfig, "read", changed)
    with pytest.raises(RunError, match=r"made from data \w{12}, but the data set is now \w{12}; restore"):
        load_run(trained.run)
    with pytest.raises(RunError, match="made from data"):
        fit(trained.config, trained.config.dataset.load(), trained.run, resume=True)


def test_an_unknown_seed(trained: Trained) -> None:
    with pytest.raises(RunError, match=r"has no seed 1; it has 0, 4"):
        load_run(trained.run, 1)


def test_a_seed_that_is_not_trained_yet(copied: Path) -> None:
    (copied / "seed-4/best.safetensors").unlink()
    with pytest.raises(RunError, match="seed-4: not trained yet; continue with anchorrec train --resume"):
        load_run(copied, 4)


def test_lost_weights_are_noticed_before_training_goes_on(
    trained: Trained, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anchorrec_graph.train.trainer.Trainer._train", lambda *_: pytest.fail("it trains"))
    (copied / "seed-0/metrics.json").unlink()
    (copied / "seed-0/best.safetensors").unlink()
    with pytest.raises(RunError, match=r"the best weights so far are lost; delete .*seed-0, and this seed"):
        fit(trained.config, trained.data, copied, resume=True)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"{}"])
@pytest.mark.parametrize("name", ["manifest.json", "seed-0/metrics.json"])
def test_damaged_json(trained: Trained, copied: Path, name: str, content: bytes) -> None:
    (copied / name).write_bytes(content)
    with pytest.raises(RunError, match=name.rpartition("/")[2]):
        fit(trained.config, trained.data, copied, resume=True)


@pytest.mark.parametrize("text", ["", "a: [", "model: lightgcn", "tain: {}"])
def test_damaged_settings(copied: Path, text: str) -> None:
    (copied / "config.yaml").write_text(text)
    with pytest.raises(RunError, match=r"config\.yaml: .*, else the run is damaged or of another version"):
        load_run(copied)


def test_weights_that_do_not_fit_the_model(
    trained: Trained, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example after an update that renamed a layer."""
    monkeypatch.setattr("anchorrec_graph.train.seed.SeedFolder.load_best", lambda _: {"old": torch.zeros(1)})
    with pytest.raises(RunError, match=r"best\.safetensors: does not fit the model"):
        load_run(copied)


def test_two_processes_cannot_train_in_one_folder(trained: Trained, copied: Path) -> None:
    run = RunFolder.open(copied)
    with run.locked(), pytest.raises(RunError, match="another process is training in this folder"):
        fit(trained.config, trained.data, copied, resume=True)
    fit(trained.config, trained.data, copied, resume=True)


@pytest.mark.parametrize("name", [".checkpoint.safetensors.12345.tmp", ".tmpJZt2am"])
def test_leftovers_of_a_killed_writer_are_removed(trained: Trained, copied: Path, name: str) -> None:
    leftover = copied / "seed-0" / name
    leftover.write_bytes(b"half")
    fit(trained.config, trained.data, copied, resume=True)
    assert not leftover.exists()
