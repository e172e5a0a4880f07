"""anchorrec train, evaluate and demo."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import Command
from tiny_runs import write_tiny

from anchorrec_graph.cli import demo
from anchorrec_graph.train.trainer import Trainer


def test_train_prints_a_table_and_the_folder(anchorrec: Command, config: Path, tmp_path: Path) -> None:
    done = anchorrec("train", "-c", config, "-o", "train.epochs=1", "--run-dir", tmp_path / "run")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == "anchorrec on planted"
    assert "validation" in lines[2]
    assert lines[-1] == f"run folder: {tmp_path / 'run'}"
    first, *_, last = done.err.splitlines()
    assert first == "anchorrec on planted, seed 0: up to 1 epochs"
    assert last.startswith("anchorrec on planted, seed 0: best validation Recall@5 0.")


def test_train_json(anchorrec: Command, config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = anchorrec("train", "-c", config, "-o", "train.seeds=[0,1]", "--run-dir", run, "--json")
    report = done.json()
    assert report["run"] == str(run)
    assert list(report["per_seed"]) == ["0", "1"]
    summary = json.loads((run / "summary.json").read_text())
    assert {key: report[key] for key in summary} == summary
    assert "best validation" in done.err  # progress is on the other stream
    again = anchorrec("train", "--resume", run, "--json", "--quiet")
    assert again.json() == report
    assert again.err == ""


def test_train_quiet(anchorrec: Command, config: Path, tmp_path: Path) -> None:
    done = anchorrec("train", "-q", "-c", config, "-o", "model=popularity", "--run-dir", tmp_path / "run")
    assert done.err == ""
    assert done.out.endswith(f"run folder: {tmp_path / 'run'}\n")


def test_train_several_seeds_shows_the_spread(anchorrec: Command, config: Path, tmp_path: Path) -> None:
    done = anchorrec("train", "-q", "-c", config, "-o", "train.seeds=[0,1]", "--run-dir", tmp_path / "run")
    assert done.out.startswith("anchorrec on planted, mean over 2 seeds\n")
    assert "test sd" in done.out


def test_train_default_folder(
    anchorrec: Command, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = Path(anchorrec("train", "-c", config, "-o", "model=popularity", "--json").json()["run"])
    assert run.match("runs/popularity-planted-*")
    assert (run / "summary.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name --config FILE to start a run, or --resume RUN to continue one"),
        (
            ["--resume", "r", "-c", "c.yaml"],
            "--resume goes on with the run's own settings; leave out -c, -o and --run-dir",
        ),
        (
            ["--resume", "r", "-o", "a=1"],
            "--resume goes on with the run's own settings; leave out -c, -o and --run-dir",
        ),
        (["--resume", "r", "--run-dir", "x"], "--resume goes on with the run's own settings"),
    ],
)
def test_train_usage(anchorrec: Command, arguments: list[str], message: str) -> None:
    assert anchorrec("train", *arguments).error(2).startswith(message)


def test_train_does_not_overwrite(anchorrec: Command, config: Path, run: Path) -> None:
    line = anchorrec("train", "-c", config, "--run-dir", run).error(4)
    assert line == f"{run} already holds a run; continue it with --resume, or name another folder"


def test_train_interrupted(
    anchorrec: Command, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "step", interrupt)
    done = anchorrec("train", "-q", "-c", config, "--run-dir", tmp_path / "run")
    assert done == (130, "", f"interrupted; continue with: anchorrec train --resume {tmp_path / 'run'}\n")


def test_evaluate_json_equals_the_training(anchorrec: Command, run: Path) -> None:
    trained = json.loads((run / "seed-0/metrics.json").read_text())
    report = anchorrec("evaluate", run, "--json").json()
    assert (report["run"], report["seed"], report["split"]) == (str(run), 0, "test")
    assert report["metrics"] == trained["test"]
    assert report["slices"][0]["slice"] == "all users"
    assert report["slices"][0]["Recall@5"] == trained["test"]["Recall@5"]
    validation = anchorrec("evaluate", run, "--split", "validation", "--no-slices", "--json").json()
    assert validation["metrics"] == trained["validation"]
    assert "slices" not in validation


def test_evaluate_tables(anchorrec: Command, run: Path) -> None:
    done = anchorrec("evaluate", run)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("anchorrec on planted, seed 0\n")
    assert "cold items" in done.out
    assert "slices" not in anchorrec("evaluate", run, "--quiet").out


def test_evaluate_an_unknown_seed(anchorrec: Command, run: Path) -> None:
    assert anchorrec("evaluate", run, "--seed", 3).error(4) == f"{run}: has no seed 3; it has 0"


@pytest.fixture
def configs(tmp_path: Path) -> Path:
    for model in demo.MODELS:
        folder = tmp_path / "configs" / model
        folder.mkdir(parents=True)
        write_tiny(
            folder, f"model={model}", "train.epochs=2", "evaluate.metrics=[Recall@5, Recall@20, Hit@20]"
        )
        (folder / "short.yaml").rename(folder / "movielens.yaml")
    return tmp_path / "configs"


def test_demo_compares_and_recommends(anchorrec: Command, configs: Path, tmp_path: Path) -> None:
    arguments = ["demo", "--configs", configs, "--runs", tmp_path / "runs", "-u", "u3"]
    done = anchorrec(*arguments)
    assert done.code == 0
    assert all(f"│ {model} " in done.out for model in demo.MODELS)
    assert "AnchorRec for user u3" in done.out
    run = Path(done.out.splitlines()[-1].removeprefix("run folder: "))
    assert run.parent == tmp_path / "runs"
    before = (run / "config.yaml").stat().st_mtime_ns
    again = anchorrec(*arguments, "-q")
    assert (again.out, again.err) == (done.out, "")
    assert (run / "config.yaml").stat().st_mtime_ns == before


def test_demo_deletes_nothing(anchorrec: Command, configs: Path, tmp_path: Path) -> None:
    (tmp_path / "work/anchorrec").mkdir(parents=True)
    (tmp_path / "work/anchorrec/thesis.tex").write_text("years")
    assert anchorrec("demo", "--configs", configs, "--runs", tmp_path / "work", "-u", "u3", "-q").code == 0
    assert (tmp_path / "work/anchorrec/thesis.tex").read_text() == "years"


def test_demo_refuses_an_unknown_user_before_training(
    anchorrec: Command, configs: Path, tmp_path: Path
) -> None:
    line = anchorrec("demo", "--configs", configs, "--runs", tmp_path / "runs").error(3)
    assert line == "unknown user '1'; ids look like 'u0'"
    assert not (tmp_path / "runs").exists()


def test_demo_outside_a_checkout(anchorrec: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert anchorrec("demo").error(2).startswith("configs: no such folder; run the demo in a checkout")
