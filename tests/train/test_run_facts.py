"""What a run says of where it was made, and of the item graphs that it was made with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import InterruptAfter, tiny_config

from anchorrec_graph.compare.runs import Job, read_result
from anchorrec_graph.config import Config
from anchorrec_graph.errors import RunError
from anchorrec_graph.train import run as module
from anchorrec_graph.train.environment import environment
from anchorrec_graph.train.fit import fit, load_run

STEPS = "train.epochs=5", "train.seeds=[3, 1]"


class Machine:
    """Where `fit` finds itself."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now: dict[str, Any] = {**environment(), "command": ["one"], "commit": "a"}
        self.asked = 0
        monkeypatch.setattr(module, "environment", self.environment)

    def environment(self) -> dict[str, Any]:
        self.asked += 1
        return dict(self.now)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def told(run: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((run / "environment.json").read_text())
    return value


def stopped(config: Config, run: Path, epoch: int, resume: bool = True) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(config, config.dataset.load(), run, resume, InterruptAfter(epoch))


def test_a_run_says_where_it_went_on(tmp_path: Path, machine: Machine) -> None:
    """Only where something differs but the command; who reads the first start reads on."""
    config, run = tiny_config(tmp_path, *STEPS), tmp_path / "run"
    began = dict(machine.now)
    stopped(config, run, 2, resume=False)
    machine.now["command"] = ["one", "--resume"]
    stopped(config, run, 3)
    assert told(run) == began
    machine.now["machine"] = {**began["machine"], "processor": "another"}
    stopped(config, run, 4)  # in the first seed, from its checkpoint after epoch 2
    first = {"seed": 3, "epoch": 2, **machine.now}
    assert told(run) == {**began, "resumed": [first]}
    stopped(config, run, 5)
    assert told(run) == {**began, "resumed": [first]}
    machine.now = began
    fit(config, config.dataset.load(), run, resume=True)
    second = {"seed": 3, "epoch": 4, **began}
    assert told(run) == {**began, "resumed": [first, second]}
    machine.now = {**began, "commit": "b"}
    fit(config, config.dataset.load(), run, resume=True)  # nothing is left to do
    assert told(run) == {**began, "resumed": [first, second]}
    job = Job("lightgcn", 3, config, run)
    origin = read_result(job).origin
    assert origin["commits"] == ["a"]
    assert [text.startswith("another, ") for text in origin["machines"]] == [False, True]
    assert len(origin["versions"]) == 1


def test_a_process_asks_once_where_it_is(tmp_path: Path, machine: Machine) -> None:
    """The checkout may change while it runs."""
    config = tiny_config(tmp_path, *STEPS)
    fit(config, config.dataset.load(), tmp_path / "run")
    assert machine.asked == 2  # for the new folder and for its seeds
    assert told(tmp_path / "run") == machine.now


def test_a_damaged_environment_is_an_error(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, *STEPS)
    stopped(config, tmp_path / "run", 2, resume=False)
    (tmp_path / "run/environment.json").write_text("{")
    with pytest.raises(RunError, match=r"environment\.json: cannot be read"):
        fit(config, config.dataset.load(), tmp_path / "run", resume=True)


def test_the_recall_of_item_graphs_stands_in_the_manifest(tmp_path: Path) -> None:
    """From the moment when they are there, outside of the hash of the data."""
    pytest.importorskip("faiss")
    approximate = (
        "model.name=anchorrec",
        "model.knn.approximate.above=10",
        "model.knn.approximate.effort=1000",
    )
    config, run = tiny_config(tmp_path, *STEPS, *approximate), tmp_path / "run"
    data = config.dataset.load()
    stopped(config, run, 1, resume=False)
    manifest = json.loads((run / "manifest.json").read_text())
    recalls = manifest.pop("graph_recall")
    assert manifest == data.manifest
    assert set(recalls.values()) == {1.0}
    assert any("image" in name for name in recalls)
    result = fit(config, data, run, resume=True)
    assert [seed["graph_recall"] for seed in result.seeds.values()] == [recalls, recalls]
    assert load_run(run).seed == 3


def test_exact_item_graphs_leave_the_manifest_alone(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, "model.name=anchorrec", "train.epochs=1")
    fit(config, config.dataset.load(), tmp_path / "run")
    assert json.loads((tmp_path / "run/manifest.json").read_text()) == config.dataset.load().manifest
