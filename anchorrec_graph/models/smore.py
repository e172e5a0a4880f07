"""SMORE: Ong and Khong, "Spectrum-based Modality Representation Fusion Graph Convolutional Network for
Multimodal Recommendation", WSDM 2025."""

from __future__ import annotations

from functools import reduce
from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import HeteroData

from anchorrec_graph.graph.bipartite import bipartite_relation, train_graph, user_from_item_relation
from anchorrec_graph.graph.knn import KnnConfig, knn_relation
from anchorrec_graph.graph.pooling import max_relation
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
from anchorrec_graph.nn.spectrum import SpectralFilter
from anchorrec_graph.registry import registered
from anchorrec_graph.settings import check_names
from anchorrec_graph.typing import Batch, Embeddings, View

FUSION = "fusion"  # a view that is no modality


class SMOREConfig(EmbeddingModelConfig):
    """The defaults are the published ones for Amazon Baby, but for the number of neighbours."""

    name: Literal["smore"] = "smore"
    backbone: Annotated[BackboneConfig, *registered(BACKBONES)] = LightGCNBackboneConfig(num_layers=4)
    trainable_features: bool = True
    knn: KnnConfig = KnnConfig(include_self=True, drop_negative=False)
    num_neighbours: dict[str, PositiveInt] | None = None  # in place of knn.k; Baby: image 40, text 15
    num_knn_layers: NonNegativeInt = 1
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1  # of the preferences g, in training
    l2_weight: NonNegativeFloat = 1e-4  # MMRec's grid: 1e-5, 1e-4
    l2_batch_size: PositiveInt = 2048  # the divisor of l2, also in the last, smaller batch of an epoch
    align_weight: NonNegativeFloat = 0.01
    temperature: PositiveFloat = 0.2


@MODELS.register(SMOREConfig)
class SMORE(Recommender):
    r"""Features are filtered, and multiplied with each other, in the frequency domain.

    .. math::
        C &= \mathrm{backbone}([P; E]), \quad H^m = \mathrm{rfft}(T_m(x^m)), \quad H^f = \prod_m H^m \\
        q^v &= [\hat R p^v; p^v], \quad p^v = A_v^L (E \odot \sigma(G_v\, \mathrm{irfft}(w^v \odot H^v))) \\
        g^v &= \sigma(B_v C), \quad \alpha^m = \mathrm{softmax}_d(W_m \tanh(V_m q^f)), \quad \alpha^f = 1 \\
        S &= \frac{1}{M + 1} \sum_v g^v \odot \alpha^v \odot q^v, \quad
        F = C + S, \quad s(u, i) = \langle F_u, F_i \rangle

    for M modalities m, 2 in the public code, and views v: the modalities and their fusion f. A_f is
    `max_relation` of the kNN graphs A_m; the softmax runs over the d entries of a row. Every linear map
    but W has a bias.

    Loss over a batch of triples (u, p, n): ranking loss, and, whichever that is,

    - l2: l2_weight / 2B (|F_u|^2 + |F_p|^2 + |F_n|^2)
    - align: align_weight (NCE(S_p -> C_p) + NCE(S_u -> C_u)) (`info_nce`)

    Any modalities, from one on; the fused spectrum of one is its own.

    Raises:
        ConfigError: the data has no modality, or one with the name of another view, or
            `num_neighbours` names one that it does not have.
    """

    def __init__(self, config: SMOREConfig, data: HeteroData) -> None:
        super().__init__()
        self.config, self.scoring = config, Scoring(config, data)
        features, dim = item_features(data, config.name, ID, FUSION), config.embedding_dim
        edge_index, self.num_users, num_items = train_graph(data)
        self.user_item = bipartite_relation(edge_index, self.num_users, num_items)
        self.user_from_item = user_from_item_relation(edge_index, self.num_users, num_items)
        knn = knn_settings(config, list(features))
        graphs = {m: knn_relation(x, knn[m]) for m, x in features.items()}
        views = *features, FUSION
        self.item_graphs = nn.ModuleDict({**graphs, FUSION: max_relation(list(graphs.values()))})
        self.features = nn.ModuleDict(
            {m: FeatureTable(x, config.trainable_features) for m, x in features.items()}
        )
        self.user = xavier_table(self.num_users, dim)
        self.item = xavier_table(num_items, dim)
        self.backbone = build_backbone(config.backbone, dim)
        self.project = nn.ModuleDict({m: nn.Linear(x.shape[1], dim) for m, x in features.items()})
        self.filters = nn.ModuleDict({v: SpectralFilter(dim) for v in views})
        self.gates = nn.ModuleDict({v: nn.Linear(dim, dim) for v in views})
        self.attention = nn.ModuleDict(
            {
                m: nn.Sequential(nn.Linear(dim, dim), nn.Tanh(), nn.Linear(dim, dim, bias=False))
                for m in features
            }
        )
        self.preference = nn.ModuleDict({v: nn.Linear(dim, dim) for v in views})

    def propagate(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """C of users [U, d] and items [I, d], q of users [U, M + 1, d] and items [I, M + 1, d]."""
        x = self.backbone(torch.cat([self.user.weight, self.item.weight]), self.user_item)
        spectra = {
            m: torch.fft.rfft(project(self.features[m]()), norm="ortho")
            for m, project in self.project.items()
        }
        spectra[FUSION] = reduce(torch.mul, spectra.values())
        views = []
        for name, spectrum in spectra.items():
            view = self.item.weight * torch.sigmoid(self.gates[name](self.filters[name](spectrum)))
            for _ in range(self.config.num_knn_layers):
                view = self.item_graphs[name](view)
            views.append(view)
        item = torch.stack(views, dim=1)
        user = self.user_from_item(item.flatten(1)).unflatten(1, item.shape[1:])
        return x[: self.num_users], x[self.num_users :], user, item

    def mix(self, content: Tensor, views: Tensor, dropout: float = 0.0) -> Tensor:
        """The summands of S [n, M + 1, d] of n users or items, from their rows of C [n, d] and q."""
        fusion = views[:, -1]
        attention = [layers(fusion).softmax(1) for layers in self.attention.values()]
        preference = [torch.sigmoid(gate(content)) for gate in self.preference.values()]
        weight = torch.stack([*attention, torch.ones_like(fusion)], dim=1) / len(preference)
        return functional.dropout(torch.stack(preference, dim=1), dropout) * weight * views

    def encode(self) -> Embeddings:
        id_user, id_item, user_views, item_views = self.propagate()
        user, item = self.mix(id_user, user_views), self.mix(id_item, item_views)
        views = {ID: View(id_user, id_item)}
        views |= {v: View(user[:, place], item[:, place]) for place, v in enumerate(self.preference)}
        return self.scoring.embeddings(views)

    def user_parts(self, user: int, items: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        raise not_linear(self.config.name, "attention and preference weigh its views by the rows themselves")

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        config = self.config
        id_user, id_item, user_views, item_views = self.propagate()
        users, place, user_count = batch.users.unique(return_inverse=True, return_counts=True)
        id_user = id_user[users]  # only the batch's users are mixed
        side_user = self.mix(id_user, user_views[users], config.dropout).sum(1)
        side_item = self.mix(id_item, item_views, config.dropout).sum(1)
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


def knn_settings(config: SMOREConfig, modalities: list[str]) -> dict[str, KnnConfig]:
    """The settings of each modality's item graph."""
    given = config.num_neighbours or {}
    check_names("model.num_neighbours", "modality", given, modalities)
    return {m: config.knn.model_copy(update={"k": given.get(m, config.knn.k)}) for m in modalities}
