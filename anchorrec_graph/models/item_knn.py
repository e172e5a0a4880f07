"""ItemKNN: Sarwar et al., "Item-based Collaborative Filtering Recommendation Algorithms", WWW 2001."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.models.base import MODELS, ModelConfig
from anchorrec_graph.models.item_based import ItemBasedRecommender
from anchorrec_graph.nn.item_weights import common_users
from anchorrec_graph.topk import row_topk


class ItemKNNConfig(ModelConfig):
    """The defaults are the best of a small grid on the validation pairs of Amazon Office."""

    name: Literal["item_knn"] = "item_knn"
    k: PositiveInt = 100
    shrinkage: NonNegativeFloat = 50.0


@MODELS.register(ItemKNNConfig)
class ItemKNN(ItemBasedRecommender[ItemKNNConfig]):
    r"""Items score by their similarity to the user's own: with U_i the training users of item i,

    .. math::
        s(u, i) = \sum_{j \in I_u \cap N(i)} \mathrm{sim}(i, j), \quad
        \mathrm{sim}(i, j) = \frac{|U_i \cap U_j|}{\sqrt{|U_i|\, |U_j|} + \mathrm{shrinkage}}

    where N(i) are the k items most similar to i, without i itself: a cosine for binary data (Deshpande
    and Karypis, TOIS 2004) that few common users cannot make large. Nothing is learned by gradient.

    A user's embedding is the training row, an item's its similarities.
    """

    def weights(self, config: ItemKNNConfig, data: HeteroData) -> Tensor:  # noqa: ARG002
        count = common_users(self.user)
        norm = count.diagonal().sqrt()
        scale = (torch.outer(norm, norm) + config.shrinkage).clamp(min=1e-9)  # items without users
        similarity = (count / scale).float().fill_diagonal_(0)
        value, column = row_topk(similarity, config.k)
        return torch.zeros_like(similarity).scatter_(1, column, value)
