from __future__ import annotations

import torch

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.models import build_model
from anchorrec_graph.models.popularity import PopularityConfig
from anchorrec_graph.testing import tiny_data
from anchorrec_graph.testing.tiny import COLD_ITEM
from anchorrec_graph.typing import Batch


def test_scores_are_training_counts_and_the_same_for_every_user() -> None:
    data = tiny_data()
    scores = build_model(PopularityConfig(), data).encode().scores(torch.tensor([0, 5]))
    items = data[INTERACTS].edge_index[1].tolist()
    expected = [items.count(item) for item in range(data["item"].num_nodes)]
    assert scores.tolist() == [expected, expected]
    assert expected[COLD_ITEM] == 0


def test_nothing_is_learnt() -> None:
    model = build_model(PopularityConfig(), tiny_data())
    one = torch.zeros(1, dtype=torch.int64)
    assert model.loss_terms(Batch(one, one, one)) == {}
    assert not list(model.parameters())
