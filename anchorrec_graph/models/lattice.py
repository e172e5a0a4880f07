"""LATTICE: Zhang et al., "Mining Latent Structures for Multimedia Recommendation", MM 2021."""

from __future__ import annotations

from typing import Annotated, Literal, cast

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt, field_validator
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import HeteroData
from torch_geometric.utils import coalesce

from anchorrec_graph.graph.bipartite import random_walk_relation, train_graph
from anchorrec_graph.graph.knn import KnnConfig, KnnEdges, knn_edges, knn_relation
from anchorrec_graph.graph.normalize import symmetric_weight
from anchorrec_graph.graph.relation import Relation
from anchorrec_graph.losses.regularization import squared_norm_penalty
from anchorrec_graph.models.base import (
    MODELS,
    EmbeddingModelConfig,
    Propagated,
    PropagatingRecommender,
    item_features,
    xavier_table,
)
from anchorrec_graph.models.scoring import Scoring
from anchorrec_graph.nn.backbone import BACKBONES, BackboneConfig, LightGCNBackboneConfig, build_backbone
from anchorrec_graph.nn.features import FeatureTable
from anchorrec_graph.registry import registered
from anchorrec_graph.typing import Batch, Embeddings, View


class LATTICEConfig(EmbeddingModelConfig):
    name: Literal["lattice"] = "lattice"
    backbone: Annotated[BackboneConfig, *registered(BACKBONES)] = LightGCNBackboneConfig()
    trainable_features: bool = True
    projection_dim: PositiveInt = 64  # of the space that the learned graph is built in
    knn: KnnConfig = KnnConfig(include_self=True, drop_negative=False)  # of both graphs
    num_knn_layers: PositiveInt = 1
    native_share: Annotated[float, Field(ge=0, le=1)] = 0.9  # of the graph of the native features
    l2_weight: NonNegativeFloat = 1e-4  # MMRec's grid: 0, 1e-5, 1e-4, 1e-3
    l2_batch_size: PositiveInt = 2048  # the divisor of l2, also in the last, smaller batch of an epoch

    @field_validator("knn")
    @classmethod
    def _weights_can_learn(cls, knn: KnnConfig) -> KnnConfig:
        if knn.weight == "binary":
            raise ValueError("knn.weight 'binary' gives the learned graph no gradient; use 'cosine'")
        return knn


@MODELS.register(LATTICEConfig)
class LATTICE(PropagatingRecommender):
    r"""The item graph is learned: neighbours by native features and, anew each epoch, by projected ones.

    .. math::
        K(X) &= \text{the k largest } \cos(x_i, x_j) \text{ of each row}, \quad
        N(S) = D^{-1/2} S D^{-1/2}, \quad \beta = \mathrm{softmax}(b) \\
        A &= \lambda \sum_m \beta_m N(K(X^m)) + (1 - \lambda)\, N\Bigl(\sum_m \beta_m K(T_m(X^m))\Bigr) \\
        [C; G] &= \mathrm{backbone}([P; E]), \quad h = A^L E \\
        F_u &= C_u, \quad F_i = G_i + h_i / \|h_i\|, \quad s(u, i) = \langle F_u, F_i \rangle

    with row degrees D and the native share :math:`\lambda`. As in the public code the backbone's
    operator is D^-1 (A + I) over the user-item graph. Only the k n M chosen cosines are computed with
    a gradient, no n x n matrix. As there, too, T, b and the features X learn from the first step of
    an epoch only (there, a step is a batch): the other steps use the graph that this one built, as a
    constant. Evaluation builds the graph of the current parameters, which is also what the public code does.

    Loss: ranking loss + l2_weight / 2B (|F_u|^2 + |F_p|^2 + |F_n|^2), whichever ranking loss is chosen.

    The learned graph is always exact, so its time is quadratic also beyond `knn.approximate.above` items.

    Any modalities, from one on. h is normalised after their sum, so they share the view "structure".

    Raises:
        ConfigError: the data has no modality.
    """

    def __init__(self, config: LATTICEConfig, data: HeteroData) -> None:
        super().__init__()
        self.config, self.scoring = config, Scoring(config, data)
        features, dim = item_features(data, config.name), config.embedding_dim
        edge_index, self.num_users, num_items = train_graph(data)
        self.user_item = random_walk_relation(edge_index, self.num_users, num_items)
        self.native_graphs = nn.ModuleDict({m: knn_relation(x, config.knn) for m, x in features.items()})
        self.features = nn.ModuleDict(
            {m: FeatureTable(x, config.trainable_features) for m, x in features.items()}
        )
        self.project = nn.ModuleDict(
            {m: nn.Linear(x.shape[1], config.projection_dim) for m, x in features.items()}
        )
        self.modality_logits = nn.Parameter(torch.zeros(len(features)))
        self.user = xavier_table(self.num_users, dim)
        self.item = xavier_table(num_items, dim)
        self.backbone = build_backbone(config.backbone, dim)
        self.epoch_graph: Relation | None = None  # until a step has built it
        # each modality's projected rows and their neighbours: an evaluation and the next epoch share them
        self.neighbours: dict[str, tuple[Tensor, Tensor]] = {}

    def start_epoch(self, generator: torch.Generator) -> None:  # noqa: ARG002
        self.epoch_graph = None

    def item_graph(self) -> Relation:
        """A [I, I] of the current parameters; its weights carry their gradients."""
        size, native_share = self.item.num_embeddings, self.config.native_share
        shares = self.modality_logits.softmax(0).unbind()
        native = [cast(Relation, graph) for graph in self.native_graphs.values()]
        learned = [self._learned_edges(modality) for modality in self.features]
        row, column = torch.cat([edges.edge_index for edges in learned], dim=1)
        cosine = torch.cat([share * edges.edge_weight for share, edges in zip(shares, learned, strict=True)])
        weights = [(1 - native_share) * symmetric_weight(row, column, cosine, size)]
        weights += [native_share * share * graph.weight for share, graph in zip(shares, native, strict=True)]
        edge_index = torch.cat(
            [torch.stack([row, column]), *(graph.edge_index.flip(0) for graph in native)], dim=1
        )
        (row, column), weight = coalesce(edge_index, torch.cat(weights), size)
        return Relation(row, column, weight, (size, size))

    def _learned_edges(self, modality: str) -> KnnEdges:
        """The k nearest items by projected features, and the cosines with a gradient."""
        unit = functional.normalize(self.project[modality](self.features[modality]()))
        rows, edge_index = self.neighbours.get(modality, (None, None))
        if rows is None or edge_index is None or not torch.equal(rows, unit):
            edge_index = knn_edges(unit.detach(), self.config.knn).edge_index
            self.neighbours[modality] = unit.detach(), edge_index
        return KnnEdges(edge_index, (unit[edge_index[0]] * unit[edge_index[1]]).sum(1))

    def propagate(self, graph: Relation) -> tuple[Tensor, Tensor, Tensor]:
        """C of users [U, d], G and h / |h| of items [I, d], over the item graph `graph`."""
        x = self.backbone(torch.cat([self.user.weight, self.item.weight]), self.user_item)
        h = self.item.weight
        for _ in range(self.config.num_knn_layers):
            h = graph(h)
        return x[: self.num_users], x[self.num_users :], functional.normalize(h)

    def encode(self) -> Embeddings:
        user, item, structure = self.propagate(self.item_graph())
        views = {"id": View(user, item), "structure": View(None, structure)}
        return self.scoring.embeddings(views)

    def user_parts(self, user: int, items: Tensor) -> dict[str, Tensor]:
        x = torch.cat([self.user.weight, self.item.weight])
        return self.scoring.user_parts({"id": self.backbone.row_parts(x, self.user_item, user)}, items)

    def propagated(self) -> Propagated:
        graph = self.item_graph() if self.epoch_graph is None else self.epoch_graph
        user, item, structure = self.propagate(graph)
        graph.weight = graph.weight.detach()
        self.epoch_graph = graph
        return Propagated(user, item + structure, {})

    def batch_terms(self, propagated: Propagated, batch: Batch) -> dict[str, Tensor]:
        config, (user, item, *_) = self.config, propagated
        triple = user[batch.users], item[batch.positive_items], item[batch.negative_items]
        return {
            "ranking": self.scoring.loss(user, item, batch),
            "l2": config.l2_weight * squared_norm_penalty(*triple, batch_size=config.l2_batch_size),
        }
