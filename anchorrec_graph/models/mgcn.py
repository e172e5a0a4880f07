"""MGCN: Yu et al., "Multi-View Graph Convolutional Network for Multimedia Recommendation", MM 2023."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from anchorrec_graph.graph.bipartite import bipartite_relation, train_graph, user_from_item_relation
from anchorrec_graph.graph.knn import KnnConfig, knn_relation
from anchorrec_graph.losses.contrastive import info_nce
from anchorrec_graph.losses.regularization import squared_norm_penalty
from anchorrec_graph.models.base import (
    ID,
    MODELS,
    EmbeddingModelConfig,
    Recommender,
    item_features,
    not_linear,
    xavier_table,
)
from anchorrec_graph.models.scoring import Scoring
from anchorrec_graph.nn.backbone import BACKBONES, BackboneConfig, LightGCNBackboneConfig, build_backbone
from anchorrec_graph.nn.features import FeatureTable
from anchorrec_graph.nn.view import ModalityView
from anchorrec_graph.registry import registered
from anchorrec_graph.typing import Batch, Embeddings, View


class MGCNConfig(EmbeddingModelConfig):
    name: Literal["mgcn"] = "mgcn"
    backbone: Annotated[BackboneConfig, *registered(BACKBONES)] = LightGCNBackboneConfig()
    trainable_features: bool = True
    knn: KnnConfig = KnnConfig(include_self=True, drop_negative=False)
    num_knn_layers: NonNegativeInt = 1
    l2_weight: NonNegativeFloat = 1e-4
    l2_batch_size: PositiveInt = 2048  # the divisor of l2, also in the last, smaller batch of an epoch
    align_weight: NonNegativeFloat = 0.01  # MMRec's grid: .001, .01, .1
    temperature: PositiveFloat = 0.2


@MODELS.register(MGCNConfig)
class MGCN(Recommender):
    r"""Modality views, gated by the id table, are mixed by attention and by what the user or item prefers.

    .. math::
        C &= \mathrm{backbone}([P; E]), \quad
        q^m = [\hat R v^m; v^m], \quad v^m = A_m^L (E \odot \sigma(G_m T_m(x^m))) \\
        \alpha^m &= \mathrm{softmax}_m(w^T \tanh(W q^m)), \quad c = \sum_m \alpha^m q^m, \quad
        g^m = \sigma(H_m C) \\
        S &= \frac{1}{M + 1} \Bigl(c + \sum_m g^m \odot (q^m - c)\Bigr), \quad
        F = C + S, \quad s(u, i) = \langle F_u, F_i \rangle

    for M modalities, 2 in the public code; every linear map but w has a bias. S is a sum over
    modalities of :math:`(g^m + (1 - \sum_k g^k) \alpha^m) \odot q^m / (M + 1)`. Each summand is that
    modality's view; its weights depend on the other modalities too.

    Loss over a batch of triples (u, p, n): ranking loss, and, whichever that is,

    - l2: l2_weight / 2B (|F_u|^2 + |F_p|^2 + |F_n|^2)
    - align: align_weight (NCE(S_p -> C_p) + NCE(S_u -> C_u)) (`info_nce`)

    Any modalities, from one on; with one, c = q and S = q / 2, so attention and preference are idle.

    Raises:
        ConfigError: the data has no modality, or one with the name of the id view.
    """

    def __init__(self, config: MGCNConfig, data: HeteroData) -> None:
        super().__init__()
        self.config, self.scoring = config, Scoring(config, data)
        features, dim = item_features(data, config.name, ID), config.embedding_dim
        edge_index, self.num_users, num_items = train_graph(data)
        self.user_item = bipartite_relation(edge_index, self.num_users, num_items)
        self.user_from_item = user_from_item_relation(edge_index, self.num_users, num_items)
        self.item_graphs = nn.ModuleDict({m: knn_relation(x, config.knn) for m, x in features.items()})
        self.features = nn.ModuleDict(
            {m: FeatureTable(x, config.trainable_features) for m, x in features.items()}
        )
        self.user = xavier_table(self.num_users, dim)
        self.item = xavier_table(num_items, dim)
        self.backbone = build_backbone(config.backbone, dim)
        self.views = nn.ModuleDict(
            {m: ModalityView(x.shape[1], dim, "gate", config.num_knn_layers) for m, x in features.items()}
        )
        self.attention = nn.Sequential(nn.Linear(dim, dim), nn.Tanh(), nn.Linear(dim, 1, bias=False))
        self.preference = nn.ModuleDict({m: nn.Linear(dim, dim) for m in features})

    def propagate(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """C of users [U, d] and items [I, d], q of users [U, M, d] and items [I, M, d]."""
        x = self.backbone(torch.cat([self.user.weight, self.item.weight]), self.user_item)
        views = [
            view(self.features[m](), self.item.weight, self.item_graphs[m]) for m, view in self.views.items()
        ]
        item = torch.stack(views, dim=1)
        user = self.user_from_item(item.flatten(1)).unflatten(1, item.shape[1:])
        return x[: self.num_users], x[self.num_users :], user, item

    def mix(self, content: Tensor, views: Tensor) -> Tensor:
        """The summands of S [n, M, d] of n users or items, from their rows of C [n, d] and q [n, M, d]."""
        attention: Tensor = self.attention(views).softmax(1)
        gates = [torch.sigmoid(gate(content)) for gate in self.preference.values()]
        preference = torch.stack(gates, dim=1)
        weight = preference + (1 - preference.sum(1, keepdim=True)) * attention
        return weight * views / (len(gates) + 1)

    def encode(self) -> Embeddings:
        id_user, id_item, user_views, item_views = self.propagate()
        user, item = self.mix(id_user, user_views), self.mix(id_item, item_views)
        views = {ID: View(id_user, id_item)}
        views |= {m: View(user[:, place], item[:, place]) for place, m in enumerate(self.views)}
        return self.scoring.embeddings(views)

    def user_parts(self, user: int, items: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        raise not_linear(self.config.name, "attention and preference weigh its views by the rows themselves")

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        config = self.config
        id_user, id_item, user_views, item_views = self.propagate()
        users, place, user_count = batch.users.unique(return_inverse=True, return_counts=True)
        id_user = id_user[users]  # only the batch's users are mixed
        side_user = self.mix(id_user, user_views[users]).sum(1)
        side_item = self.mix(id_item, item_views).sum(1)
        user, item = id_user + side_user, id_item + side_item
        items, item_count = batch.positive_items.unique(return_counts=True)
        align = info_nce(side_item[items], id_item[items], item_count, config.temperature)
        align = align + info_nce(side_user, id_user, user_count, config.temperature)
        triple = user[place], item[batch.positive_items], item[batch.negative_items]
        return {
            "ranking": self.scoring.loss(user, item, batch._replace(users=place)),
            "l2": config.l2_weight * squared_norm_penalty(*triple, batch_size=config.l2_batch_size),
            "align": config.align_weight * align,
        }
