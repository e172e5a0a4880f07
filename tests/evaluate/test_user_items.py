from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from anchorrec_graph.evaluate import UserItems


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), max_size=30))
def test_user_items_equal_sets(pairs: list[tuple[int, int]]) -> None:
    sets = [{item for user, item in pairs if user == u} for u in range(5)]
    index = UserItems.from_pairs(torch.tensor(pairs, dtype=torch.long).view(-1, 2).T, 5, 7)
    assert index.pairs.T.tolist() == [[u, item] for u in range(5) for item in sorted(sets[u])]
    assert index.counts().tolist() == [len(items) for items in sets]

    users = torch.tensor([4, 0, 0, 2])
    rows, items = index.select(users)
    found = list(zip(rows.tolist(), items.tolist(), strict=True))
    assert found == [(row, item) for row, u in enumerate(users.tolist()) for item in sorted(sets[u])]

    asked = torch.arange(-1, 7).expand(4, -1)
    expected = [[item in sets[u] for item in range(-1, 7)] for u in users.tolist()]
    assert index.contains(users, asked).tolist() == expected
