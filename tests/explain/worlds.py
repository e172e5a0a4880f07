"""Small models on `tiny_data`, trained by nothing, whose numbers are all different."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.models import MODELS, Recommender, build_model
from anchorrec_graph.models.base import ModelConfig
from anchorrec_graph.testing import tiny_data
from anchorrec_graph.typing import Embeddings

DATA = tiny_data()
COLD_USER = 19  # of tiny_data: no training items
NOT_LINEAR = ("lgmrec", "mgcn", "smore")
LINEAR = sorted(set(MODELS) - set(NOT_LINEAR))


def built(config: ModelConfig, data: HeteroData = DATA) -> Recommender:
    torch.manual_seed(0)
    return build_model(config, data).eval()


def encoded(model: Recommender) -> Embeddings:
    with torch.no_grad():
        return model.encode()


def bought(user: int, data: HeteroData = DATA) -> Tensor:
    pairs = data[INTERACTS].edge_index
    return pairs[1, pairs[0] == user].sort().values
