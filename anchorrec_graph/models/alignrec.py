"""AlignRec: Liu et al., "AlignRec: Aligning and Training in Multimodal Recommendations", CIKM 2024."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor
from torch.nn import functional
from torch_geometric.data import HeteroData

from anchorrec_graph.encoders.fused import FUSED, add_fused
from anchorrec_graph.graph.bipartite import (
    bipartite_relation,
    sent_to_strangers,
    train_graph,
    user_from_item_relation,
)
from anchorrec_graph.graph.knn import KnnConfig, knn_relation
from anchorrec_graph.losses.contrastive import info_nce
from anchorrec_graph.losses.preservation import similarity_gap
from anchorrec_graph.losses.regularization import squared_norm_penalty
from anchorrec_graph.models.base import (
    ID,
    MODELS,
    EmbeddingModelConfig,
    Recommender,
    item_features,
    xavier_table,
)
from anchorrec_graph.models.scoring import Scoring
from anchorrec_graph.nn.backbone import BACKBONES, BackboneConfig, LightGCNBackboneConfig, build_backbone
from anchorrec_graph.nn.features import FeatureTable
from anchorrec_graph.nn.fold_in import FoldIn
from anchorrec_graph.nn.view import ModalityView
from anchorrec_graph.registry import registered
from anchorrec_graph.typing import Batch, Embeddings, View


class AlignRecConfig(EmbeddingModelConfig):
    name: Literal["alignrec"] = "alignrec"
    backbone: Annotated[BackboneConfig, *registered(BACKBONES)] = LightGCNBackboneConfig()
    fused: str = FUSED  # the modality that the model reads; built from the others if the data has none
    trainable_features: bool = True
    knn: KnnConfig = KnnConfig(include_self=True, drop_negative=False)
    num_knn_layers: NonNegativeInt = 1
    l2_weight: NonNegativeFloat = 1e-4
    l2_batch_size: PositiveInt = 2048  # the divisor of l2, also in the last, smaller batch of an epoch
    align_weight: NonNegativeFloat = 0.01
    temperature: PositiveFloat = 0.2
    cosine_weight: NonNegativeFloat = 0.1
    preserve_weight: NonNegativeFloat = 0.1


@MODELS.register(AlignRecConfig)
class AlignRec(Recommender):
    r"""The content view of a fused feature x and the id view are aligned directly, for items and users.

    .. math::
        C &= \mathrm{backbone}([P; E]), \quad q = A^L (E \odot \sigma(G\, T(x) + b)), \quad r = \hat R q \\
        F_u &= C_u + r_u, \quad F_i = C_i + q_i, \quad s(u, i) = \langle F_u, F_i \rangle

    Loss over a batch of triples (u, p, n): ranking loss, and, whichever that is,

    - l2: l2_weight / 2B (|F_u|^2 + |F_p|^2 + |F_n|^2)
    - align: align_weight (NCE(q_p -> C_p) + NCE(r_u -> C_u)) (`info_nce`)
    - cosine: cosine_weight (1 - mean cos(F_u, F_p))
    - preserve: preserve_weight :math:`\|q_p q_p^T - \cos(x_p)\|_F / B` (`similarity_gap`)

    The paper's fused feature comes from BEiT3, trained for it. Any modalities, from one on: without a
    fused feature `add_fused` joins them all, and any one of them can be named as `fused`.

    Raises:
        ConfigError: the data has no modality, or not the one that `fused` names.
    """

    def __init__(self, config: AlignRecConfig, data: HeteroData) -> None:
        super().__init__()
        self.config, self.scoring = config, Scoring(config, data)
        features = add_fused(item_features(data, config.name, ID), config.fused)[config.fused]
        edge_index, self.num_users, num_items = train_graph(data)
        dim = config.embedding_dim
        self.user_item = bipartite_relation(edge_index, self.num_users, num_items)
        self.user_from_item = user_from_item_relation(edge_index, self.num_users, num_items)
        self.item_graph = knn_relation(features, config.knn)
        self.features = FeatureTable(features, config.trainable_features)
        self.user = xavier_table(self.num_users, dim)
        self.item = xavier_table(num_items, dim)
        self.backbone = build_backbone(config.backbone, dim)
        self.view = ModalityView(features.shape[1], dim, "gate", config.num_knn_layers)

    def propagate(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The id view C of users [U, d] and items [I, d], and the content view: r [U, d] and q [I, d]."""
        x = self.backbone(torch.cat([self.user.weight, self.item.weight]), self.user_item)
        content = self.view(self.features(), self.item.weight, self.item_graph)
        return x[: self.num_users], x[self.num_users :], self.user_from_item(content), content

    def views(self) -> dict[str, View]:
        id_user, id_item, content_user, content_item = self.propagate()
        return {ID: View(id_user, id_item), self.config.fused: View(content_user, content_item)}

    def encode(self) -> Embeddings:
        return self.scoring.embeddings(self.views())

    def user_parts(self, user: int, items: Tensor) -> dict[str, Tensor]:
        x, (_, _, _, content) = torch.cat([self.user.weight, self.item.weight]), self.propagate()
        _, terms = self.user_from_item.terms(content, user)
        parts = {
            ID: self.backbone.row_parts(x, self.user_item, user),
            self.config.fused: functional.pad(terms, (0, 0, 1, 0)),  # nothing is the user's own
        }
        return self.scoring.user_parts(parts, items)

    def fold_in(self) -> FoldIn:
        x, views = torch.cat([self.user.weight, self.item.weight]), self.views()
        sent = {m: view.item for m, view in views.items()}
        sent[ID] = self.backbone.sent(x, self.user_item)[self.num_users :]
        return self.scoring.fold_in({m: sent_to_strangers(y, self.user_item) for m, y in sent.items()}, views)

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        config = self.config
        id_user, id_item, content_user, content_item = self.propagate()
        user, item = id_user + content_user, id_item + content_item
        triple = user[batch.users], item[batch.positive_items], item[batch.negative_items]
        users, user_count = batch.users.unique(return_counts=True)
        items, item_count = batch.positive_items.unique(return_counts=True)
        content = content_item[items]
        align = info_nce(content, id_item[items], item_count, config.temperature)
        align = align + info_nce(content_user[users], id_user[users], user_count, config.temperature)
        cosine = functional.cosine_similarity(triple[0], triple[1]).mean()
        gap = similarity_gap(content, self.features()[items], item_count)
        return {
            "ranking": self.scoring.loss(user, item, batch),
            "l2": config.l2_weight * squared_norm_penalty(*triple, batch_size=config.l2_batch_size),
            "align": config.align_weight * align,
            "cosine": config.cosine_weight * (1 - cosine),
            "preserve": config.preserve_weight * gap,
        }
