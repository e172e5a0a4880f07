"""DA-MRS: Xv et al., "Improving Multi-modal Recommender Systems by Denoising and Aligning Multi-modal
Content and User Feedback", KDD 2024."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import HeteroData

from anchorrec_graph.graph.bipartite import bipartite_relation, sent_to_strangers, train_graph
from anchorrec_graph.graph.consistent import cached_consistent_edges
from anchorrec_graph.graph.cooccurrence import CooccurrenceConfig, cached_cooccurrence_edges
from anchorrec_graph.graph.knn import KnnConfig
from anchorrec_graph.graph.relation import Relation, normalized_relation
from anchorrec_graph.losses.denoising import denoised_bpr, feedback_weights
from anchorrec_graph.losses.neighbours import neighbour_discrimination
from anchorrec_graph.losses.preference import preference_divergence
from anchorrec_graph.losses.ranking import BPRConfig, score_gap
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
from anchorrec_graph.nn.fold_in import FoldIn
from anchorrec_graph.registry import registered
from anchorrec_graph.typing import Batch, Embeddings, View

BEHAVIOUR = "behaviour"  # a view that is no modality


class DAMRSConfig(EmbeddingModelConfig):
    """The defaults are the published ones. Edges of all item graphs count 1, whatever their `weight`."""

    name: Literal["damrs"] = "damrs"
    backbone: Annotated[BackboneConfig, *registered(BACKBONES)] = LightGCNBackboneConfig()
    knn: KnnConfig = KnnConfig(include_self=True)
    cooccurrence: CooccurrenceConfig = CooccurrenceConfig(k=2, weight="count", min_count=2)
    num_item_layers: NonNegativeInt = 1
    user_align_weight: NonNegativeFloat = 1.0
    item_align_weight: NonNegativeFloat = 1e-3
    num_neighbours: PositiveInt = 10  # of an item in each of the two sets of item alignment
    temperature: PositiveFloat = 0.2


class Encoded(NamedTuple):
    """Users, and the two sides of the items."""

    user: Tensor  # [U, d]
    item: Tensor  # [I, d]
    views: dict[str, Tensor]  # each [I, d]


@MODELS.register(DAMRSConfig)
class DAMRS(Recommender):
    r"""The item table seen through denoised item graphs, added to the backbone's items.

    .. math::
        [C; G] = \mathrm{backbone}([P; E]), \quad h^v = A_v^L E, \quad
        F_u = C_u, \quad F_i = G_i + \bar h_i, \quad \bar h = \operatorname{mean}_v h^v

    over views v: one per modality, with A_v the neighbours of `graph.consistent`, and behaviour, with
    those of `graph.cooccurrence` and the item itself. Edges have weight 1, normalised by row degrees.
    Features shape graphs only. Loss over a batch of triples (u, p, n), formulas in `losses/`:

    - ranking: `denoised_bpr`, weighted by the scores :math:`\langle C_u, h^v / \|h^v\| \rangle` of p and n
    - user_align: w_u `preference_divergence` of :math:`C_u` over :math:`G_i` and :math:`\bar h_i`
    - item_align: w_i `neighbour_discrimination` of the views

    the last two over the batch's distinct users and distinct items, positive or negative. Another
    ranking loss than bpr takes the place of the first term, not denoised, and the others stay.

    Any modalities, from one on. Where the published code leaves the order of equal counts open,
    `cooccurrence_edges` says which item comes first.

    Raises:
        ConfigError: the data has no modality, or one with the name of another view.
    """

    def __init__(self, config: DAMRSConfig, data: HeteroData) -> None:
        super().__init__()
        self.config, self.scoring = config, Scoring(config, data)
        edge_index, self.num_users, num_items = train_graph(data)
        features = item_features(data, config.name, ID, BEHAVIOUR)
        self.graph = bipartite_relation(edge_index, self.num_users, num_items)
        edges = {m: e.edge_index for m, e in cached_consistent_edges(features, config.knn).items()}
        behaviour = cached_cooccurrence_edges(edge_index, self.num_users, num_items, config.cooccurrence)
        itself = torch.arange(num_items).expand(2, -1)
        edges[BEHAVIOUR] = torch.cat([itself, behaviour.edge_index], dim=1)
        self.item_graphs = nn.ModuleDict({v: _unweighted(pairs, num_items) for v, pairs in edges.items()})
        self.user = xavier_table(self.num_users, config.embedding_dim)
        self.item = xavier_table(num_items, config.embedding_dim)
        self.backbone = build_backbone(config.backbone, config.embedding_dim)

    def propagate(self) -> Encoded:
        """C, G and every h^v."""
        x = self.backbone(torch.cat([self.user.weight, self.item.weight]), self.graph)
        views = {}
        for name, graph in self.item_graphs.items():
            view = self.item.weight
            for _ in range(self.config.num_item_layers):
                view = graph(view)
            views[name] = view
        return Encoded(x[: self.num_users], x[self.num_users :], views)

    def views(self) -> dict[str, View]:
        user, item, views = self.propagate()
        return {ID: View(user, item)} | {name: View(None, view / len(views)) for name, view in views.items()}

    def encode(self) -> Embeddings:
        return self.scoring.embeddings(self.views())

    def user_parts(self, user: int, items: Tensor) -> dict[str, Tensor]:
        x = torch.cat([self.user.weight, self.item.weight])
        return self.scoring.user_parts({ID: self.backbone.row_parts(x, self.graph, user)}, items)

    def fold_in(self) -> FoldIn:
        x = torch.cat([self.user.weight, self.item.weight])
        sent = self.backbone.sent(x, self.graph)[self.num_users :]
        return self.scoring.fold_in({ID: sent_to_strangers(sent, self.graph)}, self.views())

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        config = self.config
        user, item, views = self.propagate()
        mean = torch.stack(list(views.values())).mean(0)
        terms = {"ranking": self._ranking(user, item + mean, views, batch)}
        items = torch.cat([batch.positive_items, batch.negative_items]).unique()
        if config.user_align_weight:
            users = user[batch.users.unique()]
            divergence = preference_divergence(users, item[items], mean[items])
            terms["user_align"] = config.user_align_weight * divergence
        if config.item_align_weight:
            terms["item_align"] = config.item_align_weight * neighbour_discrimination(
                list(views.values()), items, config.num_neighbours, config.temperature
            )
        return terms

    def _ranking(self, user: Tensor, item: Tensor, views: dict[str, Tensor], batch: Batch) -> Tensor:
        if not isinstance(self.config.loss, BPRConfig):
            return self.scoring.loss(user, item, batch)
        users = user[batch.users]
        with torch.no_grad():
            units = [functional.normalize(view, dim=1) for view in views.values()]
            positive, negative = (
                torch.stack([(users * unit[items]).sum(1) for unit in units])
                for items in (batch.positive_items, batch.negative_items)
            )
        gap = score_gap(user, item, batch, self.scoring.prior)
        return denoised_bpr(gap, feedback_weights(positive, negative))


def _unweighted(edge_index: Tensor, size: int) -> Relation:
    row, column = edge_index
    return normalized_relation(row, column, torch.ones(len(row)), size)
