"""What else can score an item that nobody bought: the rivals of benchmarks/cold.py.

Each takes the warm data and the features of n new items, and scores the W warm items and then the new ones
for every user.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.graph.bipartite import train_graph
from anchorrec_graph.graph.knn import unit_rows
from anchorrec_graph.models.base import modality_shares
from anchorrec_graph.models.content_knn import ContentKNN, ContentKNNConfig
from anchorrec_graph.models.ease_features import EASEFeatures, EASEFeaturesConfig
from anchorrec_graph.nn.item_weights import add_features, common_users, user_rows
from anchorrec_graph.typing import Embeddings

Features = Mapping[str, Tensor]


class Table(NamedTuple):
    """Scores [U, I] that are there already."""

    table: Tensor

    def scores(self, users: Tensor) -> Tensor:
        return self.table[users]


def content_knn(data: HeteroData, new: Features, k: int) -> Embeddings:
    """Content kNN with equal shares; a new item's neighbours are the k nearest warm items, cosine above 0."""
    model = ContentKNN(ContentKNNConfig(k=k), data)
    parts = []
    for modality, x in new.items():
        cosine = _cosines(x, data["item"][modality])
        value, item = cosine.topk(min(k, cosine.shape[1]), dim=1)
        parts.append(torch.zeros_like(cosine).scatter_(1, item, value.clamp(min=0)))
    warm = model.cosines.sum(0)
    return Embeddings(model.user, torch.cat([warm, torch.stack(parts).mean(0)]), {})


def mean_cosine(data: HeteroData, new: Features) -> Embeddings:
    """Every cosine to the user's items counts, also those below 0."""
    native = {modality: data["item"][modality] for modality in new}
    parts = [_cosines(torch.cat([native[modality], x]), native[modality]) for modality, x in new.items()]
    return Embeddings(user_rows(data, "mean_cosine"), torch.stack(parts).mean(0), {})


def ease_features(config: EASEFeaturesConfig, data: HeteroData, new: Features) -> Embeddings:
    r"""cEASE^R; a new item's column is its regression on the warm items, of features alone:

    .. math:: b = (X^T X + w \sum_m \beta_m F_m F_m^T + \lambda I)^{-1} \, w \sum_m \beta_m F_m \hat x^m
    """
    model = EASEFeatures(config, data)
    native = {modality: data["item"][modality] for modality in new}
    shares = modality_shares("modalities", config.modalities, native)
    scaled = {modality: config.feature_weight * share for modality, share in shares.items()}
    gram = add_features(common_users(model.user), native, scaled)
    gram.diagonal().add_(config.regularization)
    wanted = torch.stack([share * _cosines(native[m], new[m]) for m, share in scaled.items()]).sum(0)
    columns = torch.cholesky_solve(wanted.double(), torch.linalg.cholesky(gram))
    return Embeddings(model.user, torch.cat([model.item, columns.T.float()]), {})


def popularity(data: HeteroData, count: int, seed: int) -> Table:
    """Training users of an item. Ties, new items among them, stand in one random order for everyone."""
    edge_index, num_users, num_items = train_graph(data)
    bought = torch.bincount(edge_index[1], minlength=num_items + count).float()
    ties = torch.rand(len(bought), generator=torch.Generator().manual_seed(seed))
    return Table((bought + 0.5 * ties).expand(num_users, -1))


def at_random(data: HeteroData, count: int, seed: int) -> Table:
    """An order of its own for every user."""
    _, num_users, num_items = train_graph(data)
    generator = torch.Generator().manual_seed(seed)
    return Table(torch.rand(num_users, num_items + count, generator=generator))


def _cosines(first: Tensor, second: Tensor) -> Tensor:
    return unit_rows(first)[0] @ unit_rows(second)[0].T
