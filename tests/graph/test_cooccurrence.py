from __future__ import annotations

import math
from pathlib import Path

import naive
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from anchorrec_graph.graph.cooccurrence import (
    CooccurrenceConfig,
    cached_cooccurrence_edges,
    cooccurrence_edges,
    cooccurrence_relation,
)

NUM_USERS, NUM_ITEMS = 9, 12
Edges = list[tuple[int, int, float]]


def pairs(count: int = 45, seed: int = 0) -> Tensor:
    """With repeated pairs, and without the last item."""
    generator = torch.Generator().manual_seed(seed)
    user = torch.randint(NUM_USERS, (count,), generator=generator)
    return torch.stack([user, torch.randint(NUM_ITEMS - 1, (count,), generator=generator)])


def loops(edge_index: Tensor, config: CooccurrenceConfig) -> Edges:
    users = [{u for u, i in edge_index.T.tolist() if i == item} for item in range(NUM_ITEMS)]
    edges: Edges = []
    for i, own in enumerate(users):
        near = []
        for j, other in enumerate(users):
            common = len(own & other)
            if j != i and common >= config.min_count:
                cosine = common / math.sqrt(len(own) * len(other))
                weight = cosine if config.weight == "cosine" else float(common)
                near.append((-weight, len(other), j))
        edges += [(i, j, -minus) for minus, _, j in sorted(near)[: config.k]]
    return edges


def check(edge_index: Tensor, config: CooccurrenceConfig, block_size: int = 1024) -> None:
    found = cooccurrence_edges(edge_index, NUM_USERS, NUM_ITEMS, config, block_size)
    expected = loops(edge_index, config)
    assert found.edge_index.dtype == torch.int64
    assert found.edge_weight.dtype == torch.float32
    assert found.edge_index.T.tolist() == [[i, j] for i, j, _ in expected]
    assert found.edge_weight.tolist() == pytest.approx([weight for *_, weight in expected], rel=1e-6)


@pytest.mark.parametrize("block_size", [1, 5, 11, 12, 1024])
@pytest.mark.parametrize("min_count", [1, 2, 3])
@pytest.mark.parametrize("weight", ["count", "cosine"])
@pytest.mark.parametrize("k", [1, 3, 50])
def test_sparse_products_equal_the_loops(k: int, weight: str, min_count: int, block_size: int) -> None:
    config = CooccurrenceConfig(k=k, weight=weight, min_count=min_count)
    assert loops(pairs(), config)
    check(pairs(), config, block_size)


@given(
    st.lists(st.tuples(st.integers(0, NUM_USERS - 1), st.integers(0, NUM_ITEMS - 1)), max_size=60),
    st.builds(
        CooccurrenceConfig,
        k=st.integers(1, 12),
        weight=st.sampled_from(["count", "cosine"]),
        min_count=st.integers(1, 3),
    ),
    st.integers(1, 13),
)
def test_any_pairs_equal_the_loops(
    drawn: list[tuple[int, int]], config: CooccurrenceConfig, block_size: int
) -> None:
    check(torch.tensor(drawn, dtype=torch.int64).reshape(-1, 2).T, config, block_size)


def test_the_cosine_prefers_items_that_few_others_use() -> None:
    # items 0 and 1 share users 0 and 1; items 0 and 2 share users 0, 1 and 2, as does nearly everyone
    edge_index = torch.tensor([[0, 1, 2, 0, 1, 0, 1, 2, 3, 4, 5], [0, 0, 0, 1, 1, 2, 2, 2, 2, 2, 2]])
    nearest = {
        weight: int(
            cooccurrence_edges(edge_index, 9, 12, CooccurrenceConfig(k=1, weight=weight)).edge_index[1, 0]
        )
        for weight in ("count", "cosine")
    }
    assert nearest == {"count": 2, "cosine": 1}


def test_of_equal_counts_the_item_with_fewer_users_comes_first() -> None:
    edge_index = torch.tensor([[0, 0, 1, 0, 0], [3, 1, 1, 2, 5]])  # item 1 has two users, 2 and 5 have one
    found = cooccurrence_edges(edge_index, 9, 12, CooccurrenceConfig(weight="count"))
    assert found.edge_index[1, found.edge_index[0] == 3].tolist() == [2, 5, 1]


def test_without_common_users_there_are_no_edges() -> None:
    found = cooccurrence_edges(torch.tensor([[0, 1], [3, 4]]), 9, 12, CooccurrenceConfig())
    assert found.edge_index.shape == (2, 0)
    assert found.edge_weight.shape == (0,)


def test_relation_is_normalised_by_row_degrees() -> None:
    config = CooccurrenceConfig(k=3)
    edges = loops(pairs(), config)
    rows, columns, weight = ([edge[place] for edge in edges] for place in range(3))
    dense = torch.zeros(NUM_ITEMS, NUM_ITEMS)
    for row, column, value in zip(
        rows, columns, naive.symmetric_weight(rows, columns, weight, NUM_ITEMS), strict=True
    ):
        dense[row, column] = value
    found = cooccurrence_relation(pairs(), NUM_USERS, NUM_ITEMS, config)(torch.eye(NUM_ITEMS))
    torch.testing.assert_close(found, dense)
    assert not bool(found[-1].any())  # nobody uses the last item


def test_a_change_of_pairs_sizes_or_settings_builds_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANCHORREC_CACHE", str(tmp_path))
    config = CooccurrenceConfig()
    for _ in range(2):
        found = cached_cooccurrence_edges(pairs(), 9, 12, config)
        expected = cooccurrence_edges(pairs(), 9, 12, config)
        assert torch.equal(found.edge_index, expected.edge_index)
        assert torch.equal(found.edge_weight, expected.edge_weight)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1
    cached_cooccurrence_edges(pairs(seed=1), 9, 12, config)
    cached_cooccurrence_edges(pairs(), 9, 13, config)
    cached_cooccurrence_edges(pairs(), 9, 12, CooccurrenceConfig(k=3))
    assert len(list(tmp_path.rglob("*.safetensors"))) == 4
