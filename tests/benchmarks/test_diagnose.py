"""`python benchmarks/diagnose.py`, on configurations of an epoch and on few items."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest
from processes import server
from tiny_runs import tiny_config

from anchorrec_graph.compare import processes

SCRIPTS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.setattr(processes, "CONTEXT", server())
    monkeypatch.syspath_prepend(str(SCRIPTS))
    monkeypatch.chdir(tmp_path)
    return importlib.import_module("diagnose")


def test_publishes_every_model(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for model in ("anchorrec", "lightgcn"):
        (tmp_path / "configs" / model).mkdir(parents=True)
        config = tiny_config(tmp_path, f"model={{name: {model}, embedding_dim: 8}}", "train.epochs=1")
        (tmp_path / f"configs/{model}/tiny.yaml").write_text(config.to_yaml(), encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["diagnose.py", "tiny", "--seeds", "0,1", "--publish", "--jobs", "1"])
    script.main()
    text = (tmp_path / "benchmarks/results/diagnose-tiny.md").read_text(encoding="utf-8")
    assert "| group | stage | anchorrec | lightgcn | anchorrec/tiny direct |" in text
    assert "| q1 |" not in text
    assert "- Command: diagnose.py tiny --seeds 0,1 --publish --jobs 1" in text
    assert capsys.readouterr().out.startswith(text)
    report = json.loads((tmp_path / ".cache/diagnose/tiny.json").read_text())
    assert [(run["label"], run["seeds"]) for run in report["runs"]] == [
        ("anchorrec", [0, 1]),
        ("lightgcn", [0, 1]),
        ("anchorrec/tiny direct", [0, 1]),
    ]
    assert report["environment"]["commit"]
    assert {row["group"] for row in report["runs"][0]["table"]} == {"all", "q1", "q2", "q3", "q4"}


@pytest.mark.filterwarnings("ignore::anchorrec_graph.data.checks.DataWarning")
def test_scale(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["diagnose.py", "--scale", "--items", "200"])
    script.main()
    result = json.loads(capsys.readouterr().out)
    assert (result["items"], result["rows"] > 500) == (200, True)
    assert min(result["seconds"], result["peak_memory_bytes"]) > 0
