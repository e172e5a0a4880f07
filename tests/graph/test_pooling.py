from __future__ import annotations

import pytest
import torch

from anchorrec_graph.graph.pooling import max_relation
from anchorrec_graph.graph.relation import Relation


def random_relation(
    num_nodes: int, num_edges: int, seed: int
) -> tuple[Relation, dict[tuple[int, int], float]]:
    """A relation without repeated edges, and its weights by (row, column); half of them are negative."""
    generator = torch.Generator().manual_seed(seed)
    row, column = torch.randint(num_nodes, (2, num_edges), generator=generator)
    pairs = sorted(set(zip(row.tolist(), column.tolist(), strict=True)))
    weight = torch.randn(len(pairs), generator=generator)
    row, column = torch.tensor(pairs).T
    edges = dict(zip(pairs, weight.tolist(), strict=True))
    return Relation(row, column, weight, (num_nodes, num_nodes)), edges


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_edge_has_its_largest_weight(count: int) -> None:
    relations, edges = zip(*(random_relation(6, 14, seed) for seed in range(count)), strict=True)
    expected = torch.zeros(6, 6)
    for row in range(6):
        for column in range(6):
            found = [e[row, column] for e in edges if (row, column) in e]
            if found:
                expected[row, column] = max(found)
    pooled = max_relation(relations)
    torch.testing.assert_close(pooled(torch.eye(6)), expected)
    assert pooled.weight.numel() == len({pair for e in edges for pair in e})
    assert bool((expected < 0).any())  # an edge that is missing elsewhere does not count as 0 there
