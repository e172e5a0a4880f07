from __future__ import annotations

from typing import Any

import naive
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from anchorrec_graph.graph import knn
from anchorrec_graph.graph.knn import (
    KnnConfig,
    KnnEdges,
    attach_item_graphs,
    knn_edges,
    knn_relation,
    unit_rows,
)
from anchorrec_graph.testing import tiny_data
from anchorrec_graph.train.ranks import Ranks

Neighbours = list[list[tuple[int, float]]]


def features(num_items: int = 23, dim: int = 5, seed: int = 0) -> Tensor:
    return torch.randn(num_items, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_item(edges: KnnEdges, num_items: int) -> Neighbours:
    """(neighbour, weight) of each item, nearest first."""
    found: Neighbours = [[] for _ in range(num_items)]
    for item, neighbour, weight in zip(*edges.edge_index.tolist(), edges.edge_weight.tolist(), strict=True):
        found[item].append((neighbour, weight))
    return [sorted(pairs, key=lambda pair: -pair[1]) for pairs in found]


def check(found: Neighbours, expected: Neighbours) -> None:
    assert [[n for n, _ in pairs] for pairs in found] == [[n for n, _ in pairs] for pairs in expected]
    for mine, twin in zip(found, expected, strict=True):
        assert [w for _, w in mine] == pytest.approx([w for _, w in twin], abs=1e-12)


def keeping(**settings: Any) -> KnnConfig:
    """The nearest k also where their cosine is negative, so that random features keep all k."""
    return KnnConfig(drop_negative=False, **settings)


@pytest.mark.parametrize("block_size", [1, 2, 7, 22, 23, 1000])
@pytest.mark.parametrize("include_self", [False, True])
@pytest.mark.parametrize("k", [1, 4, 22, 23, 50])
def test_blocks_equal_the_loop(block_size: int, include_self: bool, k: int) -> None:
    rows = features()
    edges = knn_edges(rows, keeping(k=k, include_self=include_self), block_size)
    check(by_item(edges, 23), naive.knn(rows.numpy(), k, include_self))


@pytest.mark.parametrize("block_size", [16, 100, 1000])
def test_many_items_equal_the_loop(block_size: int) -> None:
    rows = features(170)
    check(by_item(knn_edges(rows, keeping(k=3), block_size), 170), naive.knn(rows.numpy(), 3))


@pytest.mark.parametrize("block_size", [3, 1000])
def test_rows_without_a_direction_are_alone(block_size: int) -> None:
    rows = features()
    rows[2], rows[9, 1], rows[17, 0] = 0, torch.nan, torch.inf
    for include_self in (False, True):
        found = by_item(knn_edges(rows, keeping(k=22, include_self=include_self), block_size), 23)
        check(found, naive.knn(rows.numpy(), 22, include_self))
        assert found[2] == found[9] == found[17] == []


def test_no_row_has_a_direction() -> None:
    assert knn_edges(torch.zeros(4, 3), keeping(k=2)).edge_index.shape == (2, 0)
    assert bool(torch.isfinite(knn_relation(torch.zeros(4, 3), keeping(k=2))(torch.ones(4, 2))).all())


@pytest.mark.parametrize("num_items", [0, 1, 2])
def test_few_items(num_items: int) -> None:
    edges = knn_edges(features(num_items), keeping(k=10))
    assert edges.edge_index.shape == (2, num_items * (num_items - 1))


@pytest.mark.parametrize("block_size", [1, 7, 100, 1000])
@pytest.mark.parametrize("num_items", [40, 400])
def test_of_equally_near_items_the_lowest_numbers_are_neighbours(block_size: int, num_items: int) -> None:
    kind = torch.randint(3, (num_items,), generator=torch.Generator().manual_seed(0))
    rows = torch.eye(3)[kind]  # cosines are 0 and 1, without rounding
    rows[::5] = torch.tensor([1.0, 0.0, 0.0]) * 2
    found = by_item(knn_edges(rows, keeping(k=6), block_size), num_items)
    which = rows.argmax(1).tolist()
    for item, mine in enumerate(found):
        same = [other for other in range(num_items) if which[other] == which[item] and other != item]
        assert [other for other, _ in mine] == same[:6]


@pytest.mark.parametrize("block_size", [1, 4, 1000])
def test_duplicates_may_be_swapped_but_not_lost(block_size: int) -> None:
    rows = features(6).repeat(3, 1)  # items i, i + 6 and i + 12 are equal
    found = by_item(knn_edges(rows, keeping(k=4), block_size), 18)
    for item, (mine, twin) in enumerate(zip(found, naive.knn(rows.numpy(), 4), strict=True)):
        neighbours = [n for n, _ in mine]
        assert len(set(neighbours)) == 4
        assert item not in neighbours
        assert {n % 6 for n in neighbours[:2]} == {item % 6}
        assert [w for _, w in mine] == pytest.approx([w for _, w in twin], abs=1e-12)


def test_binary_weights_are_one() -> None:
    cosine, binary = (knn_edges(features(), keeping(k=3, weight=w)) for w in ("cosine", "binary"))
    assert torch.equal(cosine.edge_index, binary.edge_index)
    assert set(binary.edge_weight.tolist()) == {1.0}


def test_relation_is_normalised_by_row_degrees() -> None:
    rows = features()
    edges = knn_edges(rows, keeping(k=5))
    row, column = edges.edge_index.tolist()
    weight = naive.symmetric_weight(row, column, edges.edge_weight.tolist(), 23)
    dense = torch.zeros(23, 23, dtype=torch.float64)
    for r, c, w in zip(row, column, weight, strict=True):
        dense[r, c] = w
    found = knn_relation(rows, keeping(k=5))(torch.eye(23, dtype=torch.float64))
    torch.testing.assert_close(found, dense)


def test_the_scale_of_rows_does_not_matter() -> None:
    rows = features()
    scaled = rows * torch.logspace(-6, 6, 23, dtype=torch.float64).unsqueeze(1)
    check(by_item(knn_edges(scaled, keeping(k=5)), 23), naive.knn(rows.numpy(), 5))


def test_unit_rows() -> None:
    rows, valid = unit_rows(torch.tensor([[3.0, 4.0], [0.0, 0.0], [torch.nan, 1.0]]))
    torch.testing.assert_close(rows, torch.tensor([[0.6, 0.8], [0.0, 0.0], [0.0, 0.0]]))
    assert valid.tolist() == [True, False, False]


class LargestTensor(TorchDispatchMode):
    """Records the largest number of elements that any operation returns."""

    def __init__(self) -> None:
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for output in result if isinstance(result, tuple | list) else [result]:
            if isinstance(output, Tensor):
                self.numel = max(self.numel, output.numel())
        return result


def test_memory_is_linear_in_the_number_of_items() -> None:
    num_items, dim, k, block_size = 1500, 8, 5, 16
    rows = features(num_items, dim)
    with LargestTensor() as largest:
        knn_edges(rows, keeping(k=k), block_size)
    assert num_items * k <= largest.numel <= num_items * max(block_size, dim, 2 * k)


class Process:
    """One of several, all played by this one: what the others found is at hand."""

    def __init__(self, rank: int, found: list[tuple[Tensor, Tensor]]) -> None:
        self.rank, self.size, self.found = rank, len(found), found

    def trade(self, rows: Tensor, sent: list[int], received: list[int]) -> Tensor:
        parts = [pair[rows.dtype == torch.long].split(sent)[self.rank] for pair in self.found]
        assert [len(part) for part in parts] == received
        return torch.cat(parts)

    def all_rows(self, own: Tensor, counts: list[int]) -> Tensor:
        """Its own rows where they belong: the sum over the processes is what each gets."""
        start = sum(counts[: self.rank])
        every = own.new_zeros(sum(counts), own.shape[1])
        every[start : start + len(own)] = own
        return every


@pytest.mark.parametrize("size", [2, 3, 8])
@pytest.mark.parametrize("num_items", [0, 1, 3, 23, 170])
def test_parts_are_merged_row_by_row(monkeypatch: pytest.MonkeyPatch, num_items: int, size: int) -> None:
    rows, found, merge = features(num_items).round(), list[tuple[Tensor, Tensor]](), knn._of_all  # with ties
    expected = knn_edges(rows, keeping(k=4), block_size=4)
    monkeypatch.setattr(knn, "_of_all", lambda *pair: found.append(pair) or pair)
    for rank in range(size):
        monkeypatch.setattr(knn, "team", lambda rank=rank: Ranks(rank, size))
        knn_edges(rows, keeping(k=4), block_size=4)
    merged = []
    with LargestTensor() as largest:
        for rank in range(size):
            monkeypatch.setattr(knn, "team", lambda rank=rank: Process(rank, found))
            merged.append(merge(*found[rank]))
    cosine, neighbour = (torch.stack(parts).sum(0) for parts in zip(*merged, strict=True))
    edges = knn.kept_edges(cosine, neighbour, keeping(k=4))
    assert torch.equal(edges.edge_index, expected.edge_index)
    assert torch.equal(edges.edge_weight, expected.edge_weight)
    assert largest.numel <= (num_items + size) * 4


def test_a_huge_k_takes_no_more_memory_than_all_neighbours() -> None:
    with LargestTensor() as largest:
        edges = knn_edges(features(), keeping(k=10**12))
    assert len(edges.edge_weight) == 23 * 22
    assert largest.numel <= 2 * 23 * 23


def test_attached_item_graphs_are_those_of_the_features() -> None:
    data = attach_item_graphs(tiny_data(), KnnConfig(k=3))
    for modality in data.modalities:
        store = data["item", f"{modality}_knn", "item"]
        expected = knn_edges(data["item"][modality], KnnConfig(k=3))
        assert torch.equal(store.edge_index, expected.edge_index)
        assert torch.equal(store.edge_weight, expected.edge_weight)


def test_negative_neighbours_are_dropped_unless_kept() -> None:
    rows = features(12)
    every = knn_edges(rows, keeping(k=11))
    positive = knn_edges(rows, KnnConfig(k=11))
    assert bool((every.edge_weight < 0).any())
    torch.testing.assert_close(positive.edge_index, every.edge_index[:, every.edge_weight > 0])
    weight = knn_relation(rows, KnnConfig(k=11)).weight
    assert bool(((weight > 0) & (weight <= 1)).all())
