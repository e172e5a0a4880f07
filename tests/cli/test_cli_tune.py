"""anchorrec tune."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import Command

from anchorrec_graph.config import load_config
from anchorrec_graph.train.trainer import Trainer


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "space.yaml"
    path.write_text("train.learning_rate: {log: [1e-3, 1e-1]}\nmodel.align.weight: {uniform: [0, 1]}\n")
    return path


def test_help(anchorrec: Command) -> None:
    done = anchorrec("tune", "--help")
    assert (done.code, done.err) == (0, "")
    assert "Usage: anchorrec tune [OPTIONS] {CONFIG}" in done.out
    assert "list[str]" not in done.out
    assert "  tune " in anchorrec("--help").out


def test_tune_prints_a_table_and_the_files(
    anchorrec: Command, config: Path, space: Path, tmp_path: Path
) -> None:
    storage, out = tmp_path / "s.sqlite", tmp_path / "best.yaml"
    arguments = ["tune", config, "--trials", 4, "--space", space, "--storage", storage, "--out", out]
    done = anchorrec(*arguments)
    assert done.code == 0
    title, *_ = done.out.splitlines()
    assert title.startswith("anchorrec-planted-")
    assert "validation Recall@5 0." in title
    assert "before" in title
    assert "│ train.learning_rate │" in done.out
    assert done.out.splitlines()[-3:] == [
        f"written: {out}",
        f"written: {tmp_path / title.split(':')[0]}-trials.csv",
        "no figure of importance: it needs 10 complete trials, and there are 4",
    ]
    assert [line[:29] for line in done.err.splitlines()] == [
        f"anchorrec on planted, {n} of 4:" for n in (1, 2, 3, 4)
    ]
    assert load_config(out).model.name == "anchorrec"
    again = anchorrec(*arguments, "--quiet")
    assert (again.out, again.err) == (done.out, "")


def test_tune_json(anchorrec: Command, config: Path, space: Path, tmp_path: Path) -> None:
    storage = tmp_path / "s.sqlite"
    arguments = ["tune", config, "--space", space, "--storage", storage, "--trials", 2, "--json", "-q"]
    report = anchorrec(*arguments, "-o", "train.epochs=1").json()
    assert report["trials"] == {"complete": 2}
    assert report["value"] >= report["start_value"] > 0
    assert list(report["settings"]) == ["train.learning_rate", "model.align.weight"]
    assert report["importance"] == {}
    best = load_config(report["files"]["best"])
    assert best.train.epochs == 1
    assert best.train.learning_rate == report["settings"]["train.learning_rate"]
    assert report["files"]["importance"] is None
    assert report["no_figure"] == "it needs 10 complete trials, and there are 2"


def test_tune_defaults(
    anchorrec: Command, config: Path, space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The space lies beside the configuration, the storage in runs/tune."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(config.read_text())
    message = "search.yaml: cannot be read; name a search space with --space FILE"
    assert anchorrec("tune", "c.yaml").error(2) == message
    space.rename(tmp_path / "search.yaml")
    report = anchorrec("tune", "c.yaml", "--trials", 1, "--json", "-q").json()
    assert report["files"]["best"] == f"runs/tune/{report['study']}-best.yaml"
    assert (tmp_path / "runs/tune/anchorrec-planted.sqlite").exists()


def test_a_wrong_space_is_refused_before_training(
    anchorrec: Command, config: Path, space: Path, tmp_path: Path
) -> None:
    space.write_text("train.learning_rat: {log: [1e-3, 1e-1]}\n")
    line = anchorrec("tune", config, "--space", space, "--storage", tmp_path / "s.sqlite").error(2)
    wrong = "train: unknown key 'learning_rat'; did you mean 'learning_rate'?"
    assert line == f"{space}: train.learning_rat: {wrong}"
    assert not (tmp_path / "s.sqlite").exists()


def test_a_folder_for_the_best_settings_is_refused_before_training(
    anchorrec: Command, config: Path, space: Path, tmp_path: Path
) -> None:
    done = anchorrec("tune", config, "--space", space, "--storage", tmp_path / "s.sqlite", "--out", tmp_path)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"error: --out {tmp_path}: is a folder; name a file for the best settings\n"
    assert not (tmp_path / "s.sqlite").exists()


def test_tune_interrupted(
    anchorrec: Command, config: Path, space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    arguments = ["tune", "-q", config, "--space", space, "--storage", tmp_path / "s.sqlite", "--trials", 1]
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", interrupt)
        message = "interrupted; the same command goes on with the study"
        assert anchorrec(*arguments) == (130, "", f"{message}\n")
    assert anchorrec(*arguments).code == 0
