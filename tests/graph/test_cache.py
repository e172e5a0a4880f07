from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from anchorrec_graph.graph.cache import cache_dir, cached_tensors
from anchorrec_graph.graph.knn import KnnConfig, cached_knn_edges, knn_edges


class Builder:
    """Builds a table and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> dict[str, Tensor]:
        self.calls += 1
        return {"a": torch.arange(6).reshape(2, 3), "b": torch.linspace(0, 1, 4)}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANCHORREC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_equal_content_is_built_once(folder: Path) -> None:
    build = Builder()
    first = cached_tensors("kind", "s", [torch.ones(3)], build)
    second = cached_tensors("kind", "s", [torch.ones(3)], build)
    assert build.calls == 1
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert len(list(folder.rglob("*.safetensors"))) == len(list(folder.rglob("*.*"))) == 1


@pytest.mark.parametrize(
    ("kind", "settings", "sources"),
    [
        ("kind", "s", [torch.tensor([1.0, 1.0, 1.0 + 1e-7])]),
        ("kind", "s", [torch.ones(3, 1)]),
        ("kind", "s", [torch.ones(3, dtype=torch.float64)]),
        ("kind", "s", [torch.ones(2), torch.ones(1)]),
        ("kind", "s", [torch.ones(3), torch.ones(0)]),
        ("kind", "t", [torch.ones(3)]),
        ("other", "s", [torch.ones(3)]),
    ],
)
def test_a_change_builds_again(folder: Path, kind: str, settings: str, sources: list[Tensor]) -> None:
    build = Builder()
    cached_tensors("kind", "s", [torch.ones(3)], build)
    cached_tensors(kind, settings, sources, build)
    assert build.calls == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: b"\xff" * 20 + content[20:],
        lambda content: b"not safetensors at all",
    ],
)
def test_a_damaged_file_is_built_again(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    build = Builder()
    expected = cached_tensors("kind", "s", [torch.ones(3)], build)
    path = next(folder.rglob("*.safetensors"))
    path.write_bytes(damage(path.read_bytes()))
    found = cached_tensors("kind", "s", [torch.ones(3)], build)
    assert build.calls == 2
    assert torch.equal(found["a"], expected["a"])
    cached_tensors("kind", "s", [torch.ones(3)], build)
    assert build.calls == 2  # the file was repaired


def test_an_unwritable_folder_costs_only_the_reuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("a file where a folder should be")
    monkeypatch.setenv("ANCHORREC_CACHE", str(tmp_path / "file" / "cache"))
    build = Builder()
    for calls in (1, 2):
        assert cached_tensors("kind", "s", [torch.ones(3)], build).keys() == {"a", "b"}
        assert build.calls == calls


def test_the_folder_is_set_by_the_environment(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    assert cache_dir() == folder
    monkeypatch.delenv("ANCHORREC_CACHE")
    assert cache_dir() == Path.home() / ".cache" / "anchorrec_graph"


def test_the_graph_of_changed_features_is_new(folder: Path) -> None:
    rows = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
    config = KnnConfig(k=3)
    cached_knn_edges(rows, config)
    rows[0] = -rows[0]
    found, expected = cached_knn_edges(rows, config), knn_edges(rows, config)
    assert torch.equal(found.edge_index, expected.edge_index)
    assert torch.equal(found.edge_weight, expected.edge_weight)
    assert len(list(folder.rglob("*.safetensors"))) == 2
