"""LightGCN: He et al., "LightGCN: Simplifying and Powering Graph Convolution Network", SIGIR 2020."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import NonNegativeFloat
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.graph.bipartite import bipartite_relation, sent_to_strangers, train_graph
from anchorrec_graph.graph.graphs import Graphs, WholeGraphs
from anchorrec_graph.graph.subgraph import Reach
from anchorrec_graph.losses.regularization import norm_penalty
from anchorrec_graph.models.base import (
    MODELS,
    EmbeddingModelConfig,
    Propagated,
    SampledRecommender,
    global_ids,
    table_rows,
    xavier_table,
)
from anchorrec_graph.models.scoring import Scoring
from anchorrec_graph.nn.backbone import BACKBONES, BackboneConfig, LightGCNBackboneConfig, build_backbone
from anchorrec_graph.nn.fold_in import FoldIn
from anchorrec_graph.registry import registered
from anchorrec_graph.typing import Batch, Embeddings, View


class LightGCNConfig(EmbeddingModelConfig):
    name: Literal["lightgcn"] = "lightgcn"
    backbone: Annotated[BackboneConfig, *registered(BACKBONES)] = LightGCNBackboneConfig()
    l2_weight: NonNegativeFloat = 1e-4


@MODELS.register(LightGCNConfig)
class LightGCN(SampledRecommender):
    r"""F = backbone([P; E]) over the user-item graph, score <F_u, F_i>; any other backbone may be named.

    Loss: ranking loss + l2_weight / B (|P_u| + |E_p| + |E_n|), norms of the
    batch's ego embeddings, not squared, as in MMRec.
    """

    def __init__(self, config: LightGCNConfig, data: HeteroData) -> None:
        super().__init__()
        self.config, self.scoring = config, Scoring(config, data)
        edge_index, self.num_users, num_items = train_graph(data)
        self.graph = bipartite_relation(edge_index, self.num_users, num_items)
        self.user = xavier_table(self.num_users, config.embedding_dim)
        self.item = xavier_table(num_items, config.embedding_dim)
        self.backbone = build_backbone(config.backbone, config.embedding_dim)

    def propagate(self, graphs: Graphs | None = None) -> tuple[Tensor, Tensor]:
        """Final users [U, d] and items [I, d] that the graphs are asked for; default: all."""
        graphs = self.whole() if graphs is None else graphs
        tables = table_rows(self.user, graphs.user_ids), table_rows(self.item, graphs.item_ids)
        x = self.backbone.over(torch.cat(tables), graphs.user_item)
        return x[: graphs.num_users], x[graphs.num_users :]

    def views(self) -> dict[str, View]:
        return {"id": View(*self.propagate())}

    def encode(self) -> Embeddings:
        return self.scoring.embeddings(self.views())

    def user_parts(self, user: int, items: Tensor) -> dict[str, Tensor]:
        x = torch.cat([self.user.weight, self.item.weight])
        return self.scoring.user_parts({"id": self.backbone.row_parts(x, self.graph, user)}, items)

    def fold_in(self) -> FoldIn:
        x = torch.cat([self.user.weight, self.item.weight])
        sent = self.backbone.sent(x, self.graph)[self.num_users :]
        return self.scoring.fold_in({"id": sent_to_strangers(sent, self.graph)}, self.views())

    def whole(self) -> WholeGraphs:
        return WholeGraphs(self.num_users, self.graph)

    def prepare_sampling(self) -> Reach:
        self.scoring.check_sampled()
        return Reach(self.backbone.num_hops())

    def propagated_over(self, graphs: Graphs) -> Propagated:
        return Propagated(*self.propagate(graphs), {}, graphs.asked_users, graphs.asked_items)

    def batch_terms(self, propagated: Propagated, batch: Batch) -> dict[str, Tensor]:
        users, items = propagated.user_ids, propagated.item_ids
        ego = (
            self.user(global_ids(users, batch.users)),
            self.item(global_ids(items, batch.positive_items)),
            self.item(global_ids(items, batch.negative_items)),
        )
        return {
            "ranking": self.scoring.loss(propagated.user, propagated.item, batch, items),
            "l2": self.config.l2_weight * norm_penalty(*ego),
        }
