from __future__ import annotations

import pytest
import torch
from spaces import cosine, present, random_space

from anchorrec_graph.diagnose.neighbours import nearest_items


@pytest.mark.parametrize("queries", [[0, 2, 5, 7], list(range(8))])
def test_against_sorting_all_cosines(queries: list[int]) -> None:
    space = random_space(8, 3, seed=0, missing=[2, 4])
    space[6] = torch.nan
    valid, expected = present(space), set()
    for i in queries:
        others = sorted(
            (j for j in valid if j != i and i in valid), key=lambda j: -cosine(space[i], space[j])
        )
        expected |= {(i, j) for j in others[:3]}
    edges = nearest_items(space, 3, torch.tensor(queries))
    assert {(i, j) for i, j in edges.T.tolist()} == expected


def test_fewer_items_than_neighbours() -> None:
    edges = nearest_items(random_space(4, 3, seed=0), 9, torch.tensor([1]))
    assert sorted(edges[1].tolist()) == [0, 2, 3]
