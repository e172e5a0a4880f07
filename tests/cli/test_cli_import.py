"""Classes of one's own on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from processes import start

MODULE = """
from typing import Literal
import anchorrec_graph as ag

class SameConfig(ag.BackboneConfig):
    name: Literal["same"] = "same"

@ag.BACKBONES.register(SameConfig)
class Same(ag.Backbone):
    def __init__(self, config, embedding_dim):
        super().__init__()

    def forward(self, x, graph):
        return x
"""
CONFIG = """
dataset: {name: planted, num_users: 30, num_items: 40}
model: {name: lightgcn, backbone: same}
train: {epochs: 1}
"""


def test_a_module_of_your_own_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_backbones.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "own.yaml").write_text(CONFIG, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    train = ["train", "--config", "own.yaml", "--run-dir", "run", "--quiet"]
    for verb in (train, ["evaluate", "run"]):
        process = start(["--import", "my_backbones", *verb], tmp_path / "errors.txt")
        process.join()
        assert process.exitcode == 0, (tmp_path / "errors.txt").read_text(encoding="utf-8")


METRIC = """
from anchorrec_graph.evaluate.metrics import METRICS

METRICS["Mine"] = METRICS["Recall"]
"""


def test_the_processes_of_compare_import_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_metrics.py").write_text(METRIC, encoding="utf-8")
    popularity = CONFIG.replace("{name: lightgcn, backbone: same}", "popularity")
    text = f"{popularity}evaluate: {{metrics: [Mine@5]}}\n".replace("epochs: 1", "metric: Mine@5")
    (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    process = start(
        ["--import", "my_metrics", "compare", "own.yaml", "--out", "table"], tmp_path / "errors.txt"
    )
    process.join()
    assert process.exitcode == 0, (tmp_path / "errors.txt").read_text(encoding="utf-8")


def test_a_run_with_a_class_that_is_not_imported_says_so(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(CONFIG, encoding="utf-8")
    process = start(["train", "--config", str(tmp_path / "own.yaml")], tmp_path / "errors.txt")
    process.join()
    assert process.exitcode == 2
    assert "unknown backbone 'same'" in (tmp_path / "errors.txt").read_text(encoding="utf-8")


def test_a_module_that_is_not_there(tmp_path: Path) -> None:
    process = start(["--import", "no_such_module", "doctor"], tmp_path / "errors.txt")
    process.join()
    assert process.exitcode == 2
    assert "--import no_such_module: No module named" in (tmp_path / "errors.txt").read_text(encoding="utf-8")
