from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.models import build_model
from anchorrec_graph.models.item_knn import ItemKNNConfig
from anchorrec_graph.testing import check_model, tiny_data
from anchorrec_graph.testing.tiny import COLD_ITEM, NUM_ITEMS
from anchorrec_graph.typing import Batch, Embeddings

ALL = range(NUM_ITEMS)


def encoded(**settings: float) -> Embeddings:
    return build_model(ItemKNNConfig(**settings), tiny_data()).encode()


def pairs() -> list[tuple[int, int]]:
    return [(u, i) for u, i in tiny_data()[INTERACTS].edge_index.T.tolist()]


def similarity(shrinkage: float) -> np.ndarray:
    users = [{u for u, i in pairs() if i == item} for item in ALL]
    table = np.zeros((NUM_ITEMS, NUM_ITEMS))
    for i in ALL:
        for j in ALL:
            scale = math.sqrt(len(users[i]) * len(users[j])) + shrinkage
            table[i, j] = len(users[i] & users[j]) / scale if i != j and scale else 0
    return table


@pytest.mark.parametrize("shrinkage", [0.0, 3.0])
def test_scores_are_the_similarities_to_the_users_items(shrinkage: float) -> None:
    table, own = similarity(shrinkage), pairs()
    scores = encoded(k=100, shrinkage=shrinkage).scores(torch.arange(20))
    for user in range(20):
        expected = [sum(table[i, j] for u, j in own if u == user) for i in ALL]
        np.testing.assert_allclose(scores[user], expected, atol=1e-6)
    assert not scores[:, COLD_ITEM].any()


@pytest.mark.parametrize("k", [1, 4])
def test_an_item_keeps_its_k_most_similar(k: int) -> None:
    table, kept = similarity(3.0), encoded(k=k, shrinkage=3.0).item.numpy()
    for i in ALL:
        places = kept[i].nonzero()[0]
        assert len(places) <= k
        np.testing.assert_allclose(kept[i, places], table[i, places], atol=1e-6)
        np.testing.assert_allclose(np.sort(kept[i])[-k:], np.sort(table[i])[-k:], atol=1e-6)


def test_nothing_is_learnt_and_nothing_is_saved() -> None:
    model = build_model(ItemKNNConfig(), tiny_data())
    one = torch.zeros(1, dtype=torch.int64)
    assert model.loss_terms(Batch(one, one, one)) == {}
    assert model.state_dict() == {}


@pytest.mark.parametrize("config", [ItemKNNConfig(k=1, shrinkage=0), ItemKNNConfig(k=500)], ids=repr)
def test_conformance(config: ItemKNNConfig) -> None:
    check_model(config)
