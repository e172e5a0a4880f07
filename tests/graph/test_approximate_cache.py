"""What an index finds is kept under what decides about it, also where its recall is refused."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from clustered import features, search

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.graph import approximate, hnsw, ivf
from anchorrec_graph.graph.knn import ApproximateConfig, KnnConfig, cached_knn_graph, knn_relation

pytest.importorskip("faiss")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANCHORREC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def _poor(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few links, and lists that hold so little, that much is missed."""
    monkeypatch.setattr(hnsw, "LINKS", 2)
    monkeypatch.setattr(ivf, "LIST_SIZE", 5)
    monkeypatch.setattr(approximate, "LISTS", (1, 2))


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The methods whose edges were not found in the cache."""
    calls: list[str] = []
    real = approximate._made

    def made(*args: Any) -> Any:
        calls.append(args[-1])
        return real(*args)

    monkeypatch.setattr(approximate, "_made", made)
    return calls


def test_the_graph_is_kept_with_its_recall(built: list[str]) -> None:
    first, kept = (cached_knn_graph(features(), search(2)) for _ in range(2))
    assert torch.equal(kept.edges.edge_index, first.edges.edge_index)
    assert torch.equal(kept.edges.edge_weight, first.edges.edge_weight)
    assert kept.recall == first.recall != 1
    assert knn_relation(features(), search(2)).recall == first.recall
    assert built == ["hnsw"]
    exact = KnnConfig(k=5)
    assert cached_knn_graph(features(), exact).recall is None
    assert knn_relation(features(), exact).recall is None


def test_an_exact_graph_is_the_same_file_whatever_an_approximate_one_would_do(folder: Path) -> None:
    for effort in (1, 2):
        config = KnnConfig(approximate=ApproximateConfig(above=400, effort=effort))
        assert cached_knn_graph(features(), config).recall is None
    assert len(list(folder.rglob("*.safetensors"))) == 1


@pytest.mark.parametrize("method", ["hnsw", "ivf", "auto"])
def test_a_refused_graph_is_taken_as_it_is_where_less_is_asked(built: list[str], method: str) -> None:
    rows = features(dim=16)
    with pytest.raises(ConfigError) as refusal:
        cached_knn_graph(rows, search(1, least_recall=0.9, method=method))
    lower = float(str(refusal.value).partition("lower that to ")[2].split()[0])
    assert 0.7 < lower < 0.9
    found = cached_knn_graph(rows, search(1, least_recall=lower, method=method))
    assert found.recall == pytest.approx(lower, abs=1e-3)
    assert built == (["ivf", "hnsw"] if method == "auto" else [method])


def test_the_refusal_names_what_to_change() -> None:
    message = (
        r"^the approximate item graph has 0\.(\d\d)\d of .* sample of items, and "
        r"model\.knn\.approximate\.least_recall is 0\.999: lower that to 0\.\1\d* if this is enough, take "
        r"another model\.knn\.approximate\.method \(hnsw\), raise model\.knn\.approximate\.effort \(1\) of "
        r"hnsw, or model\.knn\.approximate\.above \(10\) to 400 for all of them$"
    )
    with pytest.raises(ConfigError, match=message):
        cached_knn_graph(features(), search(1, least_recall=0.999))


def test_settings_that_do_not_change_the_edges_do_not_build_them_again(built: list[str]) -> None:
    for method in ("ivf", "hnsw", "auto"):
        for above in (10, 20):
            for least in (0.0, 0.1):
                approximation = {"above": above, "method": method, "effort": 3, "least_recall": least}
                cached_knn_graph(features(), KnnConfig.model_validate({"k": 5, "approximate": approximation}))
    assert built == ["ivf", "hnsw"]
    cached_knn_graph(features(), search(4, method="ivf"))
    assert built == ["ivf", "hnsw"]
    cached_knn_graph(features(), search(4, method="hnsw"))
    assert built == ["ivf", "hnsw", "hnsw"]


def test_settings_that_may_change_the_edges_build_them_again(built: list[str]) -> None:
    cached_knn_graph(features(), search(4, method="ivf"))
    cached_knn_graph(features(), search(4, method="ivf", include_self=True))
    with pytest.raises(ConfigError):
        cached_knn_graph(features(), search(4, 0.97, method="ivf"))
    assert built == ["ivf", "ivf", "ivf"]


def test_without_faiss(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = cached_knn_graph(features(), search(1))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    message = (
        r"faiss-cpu, which is missing: .*\[ann\]', or raise model.knn.approximate.above to 399 for the exact"
    )
    with pytest.raises(ConfigError, match=message):
        cached_knn_graph(features(399), search(1))
    assert cached_knn_graph(features(10), search(1)).recall is None
    assert cached_knn_graph(features(), search(1)).recall == kept.recall
