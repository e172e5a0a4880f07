"""VBPR: He and McAuley, "VBPR: Visual Bayesian Personalized Ranking from Implicit Feedback", AAAI 2016."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import NonNegativeFloat
from torch import Tensor
from torch.nn import functional
from torch_geometric.data import HeteroData

from anchorrec_graph.graph.bipartite import train_graph
from anchorrec_graph.losses.regularization import norm_penalty
from anchorrec_graph.models.base import (
    ID,
    MODELS,
    EmbeddingModelConfig,
    Recommender,
    item_features,
    xavier_table,
)
from anchorrec_graph.models.scoring import Scoring
from anchorrec_graph.nn.features import FeatureTable
from anchorrec_graph.nn.projection import linear_head
from anchorrec_graph.typing import Batch, Embeddings, View


class VBPRConfig(EmbeddingModelConfig):
    name: Literal["vbpr"] = "vbpr"
    l2_weight: NonNegativeFloat = 0.01  # MMRec's grid: 1e-5 ... 2


@MODELS.register(VBPRConfig)
class VBPR(Recommender):
    r"""Half of a user's 2d numbers meets the item's own embedding, half the features of all modalities.

    .. math::
        F_u = [P_u; Q_u], \quad F_i = [E_i; W [x^1_i; x^2_i; \dots] + b],
        \quad s(u, i) = \langle F_u, F_i \rangle

    as in MMRec: one linear map of the concatenated frozen features, no item biases.
    Loss: ranking loss + l2_weight / B (|F_u| + |F_p| + |F_n|), norms over the batch, not squared; the
    second term stays whatever ranking loss is chosen.

    Any modalities, from one on. The map is a sum over modalities, so each is a view: W's columns for
    it, an equal share of b, and an equal share of Q, which has no parts of its own.

    Raises:
        ConfigError: the data has no modality, or one with the name of the id view.
    """

    def __init__(self, config: VBPRConfig, data: HeteroData) -> None:
        super().__init__()
        self.config, self.scoring = config, Scoring(config, data)
        features = item_features(data, config.name, ID)
        _, num_users, num_items = train_graph(data)
        self.widths = {modality: x.shape[1] for modality, x in features.items()}
        self.features = FeatureTable(torch.cat(list(features.values()), dim=1), trainable=False)
        self.user = xavier_table(num_users, 2 * config.embedding_dim)
        self.item = xavier_table(num_items, config.embedding_dim)
        self.project = linear_head(sum(self.widths.values()), config.embedding_dim)

    def encode(self) -> Embeddings:
        dim, widths = self.config.embedding_dim, list(self.widths.values())
        own, taste = self.user.weight.split(dim, dim=1)
        taste, bias = taste / len(widths), self.project.bias / len(widths)
        views = {ID: View(functional.pad(own, (0, dim)), functional.pad(self.item.weight, (0, dim)))}
        parts = self.features().split(widths, dim=1), self.project.weight.split(widths, dim=1)
        for modality, x, weight in zip(self.widths, *parts, strict=True):
            content = functional.linear(x, weight, bias)
            views[modality] = View(functional.pad(taste, (dim, 0)), functional.pad(content, (dim, 0)))
        return self.scoring.embeddings(views)

    def user_parts(self, user: int, items: Tensor) -> dict[str, Tensor]:
        """All of it is the user's own: purchases act in training only."""
        own, taste = self.user.weight[user].split(self.config.embedding_dim)
        rows = {ID: torch.cat([own, 0 * taste])}
        rows |= dict.fromkeys(self.widths, torch.cat([0 * own, taste / len(self.widths)]))
        parts = {name: functional.pad(row.unsqueeze(0), (0, 0, 0, len(items))) for name, row in rows.items()}
        return self.scoring.user_parts(parts, items)

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        user = self.user.weight
        item = torch.cat([self.item.weight, self.project(self.features())], dim=1)
        triple = user[batch.users], item[batch.positive_items], item[batch.negative_items]
        return {
            "ranking": self.scoring.loss(user, item, batch),
            "l2": self.config.l2_weight * norm_penalty(*triple),
        }
