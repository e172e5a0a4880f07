"""Checkpoints: exact, whole, and only for what they belong to."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from torch import nn

from anchorrec_graph import files
from anchorrec_graph.errors import RunError
from anchorrec_graph.train.checkpoint import Progress, load_checkpoint, read_tensors, save_checkpoint
from anchorrec_graph.train.optimizer import AdamOfModel

PROGRESS = Progress(epoch=7, best_epoch=5, best_value=0.25, seconds=1.5)


class Parts:
    """A model that has taken some steps of Adam, and a generator that has drawn."""

    def __init__(self, steps: int, width: int = 3) -> None:
        torch.manual_seed(steps)
        self.model = nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width))
        self.optimizer = AdamOfModel(self.model, 0.1, sparse=False)
        self.generator = torch.Generator().manual_seed(steps)
        for _ in range(steps):
            self.step()

    def step(self) -> torch.Tensor:
        self.optimizer.zero_grad()
        x = torch.randn(8, 4, generator=self.generator) + torch.rand(())
        loss = self.model(x).square().sum()
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def save(self, path: Path, key: str = "key", progress: Progress = PROGRESS) -> None:
        save_checkpoint(path, self.model, self.optimizer, self.generator, progress, key)

    def load(self, path: Path, key: str = "key") -> Progress:
        return load_checkpoint(path, self.model, self.optimizer, self.generator, key)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep/er/checkpoint.safetensors"


def test_training_goes_on_with_the_same_bits(path: Path) -> None:
    first = Parts(steps=3)
    first.save(path)
    expected = torch.stack([first.step() for _ in range(3)])
    second = Parts(steps=1)
    assert second.load(path) == PROGRESS
    assert torch.equal(torch.stack([second.step() for _ in range(3)]), expected)
    for name, value in first.model.state_dict().items():
        assert torch.equal(second.model.state_dict()[name], value), name


def test_nothing_evaluated_yet(path: Path) -> None:
    Parts(steps=1).save(path, progress=Progress(epoch=1))
    assert Parts(steps=0).load(path) == Progress(epoch=1)


def test_other_settings_are_refused(path: Path) -> None:
    Parts(steps=1).save(path)
    with pytest.raises(RunError, match="belongs to other settings, data or seed; start a new run folder"):
        Parts(steps=0).load(path, key="another")


def test_another_model_is_refused(path: Path) -> None:
    Parts(steps=1).save(path)
    with pytest.raises(RunError, match="does not fit the model"):
        Parts(steps=0, width=5).load(path)


@pytest.mark.parametrize("kept", [0, 7, 200, -1])
def test_a_cut_file_is_refused(path: Path, kept: int) -> None:
    Parts(steps=1).save(path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(RunError, match=r"checkpoint\.safetensors: cannot be read .* delete it"):
        Parts(steps=0).load(path)


def test_a_foreign_file_is_refused(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not tensors" * 100)
    with pytest.raises(RunError, match="cannot be read"):
        Parts(steps=0).load(path)
    files.save_tensors(path, {"a": torch.zeros(2)}, {"key": "key"})
    with pytest.raises(RunError, match="does not fit the model"):
        Parts(steps=0).load(path)


def test_a_missing_file_is_refused(path: Path) -> None:
    with pytest.raises(RunError, match="cannot be read"):
        read_tensors(path)


def test_a_full_disk_is_an_error_of_the_system(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """safetensors has one of its own, for which nobody looks."""

    def full(*_: object) -> None:
        raise SafetensorError("No space left on device (os error 28)")

    monkeypatch.setattr(files, "save_file", full)
    with pytest.raises(OSError, match=rf"{path.name}: cannot be written \(No space left"):
        Parts(steps=1).save(path)


@pytest.mark.parametrize("function", ["os.replace", "os.fsync", "save_file"])
def test_a_crash_while_saving_leaves_the_old_file(
    path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    first = Parts(steps=1)
    first.save(path)
    before = path.read_bytes()

    def crash(*arguments: object) -> None:
        if function == "save_file":
            Path(str(arguments[1])).write_bytes(b"half")
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(f"anchorrec_graph.files.{function}", crash)
        with pytest.raises(OSError, match="no space left"):
            Parts(steps=2).save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_tied_weights_are_saved(path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    model[1].weight = model[0].weight
    rows = torch.arange(12.0).view(4, 3)
    files.save_tensors(path, {**model.state_dict(), "rows": rows, "turned": rows.T, "part": rows[1:]}, {})
    read, _ = read_tensors(path)
    assert torch.equal(read["0.weight"], read["1.weight"])
    assert torch.equal(read["turned"], rows.T)
    assert torch.equal(read["part"], rows[1:])
