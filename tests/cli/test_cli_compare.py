"""anchorrec compare."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import Command
from processes import server
from tiny_runs import write_tiny

from anchorrec_graph.compare import processes


@pytest.fixture(autouse=True)
def _forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "CONTEXT", server())


@pytest.fixture(scope="session")
def configs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("configs")
    for model in ("lightgcn", "popularity"):
        (folder / model).mkdir()
        write_tiny(folder / model, f"model={model}")
    return folder / "lightgcn/short.yaml", folder / "popularity/short.yaml"


def test_compares_and_goes_on(anchorrec: Command, configs: tuple[Path, Path], tmp_path: Path) -> None:
    first, second = configs
    options = ["--out", tmp_path / "out", "-o", "train.epochs=1", "--jobs", 2, "--metric", "NDCG@5"]
    command = ["compare", first, f"most popular={second}", *options]
    done = anchorrec(*command, "--seeds", "0,3")
    assert done.code == 0
    assert done.out == (tmp_path / "out/table.md").read_text(encoding="utf-8")
    assert done.out.startswith("| model | seeds | NDCG@5 | s to build | s / epoch |")
    assert "| most popular | 2 | " in done.out
    lines = done.err.splitlines()
    assert [line.split("]")[0] for line in lines] == ["[1/4", "[2/4", "[3/4", "[4/4"]
    again = anchorrec(*command, "--seeds", "0,3", "--json", "--reference", "most popular")
    report = again.json()
    assert report == json.loads((tmp_path / "out/table.json").read_text())
    assert report["reference"] == "most popular"
    assert all(line.endswith("from an earlier comparison") for line in again.err.splitlines())
    quiet = anchorrec(*command, "--seeds", "0", "--quiet")
    assert (quiet.code, quiet.err) == (0, "")


def test_a_failure_is_told_after_the_table(
    anchorrec: Command, configs: tuple[Path, Path], tmp_path: Path
) -> None:
    _, second = configs
    broken = write_tiny(tmp_path, "train.learning_rate=1e36", "train.epochs=1")
    arguments = ["compare", second, f"bad={broken}", "--seeds", "0", "--out", tmp_path / "out", "--quiet"]
    done = anchorrec(*arguments)
    assert done.code == 5
    assert "| popularity |" in done.out
    assert done.err.startswith("error: bad, seed 0: epoch 1: loss term")
    assert len(done.err.splitlines()) == 1


def test_usage(anchorrec: Command, configs: tuple[Path, Path], tmp_path: Path) -> None:
    command = ["compare", *configs, "--out", tmp_path / "out"]
    assert anchorrec(*command, "--seeds", "0,x").error(2).startswith("--seeds 0,x: expected whole numbers")
    assert "a seed occurs twice" in anchorrec(*command, "--seeds", "0,0").error(2)
    assert "expected LABEL=PATH" in anchorrec(*command, "--external", "x.npz").error(2)
    assert "no such file" in anchorrec(*command, "--external", "a=x.npz").error(3)
    assert "unknown label 'x'" in anchorrec(*command, "--reference", "x").error(2)
    assert "2 rows have the label 'a'" in anchorrec(
        "compare", f"a={configs[0]}", f"a={configs[1]}", "--out", tmp_path
    ).error(2)
    assert not (tmp_path / "out").exists()


def test_help(anchorrec: Command) -> None:
    done = anchorrec("compare", "--help")
    assert (done.code, done.err) == (0, "")
    assert "Usage: anchorrec compare [OPTIONS] {CONFIG}..." in done.out
    assert all(option in done.out for option in ("--seeds N,N,...", "--external LABEL=FILE", "--jobs N"))
