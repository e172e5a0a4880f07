from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
import torch
from torch import Tensor

from anchorrec_graph.graph.pruning import prune_edges

STAR = torch.tensor([[0, 0, 0, 1, 2], [0, 1, 2, 0, 3]])  # user 0 and item 0 are popular
DEGREES = [(3, 2), (3, 1), (3, 1), (1, 2), (1, 1)]  # of user and item of each edge
RUNS = 4000


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def all_pairs(num_users: int, num_items: int) -> Tensor:
    return torch.cartesian_prod(torch.arange(num_users), torch.arange(num_items)).T


@pytest.mark.parametrize(("drop", "count"), [(0, 300), (0.1, 270), (0.5, 150), (0.8, 60), (0.991, 2)])
def test_the_kept_share(drop: float, count: int) -> None:
    edges = all_pairs(20, 15)
    kept = prune_edges(edges, drop, seeded())
    assert kept.shape == (2, count)
    places = (kept[0] * 15 + kept[1]).tolist()
    assert places == sorted(set(places))  # none twice, in the order of the input


def sequences(weights: list[float], draws: int) -> dict[frozenset[int], float]:
    """The probability of each set of edges when one is drawn after the other, without replacement."""
    chance: dict[frozenset[int], float] = Counter()
    for order in itertools.permutations(range(len(weights)), draws):
        left, probability = sum(weights), 1.0
        for edge in order:
            probability *= weights[edge] / left
            left -= weights[edge]
        chance[frozenset(order)] += probability
    return chance


@pytest.mark.parametrize(("drop", "draws"), [(0.8, 1), (0.6, 2), (0.4, 3)])
def test_the_probability_of_every_set(drop: float, draws: int) -> None:
    expected = sequences([1 / math.sqrt(user * item) for user, item in DEGREES], draws)
    generator = seeded()
    number = {tuple(pair): place for place, pair in enumerate(STAR.T.tolist())}
    seen = Counter(
        frozenset(number[tuple(pair)] for pair in prune_edges(STAR, drop, generator).T.tolist())
        for _ in range(RUNS)
    )
    assert sum(expected.values()) == pytest.approx(1)
    for edges, probability in expected.items():
        deviation = math.sqrt(probability * (1 - probability) / RUNS)
        assert abs(seen[edges] / RUNS - probability) < 4.5 * deviation


def test_the_generator_decides() -> None:
    edges = all_pairs(20, 15)
    generator = seeded()
    first, second = (prune_edges(edges, 0.5, generator) for _ in range(2))
    assert not torch.equal(first, second)
    torch.manual_seed(7)
    assert torch.equal(first, prune_edges(edges, 0.5, seeded()))


def test_no_edges() -> None:
    assert prune_edges(torch.zeros(2, 0, dtype=torch.long), 0.5, seeded()).shape == (2, 0)
