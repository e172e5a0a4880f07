"""The decomposition of a score into views is the Shapley value."""

from __future__ import annotations

from itertools import combinations
from math import factorial

import pytest
import torch
from shop import random_embeddings
from torch import Tensor

from anchorrec_graph.explain.parts import view_parts
from anchorrec_graph.models.scoring import to_cosine
from anchorrec_graph.typing import Embeddings

PAIRS = torch.tensor([[0, 1, 2, 3, 3], [4, 0, 7, 7, 8]])


def worth(embeddings: Embeddings, names: tuple[str, ...]) -> Tensor:
    """The score of each pair from some of the views only."""
    users, items = PAIRS
    views = [embeddings.views[name] for name in names]
    user = sum((v.user[users] for v in views if v.user is not None), torch.zeros(len(users), 6))
    item = sum((v.item[items] for v in views), torch.zeros(len(items), 6))
    return (user * item).sum(1)


def shapley(embeddings: Embeddings, name: str) -> Tensor:
    """By definition: the mean gain from adding a view, over all orders of the views."""
    others, total = [other for other in embeddings.views if other != name], torch.zeros(PAIRS.shape[1])
    n = len(embeddings.views)
    for size in range(n):
        weight = factorial(size) * factorial(n - size - 1) / factorial(n)
        for subset in combinations(others, size):
            total += weight * (worth(embeddings, (*subset, name)) - worth(embeddings, subset))
    return total


@pytest.mark.parametrize("cosine", [False, True])
def test_parts_are_shapley_values(cosine: bool) -> None:
    embeddings = random_embeddings(5, 9)
    embeddings = to_cosine(embeddings) if cosine else embeddings
    parts = view_parts(embeddings, *PAIRS)
    assert list(parts) == ["id", "image", "recovered"]
    for name, part in parts.items():
        torch.testing.assert_close(part, shapley(embeddings, name))


def test_parts_sum_to_the_score() -> None:
    embeddings = random_embeddings(5, 9)
    parts = view_parts(embeddings, *PAIRS)
    torch.testing.assert_close(
        torch.stack([*parts.values()]).sum(0), embeddings.scores(PAIRS[0])[range(5), PAIRS[1]]
    )


def test_equal_views_have_equal_parts_and_an_empty_view_has_none() -> None:
    embeddings = random_embeddings(5, 9)
    view = embeddings.views["id"]
    assert view.user is not None
    empty = view._replace(user=torch.zeros_like(view.user), item=torch.zeros_like(view.item))
    twins = Embeddings(2 * view.user, 2 * view.item, {"a": view, "b": view, "empty": empty})
    parts = view_parts(twins, *PAIRS)
    torch.testing.assert_close(parts["a"], parts["b"])
    assert parts["empty"].abs().max() == 0
