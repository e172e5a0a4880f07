"""Popularity: every user gets the items with the most training interactions."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.graph.bipartite import train_graph
from anchorrec_graph.models.base import MODELS, ModelConfig, Recommender
from anchorrec_graph.nn.fold_in import FoldIn
from anchorrec_graph.typing import Batch, Embeddings, View


class PopularityConfig(ModelConfig):
    name: Literal["popularity"] = "popularity"


@MODELS.register(PopularityConfig)
class Popularity(Recommender):
    """s(u, i) = number of users who interacted with i in training: the baseline that knows no user."""

    item: Tensor

    def __init__(self, config: PopularityConfig, data: HeteroData) -> None:  # noqa: ARG002
        super().__init__()
        edge_index, self.num_users, num_items = train_graph(data)
        self.register_buffer("item", torch.bincount(edge_index[1], minlength=num_items).float().unsqueeze(1))

    def encode(self) -> Embeddings:
        user = self.item.new_ones(self.num_users, 1)
        return Embeddings(user, self.item, {"popularity": View(user, self.item)})

    def user_parts(self, user: int, items: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        part = self.item.new_zeros(1 + len(items), 1)
        part[0] = 1  # the count belongs to no purchase
        return {"popularity": part}

    def fold_in(self) -> FoldIn:
        return FoldIn({}, {"popularity": self.item.new_ones(1)}, {"popularity": 0}, 1, (), None)

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:  # noqa: ARG002
        return {}
