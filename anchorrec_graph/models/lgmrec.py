"""LGMRec: Guo et al., "LGMRec: Local and Global Graph Learning for Multimodal Recommendation", AAAI 2024."""

from __future__ import annotations

from itertools import combinations
from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import HeteroData

from anchorrec_graph.graph.bipartite import bipartite_relation, interaction_relation, train_graph
from anchorrec_graph.losses.contrastive_all import info_nce_over_all
from anchorrec_graph.losses.regularization import norm_penalty
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
from anchorrec_graph.nn.projection import linear_head
from anchorrec_graph.registry import registered
from anchorrec_graph.typing import Batch, Embeddings, View

GLOBAL = "global"  # a view that is no modality


class LGMRecConfig(EmbeddingModelConfig):
    """The defaults are the published ones for Amazon Baby."""

    name: Literal["lgmrec"] = "lgmrec"
    backbone: Annotated[BackboneConfig, *registered(BACKBONES)] = LightGCNBackboneConfig()
    num_modality_layers: NonNegativeInt = 2
    num_hyperedges: PositiveInt = 4  # of each modality
    num_hyper_layers: PositiveInt = 1
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5  # of the memberships H, in training
    global_weight: NonNegativeFloat = 0.3
    contrast_weight: NonNegativeFloat = 1e-4
    temperature: PositiveFloat = 0.2  # of the memberships and of the contrast
    l2_weight: NonNegativeFloat = 1e-6


class Hyper(NamedTuple):
    """Q [U + I, d] of one modality by its factors."""

    membership: Tensor  # H [U + I, k]
    edges: Tensor  # Y [k, d]

    def nodes(self) -> Tensor:
        return self.membership @ self.edges

    def unit_membership(self) -> Tensor:
        """H / |Q|, the factor of Q / |Q|."""
        length: Tensor = self.nodes().norm(dim=1, keepdim=True)
        return self.membership / length.clamp(min=1e-12)  # 0 where dropout took a node out of all hyperedges


class Encoded(NamedTuple):
    """Embeddings of all nodes, users and then items."""

    content: Tensor  # C [U + I, d]
    local: dict[str, Tensor]  # modality -> Z / |Z| [U + I, d]
    hyper: dict[str, Hyper]


@MODELS.register(LGMRecConfig)
class LGMRec(Recommender):
    r"""Local embeddings travel over the user-item graph, global ones through a few hyperedges.

    .. math::
        C &= \mathrm{backbone}([P; E]), \quad
        Z^m = \hat A^L [D_u^{-1} R X^m W_m; X^m W_m] \\
        H^m_i &= \mathrm{softmax}((X^m V_m + \epsilon)/\tau), \quad
        H^m_u = \mathrm{softmax}((R X^m V_m + \epsilon)/\tau) \\
        Q^{m,0} &= C_i, \quad Y^{m,l} = H_i^{m\top} Q^{m,l-1}_i, \quad
        Q^{m,l} = [H^m_u; H^m_i] Y^{m,l} \\
        F &= C + \sum_m \frac{Z^m}{|Z^m|} + \alpha \frac{G}{|G|}, \quad G = \sum_m Q^m, \quad
        s(u, i) = \langle F_u, F_i \rangle

    with the interactions R, frozen features X and the last layer's Q; norms are those of rows.
    :math:`\epsilon` is Gumbel noise, drawn anew for each batch, and H has dropout. The public code
    draws the noise in evaluation too, where two calls give different scores; here evaluation has
    :math:`\epsilon = 0`, the same as noise at its mean, and so gives the same scores each time.

    Loss over a batch of triples (u, p, n): ranking loss, and, whichever that is,

    - contrast: contrast_weight times the sum, not the mean, over the batch of
      NCE(Q^m_u -> Q^n_u) + NCE(Q^m_p -> Q^n_p) against all users and all items (`info_nce_over_all`)
    - l2: l2_weight / B (|F_u| + |F_p| + |F_n|), norms not squared

    The pair (m, n) is (image, text) in the public code. Any modalities, from one on: the contrast is
    the mean over all pairs, m before n in the data's order, and one modality has none.

    Raises:
        ConfigError: the data has no modality, or one with the name of another view.
    """

    degree: Tensor

    def __init__(self, config: LGMRecConfig, data: HeteroData) -> None:
        super().__init__()
        self.config, self.scoring = config, Scoring(config, data)
        features, dim = item_features(data, config.name, ID, GLOBAL), config.embedding_dim
        edge_index, self.num_users, num_items = train_graph(data)
        self.user_item = bipartite_relation(edge_index, self.num_users, num_items)
        self.interactions = interaction_relation(edge_index, self.num_users, num_items)
        degree = self.interactions(torch.ones(num_items, 1)).clamp(min=1)
        self.register_buffer("degree", degree, persistent=False)
        self.features = nn.ModuleDict({m: FeatureTable(x, trainable=False) for m, x in features.items()})
        self.user = xavier_table(self.num_users, dim)
        self.item = xavier_table(num_items, dim)
        self.backbone = build_backbone(config.backbone, dim)
        self.project = nn.ModuleDict(
            {m: linear_head(x.shape[1], dim, bias=False) for m, x in features.items()}
        )
        self.hyperedges = nn.ModuleDict(
            {m: linear_head(x.shape[1], config.num_hyperedges, bias=False) for m, x in features.items()}
        )

    def propagate(self, drawn: bool) -> Encoded:
        """Embeddings with noise and dropout if `drawn`, and without if not."""
        content = self.backbone(torch.cat([self.user.weight, self.item.weight]), self.user_item)
        local, hyper = {}, {}
        for modality, table in self.features.items():
            maps: list[Tensor] = [
                *self.project[modality].parameters(),
                *self.hyperedges[modality].parameters(),
            ]
            item = table() @ torch.cat(maps).T  # both at once: the features are read once
            user = self.interactions(item)
            dim = self.config.embedding_dim
            nodes = torch.cat([user[:, :dim] / self.degree, item[:, :dim]])
            for _ in range(self.config.num_modality_layers):
                nodes = self.user_item(nodes)
            local[modality] = functional.normalize(nodes, dim=1)
            membership = self.membership(torch.cat([user[:, dim:], item[:, dim:]]), drawn)
            hyper[modality] = Hyper(membership, self.hyperedge_rows(content, membership))
        return Encoded(content, local, hyper)

    def membership(self, logits: Tensor, drawn: bool) -> Tensor:
        """H of n nodes in k hyperedges, from logits [n, k]."""
        temperature = self.config.temperature
        if not drawn:
            return (logits / temperature).softmax(1)
        return functional.dropout(functional.gumbel_softmax(logits, temperature, dim=1), self.config.dropout)

    def hyperedge_rows(self, content: Tensor, membership: Tensor) -> Tensor:
        """Y of the last layer [k, d], from the items of C and of H."""
        members = membership[self.num_users :]
        edges = members.T @ content[self.num_users :]
        for _ in range(self.config.num_hyper_layers - 1):
            edges = members.T @ (members @ edges)
        return edges

    def combine(self, encoded: Encoded) -> dict[str, Tensor]:
        """The summands of F [U + I, d] by view."""
        together = sum((hyper.nodes() for hyper in encoded.hyper.values()), torch.zeros(()))
        shared = self.config.global_weight * functional.normalize(together, dim=1)
        return {ID: encoded.content, **encoded.local, GLOBAL: shared}

    def encode(self) -> Embeddings:
        parts = self.combine(self.propagate(drawn=False))
        views = {name: View(x[: self.num_users], x[self.num_users :]) for name, x in parts.items()}
        return self.scoring.embeddings(views)

    def user_parts(self, user: int, items: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        raise not_linear(self.config.name, "its hyperedges are a softmax of the sum")

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        config = self.config
        encoded = self.propagate(drawn=True)
        nodes = sum(self.combine(encoded).values(), torch.zeros(()))
        user, item = nodes[: self.num_users], nodes[self.num_users :]
        triple = user[batch.users], item[batch.positive_items], item[batch.negative_items]
        terms = {
            "ranking": self.scoring.loss(user, item, batch),
            "l2": config.l2_weight * norm_penalty(*triple),
        }
        if config.contrast_weight and len(encoded.hyper) > 1:
            total = len(batch.users) * self._contrast(encoded.hyper, batch)
            terms["contrast"] = config.contrast_weight * total
        return terms

    def _contrast(self, hyper: dict[str, Hyper], batch: Batch) -> Tensor:
        """The mean over pairs of modalities and over the batch."""
        temperature, values = self.config.temperature, []
        users, user_count = batch.users.unique(return_counts=True)
        items, item_count = batch.positive_items.unique(return_counts=True)
        for first, second in combinations(hyper.values(), 2):
            # their products are the cosines of Q^m and Q^n, at k numbers a row and not d
            query = first.unit_membership() @ (first.edges @ second.edges.T)
            key = second.unit_membership()
            (query_user, query_item), (key_user, key_item) = (
                (x[: self.num_users], x[self.num_users :]) for x in (query, key)
            )
            values.append(
                info_nce_over_all(query_user, key_user, users, user_count, temperature)
                + info_nce_over_all(query_item, key_item, items, item_count, temperature)
            )
        return torch.stack(values).mean()
