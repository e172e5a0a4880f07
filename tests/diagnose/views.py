"""Embeddings of three views for the tests of dominance."""

from __future__ import annotations

from spaces import random_space

from anchorrec_graph.models.scoring import sum_views
from anchorrec_graph.typing import Embeddings, View


def random_embeddings(num_users: int = 5, num_items: int = 9) -> Embeddings:
    """Views id, image, and of items only: bias."""
    users, items = ([random_space(n, 4, seed) + 0.2 for seed in range(3)] for n in (num_users, num_items))
    return sum_views(
        {"id": View(users[0], items[0]), "image": View(users[1], items[1]), "bias": View(None, items[2])}
    )
