from __future__ import annotations

from pathlib import Path

import pytest
from command import Command
from tiny_runs import write_tiny

from anchorrec_graph.config import load_config
from anchorrec_graph.train.fit import fit


@pytest.fixture
def anchorrec(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(capsys, monkeypatch)


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration of anchorrec on a tiny shop."""
    model = "model={name: anchorrec, embedding_dim: 8}"
    return write_tiny(tmp_path_factory.mktemp("config"), model, "train.epochs=2")


@pytest.fixture(scope="session")
def run(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of it, for reading only."""
    settings = load_config(config)
    return fit(settings, settings.dataset.load(), tmp_path_factory.mktemp("run") / "run").folder
