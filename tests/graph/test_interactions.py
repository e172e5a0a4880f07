from __future__ import annotations

import torch

from anchorrec_graph.graph.bipartite import interaction_relation


def test_users_get_the_sum_over_their_items() -> None:
    pairs = [(0, 1), (0, 2), (2, 2), (3, 0)]  # user 1 has no items, item 3 no users
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    expected = torch.zeros(5, 3)
    for user, item in pairs:
        expected[user] += x[item]
    torch.testing.assert_close(interaction_relation(torch.tensor(pairs).T, 5, 4)(x), expected)
