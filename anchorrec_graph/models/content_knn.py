"""Content kNN: items score by their features' cosine to those of the user's items."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.graph.knn import KnnConfig, cached_knn_edges
from anchorrec_graph.models.base import MODELS, ModelConfig, Recommender, item_features, modality_shares
from anchorrec_graph.nn.item_weights import purchase_rows, user_rows
from anchorrec_graph.typing import Batch, Embeddings, View

HISTORY = "history"  # the view that is no modality


class ContentKNNConfig(ModelConfig):
    """The default k is the best of a small grid on the validation pairs of Amazon Office, with text."""

    name: Literal["content_knn"] = "content_knn"
    k: PositiveInt = 10
    modalities: dict[str, NonNegativeFloat] | None = None  # weights of the cosines; None: their mean


@MODELS.register(ContentKNNConfig)
class ContentKNN(Recommender):
    r"""The baseline that knows features and the user's items, and no other user.

    .. math:: s(u, i) = \sum_m \beta_m \sum_{j \in I_u \cap N_m(i)} \cos(x^m_i, x^m_j)

    with I_u the user's training items and N_m(i) the k items nearest to i in modality m (`knn_edges`,
    without i itself and without cosines <= 0). Any modalities, from one on.

    A user's embedding is the training row, an item's its weighted cosines. The view "history" holds the
    users and each modality its part of the items, so in a decomposed score half belongs to the history
    and half to the modalities, in exact proportion. Memory is O(U I + M I^2) for M modalities.

    Raises:
        ConfigError: the data has no modality, one with the name of the users' view, or too many items
            (`user_rows`), or `modalities` names one that the data does not have, or gives none a share.
    """

    user: Tensor
    cosines: Tensor

    def __init__(self, config: ContentKNNConfig, data: HeteroData) -> None:
        super().__init__()
        self.register_buffer("user", user_rows(data, config.name), persistent=False)
        features = item_features(data, config.name, HISTORY)
        shares = modality_shares("modalities", config.modalities, features)
        knn = KnnConfig(k=config.k)
        cosines = [share * nearest_cosines(features[m], knn) for m, share in shares.items()]
        self.modalities = list(shares)
        self.register_buffer("cosines", torch.stack(cosines), persistent=False)

    def encode(self) -> Embeddings:
        item = self.cosines.sum(0)
        views = {HISTORY: View(self.user, item.new_zeros(()).expand_as(item))}
        for modality, part in zip(self.modalities, self.cosines, strict=True):
            views[modality] = View(None, part)
        return Embeddings(self.user, item, views)

    def user_parts(self, user: int, items: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        return {HISTORY: purchase_rows(items, self.user.shape[1])}

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:  # noqa: ARG002
        return {}


def nearest_cosines(features: Tensor, config: KnnConfig) -> Tensor:
    """The item graph of features [I, D] as a dense matrix [I, I], 0 where there is no edge."""
    (item, neighbour), cosine = cached_knn_edges(features, config)
    dense = torch.zeros(len(features), len(features))
    dense[item, neighbour] = cosine
    return dense
