"""FREEDOM: Zhou and Shen, "A Tale of Two Graphs: Freezing and Denoising Graph Structures", MM 2023."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from anchorrec_graph.graph.bipartite import bipartite_relation, sent_to_strangers, train_graph
from anchorrec_graph.graph.knn import KnnConfig, knn_relation
from anchorrec_graph.graph.pruning import prune_edges
from anchorrec_graph.graph.relation import Relation
from anchorrec_graph.losses.ranking import bpr
from anchorrec_graph.models.base import (
    ID,
    MODELS,
    EmbeddingModelConfig,
    Propagated,
    PropagatingRecommender,
    item_features,
    modality_shares,
    xavier_table,
)
from anchorrec_graph.models.scoring import Scoring
from anchorrec_graph.nn.backbone import BACKBONES, BackboneConfig, LightGCNBackboneConfig, build_backbone
from anchorrec_graph.nn.features import FeatureTable
from anchorrec_graph.nn.fold_in import FoldIn
from anchorrec_graph.registry import registered
from anchorrec_graph.typing import Batch, Embeddings, View


class FREEDOMConfig(EmbeddingModelConfig):
    """The defaults are the published ones for Amazon Baby, but for the equal shares of the modalities."""

    name: Literal["freedom"] = "freedom"
    backbone: Annotated[BackboneConfig, *registered(BACKBONES)] = LightGCNBackboneConfig()
    knn: KnnConfig = KnnConfig(include_self=True, weight="binary", drop_negative=False)
    num_knn_layers: PositiveInt = 1
    graph_shares: dict[str, NonNegativeFloat] | None = None  # paper: image .1, text .9; None: equal
    drop_edges: Annotated[float, Field(ge=0, lt=1)] = 0.8  # of the training graph, in each epoch
    feature_weight: NonNegativeFloat = 1e-3
    trainable_features: bool = True


@MODELS.register(FREEDOMConfig)
class FREEDOM(PropagatingRecommender):
    r"""A frozen item graph from features, and a user-item graph that training sees only in part.

    .. math::
        [C; G] &= \mathrm{backbone}([P; E]), \quad h = (\sum_m \beta_m A_m)^L E \\
        F_u &= C_u, \quad F_i = G_i + h_i, \quad s(u, i) = \langle F_u, F_i \rangle

    with shares :math:`\beta_m` of the kNN graphs A_m. In training the backbone runs over edges drawn
    anew for each epoch (`prune_edges`), in evaluation over all.
    Loss: ranking loss + feature_weight :math:`\sum_m` BPR(F_u, T_m x^m_p, T_m x^m_n); the second part
    stays BPR whatever ranking loss is chosen.

    Any modalities, from one on. A view is what reaches an item over the last hop in that modality's
    graph; users have only the id view.

    Raises:
        ConfigError: the data has no modality, or one with the name of the id view, or `graph_shares`
            names one that it does not have.
    """

    edge_index: Tensor

    def __init__(self, config: FREEDOMConfig, data: HeteroData) -> None:
        super().__init__()
        self.config, self.scoring = config, Scoring(config, data)
        features, dim = item_features(data, config.name, ID), config.embedding_dim
        self.shares = modality_shares("graph_shares", config.graph_shares, features)
        edge_index, self.num_users, self.num_items = train_graph(data)
        self.register_buffer("edge_index", edge_index, persistent=False)
        self.user_item = bipartite_relation(edge_index, self.num_users, self.num_items)
        self.pruned = self.user_item  # until an epoch starts
        self.item_graphs = nn.ModuleDict({m: knn_relation(features[m], config.knn) for m in self.shares})
        self.user = xavier_table(self.num_users, dim)
        self.item = xavier_table(self.num_items, dim)
        self.backbone = build_backbone(config.backbone, dim)
        used = features if config.feature_weight else {}
        self.features = nn.ModuleDict(
            {m: FeatureTable(x, config.trainable_features) for m, x in used.items()}
        )
        self.project = nn.ModuleDict({m: nn.Linear(x.shape[1], dim) for m, x in used.items()})

    def start_epoch(self, generator: torch.Generator) -> None:
        if self.config.drop_edges:
            kept = prune_edges(self.edge_index, self.config.drop_edges, generator)
            self.pruned = bipartite_relation(kept, self.num_users, self.num_items)

    def propagate(self, graph: Relation) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """C of users [U, d] and G of items [I, d] over the user-item `graph`, and h [I, d] by modality."""
        x = self.backbone(torch.cat([self.user.weight, self.item.weight]), graph)
        h, parts = self.item.weight, dict[str, Tensor]()
        for _ in range(self.config.num_knn_layers):
            parts = {m: share * self.item_graphs[m](h) for m, share in self.shares.items()}
            h = sum(parts.values(), torch.zeros(()))
        return x[: self.num_users], x[self.num_users :], parts

    def views(self) -> dict[str, View]:
        user, item, parts = self.propagate(self.user_item)
        return {ID: View(user, item)} | {m: View(None, part) for m, part in parts.items()}

    def encode(self) -> Embeddings:
        return self.scoring.embeddings(self.views())

    def user_parts(self, user: int, items: Tensor) -> dict[str, Tensor]:
        x = torch.cat([self.user.weight, self.item.weight])
        return self.scoring.user_parts({ID: self.backbone.row_parts(x, self.user_item, user)}, items)

    def fold_in(self) -> FoldIn:
        x = torch.cat([self.user.weight, self.item.weight])
        sent = self.backbone.sent(x, self.user_item)[self.num_users :]
        return self.scoring.fold_in({ID: sent_to_strangers(sent, self.user_item)}, self.views())

    def propagated(self) -> Propagated:
        user, item, parts = self.propagate(self.pruned)
        return Propagated(user, sum(parts.values(), item), {})

    def batch_terms(self, propagated: Propagated, batch: Batch) -> dict[str, Tensor]:
        user, item = propagated.user, propagated.item
        terms = {"ranking": self.scoring.loss(user, item, batch)}
        if self.config.feature_weight:
            terms["features"] = self.config.feature_weight * self._feature_ranking(user, batch)
        return terms

    def _feature_ranking(self, user: Tensor, batch: Batch) -> Tensor:
        total = user.new_zeros(())
        users = user[batch.users]
        items, place = torch.cat([batch.positive_items, batch.negative_items]).unique(return_inverse=True)
        for modality, project in self.project.items():
            projected = project(self.features[modality]().index_select(0, items))
            total = total + bpr(users, *projected[place].chunk(2))
        return total
