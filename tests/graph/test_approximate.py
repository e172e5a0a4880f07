"""The approximate item graph: exact where nothing is left out, and its recall as a loop counts."""

from __future__ import annotations

import json
from pathlib import Path

import naive
import numpy as np
import pytest
import torch
from clustered import features, search
from tiny_runs import tiny_config

from anchorrec_graph.graph import approximate, hnsw, ivf
from anchorrec_graph.graph.approximate import approximate_knn_edges
from anchorrec_graph.graph.knn import KnnEdges, knn_edges
from anchorrec_graph.train.fit import fit

pytest.importorskip("faiss")

Pairs = dict[tuple[int, int], float]


def pairs(edges: KnnEdges) -> Pairs:
    found = zip(*edges.edge_index.tolist(), edges.edge_weight.tolist(), strict=True)
    return {(item, neighbour): weight for item, neighbour, weight in found}


@pytest.fixture
def poor(monkeypatch: pytest.MonkeyPatch) -> None:
    """An index with so few links that searches end early."""
    monkeypatch.setattr(hnsw, "LINKS", 2)


EVERY = 10_000  # more than there are


@pytest.mark.parametrize("method", ["hnsw", "ivf", "auto"])
@pytest.mark.parametrize("block_size", [7, 1024])
@pytest.mark.parametrize("include_self", [False, True])
@pytest.mark.parametrize(("weight", "drop_negative"), [("cosine", False), ("cosine", True), ("binary", True)])
def test_a_search_without_end_gives_the_exact_edges(
    method: str, block_size: int, include_self: bool, weight: str, drop_negative: bool
) -> None:
    rows = features(300)  # one list
    rows[4], rows[70, 1], rows[200, 0] = 0, torch.nan, torch.inf
    settings = {"include_self": include_self, "weight": weight, "drop_negative": drop_negative}
    config = search(EVERY, method=method, k=70, **settings)
    found = approximate_knn_edges(rows, config, block_size)
    expected = pairs(knn_edges(rows, config))
    assert pairs(found.edges) == pytest.approx(expected, abs=1e-6)
    assert {4, 70, 200}.isdisjoint(found.edges.edge_index.flatten().tolist())
    assert found.recall == 1.0


@pytest.mark.usefixtures("poor")
@pytest.mark.parametrize(("sample", "effort"), [(1_000, 1), (1_000, 20), (150, 1)])
def test_recall_is_what_a_loop_counts(monkeypatch: pytest.MonkeyPatch, sample: int, effort: int) -> None:
    monkeypatch.setattr(approximate, "SAMPLE", sample)
    rows = features()
    rows[[3, 9]] = 0
    edges, recall = approximate_knn_edges(rows, search(effort, drop_negative=False))
    found, true = set(pairs(edges)), naive.knn(rows.numpy(), 5)
    wanted = [
        (item, other)
        for item in approximate._Rows.of(rows, 64).drawn(sample, approximate.SAMPLE_SEED).tolist()
        for other, _ in true[item]
    ]
    assert len(wanted) == 5 * min(sample, 398)
    assert recall == pytest.approx(sum(pair in found for pair in wanted) / len(wanted))
    assert 0.2 < recall < 1


@pytest.mark.usefixtures("poor")
def test_more_effort_finds_more_and_weights_are_cosines() -> None:
    rows = features()
    found = [approximate_knn_edges(rows, search(effort)) for effort in (1, 20, 60)]
    assert sorted({round(one.recall, 6) for one in found}) == [round(one.recall, 6) for one in found]
    unit = torch.nn.functional.normalize(rows)
    item, neighbour = found[1].edges.edge_index
    torch.testing.assert_close(found[1].edges.edge_weight, (unit[item] * unit[neighbour]).sum(1))
    assert bool((item != neighbour).all())
    assert int(item.bincount().max()) == 5


@pytest.fixture
def many_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inverted lists so short that neighbours lie in several."""
    monkeypatch.setattr(ivf, "LIST_SIZE", 5)


@pytest.mark.usefixtures("many_lists")
@pytest.mark.parametrize("enough", [0.5, 0.8, 0.95])
def test_the_fewest_lists_that_hold_enough_of_the_trial(
    monkeypatch: pytest.MonkeyPatch, enough: float
) -> None:
    monkeypatch.setattr(approximate, "ENOUGH", enough)
    monkeypatch.setattr(approximate, "LISTS", (2, 4, 8, 16, 32, 80))
    rows, config = features(), search(1, method="ivf")
    trial = approximate._Rows.of(rows, 64).drawn(approximate.TRIAL, approximate.TRIAL_SEED)
    read = []
    monkeypatch.setattr(
        ivf,
        "search_index",
        lambda *args, lists, real=ivf.search_index: (
            read.append((lists, len(args[1]))) or real(*args, lists=lists)
        ),
    )
    found = approximate_knn_edges(rows, config)
    true, held = naive.knn(rows.numpy(), 5), set(pairs(found.edges))
    tried = [lists for lists, count in read if count == len(trial)]
    (taken,) = {lists for lists, count in read if count != len(trial)}
    assert tried == [lists for lists in approximate.LISTS if lists <= taken]
    share = [(item, other) in held for item in trial.tolist() for other, _ in true[item]]
    assert sum(share) / len(share) >= enough
    assert found.recall < 1 or enough > 0.9


@pytest.mark.usefixtures("many_lists", "poor")
def test_auto_takes_lists_where_they_suffice_and_links_where_not(monkeypatch: pytest.MonkeyPatch) -> None:
    by = {m: approximate_knn_edges(features(), search(1, method=m)) for m in ("auto", "ivf", "hnsw")}
    assert by["ivf"].recall > 0.95 > by["hnsw"].recall
    assert pairs(by["auto"].edges) == pairs(by["ivf"].edges)
    monkeypatch.setattr(approximate, "LISTS", (1,))
    by = {m: approximate_knn_edges(features(), search(40, method=m)) for m in ("ivf", "hnsw")}
    for least, expected in ((by["ivf"].recall - 0.1, "ivf"), (by["hnsw"].recall - 0.1, "hnsw")):
        found = approximate_knn_edges(features(), search(40, least, method="auto"))
        assert pairs(found.edges) == pairs(by[expected].edges)
    assert by["ivf"].recall < by["hnsw"].recall - 0.1


@pytest.mark.usefixtures("many_lists")
def test_lists_that_add_little_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approximate, "ENOUGH", 2.0)  # never
    rows = features()
    shares = []
    for lists in approximate.LISTS:
        monkeypatch.setattr(approximate, "LISTS", (lists,))
        shares.append(approximate_knn_edges(rows, search(1, method="ivf")).recall)
    monkeypatch.setattr(approximate, "LISTS", (2, 4, 8, 16, 32))
    assert shares[0] < 0.9
    assert shares[-1] > 0.99
    assert 0.97 < approximate_knn_edges(rows, search(1, method="ivf")).recall < shares[-1]


@pytest.mark.usefixtures("many_lists")
@pytest.mark.parametrize("method", ["hnsw", "ivf", "auto"])
def test_equal_features_give_equal_edges(method: str) -> None:
    first, second = (approximate_knn_edges(features(), search(2, method=method)) for _ in range(2))
    assert torch.equal(first.edges.edge_index, second.edges.edge_index)
    assert torch.equal(first.edges.edge_weight, second.edges.edge_weight)
    assert first.recall == second.recall


@pytest.mark.parametrize("method", ["hnsw", "auto"])
@pytest.mark.parametrize("count", [1, 2, 12])
def test_few_items(method: str, count: int) -> None:
    rows, config = features(count), search(1, method=method)
    found, expected = approximate_knn_edges(rows, config), knn_edges(rows, config)
    assert pairs(found.edges) == pytest.approx(pairs(expected), abs=1e-6)


@pytest.mark.usefixtures("many_lists")
@pytest.mark.parametrize("method", ["hnsw", "ivf", "auto"])
def test_no_direction_and_one_direction(method: str) -> None:
    config = search(1, least_recall=1, method=method)
    found = approximate_knn_edges(torch.zeros(30, 4), config)
    assert (found.edges.edge_index.shape, found.recall) == ((2, 0), 1.0)
    same = approximate_knn_edges(torch.ones(300, 4), config)  # anyone is as near as any
    assert len(same.edges.edge_weight) == 5 * 300
    assert same.recall == 1.0


def test_a_memory_map_of_half_floats(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", features().half().numpy())
    rows = torch.from_numpy(np.load(tmp_path / "x.npy", mmap_mode="c"))
    found, expected = approximate_knn_edges(rows, search(EVERY)), knn_edges(rows.float(), search(EVERY))
    assert found.edges.edge_weight.dtype == torch.float32
    assert pairs(found.edges) == pytest.approx(pairs(expected), abs=1e-6)


def test_a_run_records_the_recall_of_its_graphs(tmp_path: Path) -> None:
    settings = ["model.name=anchorrec", "train.epochs=1"]
    limit = ["model.knn.approximate.above=10", "model.knn.approximate.effort=1000"]
    for folder, extra in (("exact", []), ("approximate", limit)):
        (tmp_path / folder).mkdir()
        config = tiny_config(tmp_path / folder, *settings, *extra)
        fit(config, config.dataset.load(), tmp_path / folder / "run")
        (metrics,) = (tmp_path / folder / "run").rglob("metrics.json")
        recalls = json.loads(metrics.read_text()).get("graph_recall")
        assert (recalls is None) == (folder == "exact")
    assert recalls is not None
    assert set(recalls.values()) == {1.0}
    assert any("image" in name for name in recalls)


def test_settings_of_the_search_change_the_hash_only_where_they_are_not_the_default(tmp_path: Path) -> None:
    plain, same, other = (
        tiny_config(tmp_path, "model.name=anchorrec", *extra).hash
        for extra in ([], ["model.knn.approximate.effort=64"], ["model.knn.approximate.effort=65"])
    )
    assert plain == same != other
