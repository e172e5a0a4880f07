"""Small AnchorRec models on `tiny_data`, and batches for them."""

from __future__ import annotations

from typing import Any

import torch

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.data.sampler import NegativeSampler
from anchorrec_graph.models import build_model
from anchorrec_graph.models.anchorrec import AnchorRec, AnchorRecConfig
from anchorrec_graph.nn.history import HistoryConfig
from anchorrec_graph.testing import tiny_data
from anchorrec_graph.typing import Batch

Names = tuple[str, ...]


def built(config: AnchorRecConfig, modalities: Names = ("image", "text"), seed: int = 0) -> AnchorRec:
    torch.manual_seed(seed)
    model = build_model(config, tiny_data(modalities=modalities))
    assert isinstance(model, AnchorRec)
    return model


def small(**settings: Any) -> AnchorRecConfig:
    return AnchorRecConfig(embedding_dim=8, **settings)


def learned(**settings: Any) -> AnchorRecConfig:
    """Without the parts of the score that are not learned: the popularity prior and the history view."""
    return small(**{"popularity_weight": 0.0, "history": HistoryConfig(weight=0), **settings})


def batches(count: int, size: int = 24) -> list[Batch]:
    """Drawn from the training edges of `tiny_data`, whose interactions do not depend on its features."""
    edge_index = tiny_data()[INTERACTS].edge_index
    sampler, generator = NegativeSampler(edge_index, 20, 24), torch.Generator().manual_seed(0)
    drawn = []
    for _ in range(count):
        users, items = edge_index[:, torch.randint(edge_index.shape[1], (size,), generator=generator)]
        drawn.append(Batch(users, items, sampler.sample(users, generator)))
    return drawn
