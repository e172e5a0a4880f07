"""BM3: Zhou et al., "Bootstrap Latent Representations for Multi-modal Recommendation", WWW 2023."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import HeteroData

from anchorrec_graph.graph.bipartite import bipartite_relation, train_graph
from anchorrec_graph.losses.bootstrap import bootstrap_distance
from anchorrec_graph.losses.regularization import norm_penalty
from anchorrec_graph.models.base import MODELS, ModelConfig, Recommender, item_features, xavier_table
from anchorrec_graph.nn.backbone import BACKBONES, BackboneConfig, LightGCNBackboneConfig, build_backbone
from anchorrec_graph.nn.features import FeatureTable
from anchorrec_graph.nn.projection import linear_head
from anchorrec_graph.registry import registered
from anchorrec_graph.typing import Batch, Embeddings, View


class BM3Config(ModelConfig):
    """The defaults are the published ones for Amazon Baby.

    There is no `loss`: a ranking loss compares a user with items in the space of the scores, BM3
    compares predictions with targets that live before the predictor, and needs no negatives.
    """

    name: Literal["bm3"] = "bm3"
    embedding_dim: PositiveInt = 64
    backbone: Annotated[BackboneConfig, *registered(BACKBONES)] = LightGCNBackboneConfig(num_layers=1)
    trainable_features: bool = True
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5  # of the targets
    modality_weight: NonNegativeFloat = 2.0
    l2_weight: NonNegativeFloat = 0.1


@MODELS.register(BM3Config)
class BM3(Recommender):
    r"""Online embeddings predict dropped-out copies of each other; negatives are not used.

    .. math::
        [C; G] &= \mathrm{backbone}([P; E]), \quad H_u = C_u, \quad H_i = G_i + E_i \\
        z^m_i &= T_m x^m_i, \quad F = W H + b, \quad s(u, i) = \langle F_u, F_i \rangle

    With D(o, t) = 1 - mean cos(o, sg(t)) over the batch (`bootstrap_distance`), targets
    :math:`\tilde H, \tilde z` = dropout(H), dropout(z), and h(z) = W z + b, the loss is the sum of

    - reconstruct: :math:`D(F_u, \tilde H_p) + D(F_p, \tilde H_u)`
    - align: :math:`w \sum_m D(h(z^m_p), \tilde H_p)`
    - mask: :math:`w \sum_m D(h(z^m_p), \tilde z^m_p)`
    - l2: l2_weight / I (|H_users| + |H_items|), norms of the whole matrices, not squared, as in MMRec

    A repeated user or item of a batch has one target. Any modalities, from one on; they shape the id
    embeddings in training and are not in the score, so "id" is the only view.

    Raises:
        ConfigError: the data has no modality.
    """

    def __init__(self, config: BM3Config, data: HeteroData) -> None:
        super().__init__()
        self.config = config
        edge_index, self.num_users, num_items = train_graph(data)
        features, dim = item_features(data, config.name), config.embedding_dim
        self.graph = bipartite_relation(edge_index, self.num_users, num_items)
        self.user = xavier_table(self.num_users, dim)
        self.item = xavier_table(num_items, dim)
        self.backbone = build_backbone(config.backbone, dim)
        self.predictor = linear_head(dim, dim)
        self.features = nn.ModuleDict(
            {m: FeatureTable(x, config.trainable_features) for m, x in features.items()}
        )
        self.project = nn.ModuleDict({m: linear_head(x.shape[1], dim) for m, x in features.items()})

    def propagate(self) -> tuple[Tensor, Tensor]:
        """H of users [U, d] and items [I, d], before the predictor."""
        x = self.backbone(torch.cat([self.user.weight, self.item.weight]), self.graph)
        return x[: self.num_users], x[self.num_users :] + self.item.weight

    def encode(self) -> Embeddings:
        user, item = (self.predictor(x) for x in self.propagate())
        return Embeddings(user, item, {"id": View(user, item)})

    def user_parts(self, user: int, items: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        x = torch.cat([self.user.weight, self.item.weight])
        parts = functional.linear(self.backbone.row_parts(x, self.graph, user), self.predictor.weight)
        parts[0] += self.predictor.bias
        return {"id": parts}

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        user, item = self.propagate()
        users, user_place = batch.users.unique(return_inverse=True)
        items, item_place, count = batch.positive_items.unique(return_inverse=True, return_counts=True)
        distinct_user, distinct_item = user[users], item[items]
        user_target, item_target = self._target(distinct_user), self._target(distinct_item)
        user_online, item_online = self.predictor(distinct_user), self.predictor(distinct_item)
        reconstruct = bootstrap_distance(user_online[user_place], item_target[item_place])
        reconstruct = reconstruct + bootstrap_distance(item_online[item_place], user_target[user_place])
        align, mask = self._modality_terms(items, count, item_target)
        return {
            "reconstruct": reconstruct,
            "align": self.config.modality_weight * align,
            "mask": self.config.modality_weight * mask,
            "l2": self.config.l2_weight * norm_penalty(user, item),
        }

    def _modality_terms(self, items: Tensor, count: Tensor, item_target: Tensor) -> tuple[Tensor, Tensor]:
        align, mask = item_target.new_zeros(()), item_target.new_zeros(())
        for modality, project in self.project.items():
            z = project(self.features[modality]()[items])
            online = self.predictor(z)
            align = align + bootstrap_distance(online, item_target, count)
            mask = mask + bootstrap_distance(online, self._target(z), count)
        return align, mask

    def _target(self, x: Tensor) -> Tensor:
        return functional.dropout(x.detach(), self.config.dropout)
