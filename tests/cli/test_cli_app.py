"""The command as a whole: help, exit codes, errors on one line, pipes."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from command import Command
from processes import start

from anchorrec_graph import __version__
from anchorrec_graph.cli.app import main
from anchorrec_graph.data.planted import PlantedConfig
from anchorrec_graph.models.lightgcn import LightGCN

VERBS = ["train", "tune", "compare", "evaluate", "recommend", "explain", "diagnose", "audit", "report"]
VERBS += ["graph", "doctor", "demo", "prepare", "features", "convert", "similar", "export", "update"]
VERBS += ["forget", "serve", "serve-demo"]


def test_help_names_verbs_and_exit_codes(anchorrec: Command) -> None:
    done = anchorrec("--help")
    assert (done.code, done.err) == (0, "")
    assert all(f"  {verb} " in done.out for verb in VERBS)
    assert "2 settings or usage, 3 data" in done.out
    assert "..." not in done.out.partition("Commands:")[2]  # no description is cut


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_verbs(anchorrec: Command, verb: str) -> None:
    done = anchorrec(verb, "--help")
    assert (done.code, done.err) == (0, "")
    assert f"Usage: anchorrec {verb} [OPTIONS]" in done.out
    assert "list[str]" not in done.out.partition("Options:")[2]


def test_version(anchorrec: Command) -> None:
    assert anchorrec("--version").out == f"{__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["trian"],
        ["train", "--foo"],
        ["evaluate"],
        ["recommend", "r", "-k", "0"],
        ["recommend", "r", "-k", "x"],
    ],
)
def test_wrong_usage(anchorrec: Command, arguments: list[str]) -> None:
    done = anchorrec(*arguments)
    assert (done.code, done.out) == (2, "")
    assert "Usage: anchorrec" in done.err
    assert "Traceback" not in done.err


def test_exit_code_of_settings(anchorrec: Command, config: Path) -> None:
    line = anchorrec("train", "-c", config, "-o", "train.epoch=3").error(2)
    assert line == f"{config} -o train.epoch=3: train: unknown key 'epoch'; did you mean 'epochs'?"
    assert "no such file" in anchorrec("train", "-c", "none.yaml").error(2)


def test_exit_code_of_data(anchorrec: Command, config: Path, tmp_path: Path) -> None:
    line = anchorrec("train", "-c", config, "-o", f"dataset={{name: mmrec, folder: {tmp_path}}}").error(3)
    assert ".inter" in line


def test_exit_code_of_runs(anchorrec: Command, tmp_path: Path) -> None:
    for arguments in (
        ["evaluate", tmp_path],
        ["recommend", tmp_path, "-u", "1"],
        ["train", "--resume", tmp_path],
    ):
        assert anchorrec(*arguments).error(4) == f"{tmp_path}: no run here (config.yaml is missing)"


def test_exit_code_of_failed_training(
    anchorrec: Command, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = LightGCN.loss_terms
    monkeypatch.setattr(
        LightGCN, "loss_terms", lambda *a: {name: v * float("nan") for name, v in real(*a).items()}
    )
    line = anchorrec(
        "train", "-q", "-c", config, "-o", "model=lightgcn", "--run-dir", tmp_path / "run"
    ).error(5)
    assert line.startswith("epoch 1: loss term 'ranking' is nan")


def test_exit_code_of_system_errors(anchorrec: Command, config: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert (
        anchorrec("train", "-c", config, "--run-dir", tmp_path / "file")
        .error(1)
        .endswith("/file: file exists")
    )


def test_exit_code_of_too_little_memory(anchorrec: Command, config: Path, tmp_path: Path) -> None:
    wide = f"model.embedding_dim={10**12}"
    line = anchorrec("train", "-q", "-c", config, "-o", wide, "--run-dir", tmp_path / "run").error(1)
    assert line.startswith("not enough memory; anchorrec doctor --config FILE forecasts")


def test_a_bug_shows_its_traceback(anchorrec: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anchorrec_graph.cli.doctor.environment", lambda: [].pop())
    with pytest.raises(IndexError):
        anchorrec("doctor")


@pytest.mark.parametrize("place", [0, 1, 3])
def test_debug_shows_the_traceback_wherever_it_stands(anchorrec: Command, place: int) -> None:
    arguments = ["train", "-c", "none.yaml"]
    arguments.insert(place, "--debug")
    done = anchorrec(*arguments)
    assert done.code == 2
    assert done.err.startswith("Traceback")
    assert done.err.splitlines()[-1] == "error: none.yaml: no such file; examples are in configs/"


def test_an_error_message_cannot_control_the_terminal(anchorrec: Command) -> None:
    line = anchorrec("train", "-c", "none\x1b[31m\n.yaml").error(2)
    assert line.startswith("none [31m .yaml: ")


def test_warnings_are_one_line(
    anchorrec: Command, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = PlantedConfig.read
    monkeypatch.setattr(
        PlantedConfig, "read", lambda c: (r := real(c))._replace(features={"image": r.features["image"] * 0})
    )
    done = anchorrec("graph", "-c", config, "-o", "dataset.modalities=[image]", "--json")
    done.json()
    (line,) = done.err.splitlines()
    assert line.startswith("warning: planted image: 40 items (0, 1, 2, ...) with an all-zero")


def test_a_terminal_that_cannot_show_a_title(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, shown = PlantedConfig.read, io.BytesIO()
    monkeypatch.setattr(
        PlantedConfig,
        "read",
        lambda c: (r := real(c))._replace(items=r.items.with_columns(title=pl.lit("Amélie"))),
    )
    monkeypatch.setattr("sys.argv", ["anchorrec", "graph", "-c", str(config), "--item", "i5"])
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(shown, encoding="ascii"))
    with pytest.raises(SystemExit, match="0"):
        main()
    assert shown.getvalue().startswith(b"nearest to Am?lie\n")


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_reader_that_has_left(run: Path, tmp_path: Path, more: list[str]) -> None:
    """As in `anchorrec ... | head`, but surely too late."""
    process = start(["recommend", str(run), "-u", "u1", *more], tmp_path / "errors", broken_pipe=True)
    process.join()
    assert (process.exitcode, (tmp_path / "errors").read_text()) == (1, "")


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "anchorrec_graph", "train"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: name --config FILE to start a run, or --resume RUN to continue one\n"
