"""The history view: what closed-form item weights make of a user's training items."""

from __future__ import annotations

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from anchorrec_graph.data.manifest import content_hash
from anchorrec_graph.graph.bipartite import train_graph
from anchorrec_graph.graph.cache import cached_tensors
from anchorrec_graph.nn.item_weights import (
    add_features,
    common_users,
    user_rows,
    zero_diagonal_regression,
)
from anchorrec_graph.settings import Settings
from anchorrec_graph.typing import View

OVERSAMPLING, ITERATIONS = 16, 4  # of the randomised SVD
RANK_TOLERANCE = 1e-6


class HistoryConfig(Settings):
    """How closed-form item weights enter the score."""

    weight: NonNegativeFloat = 0.0  # of the view in the logits; 0: no such view
    dim: PositiveInt = 256  # columns kept of the users' scores
    regularization: PositiveFloat = 200.0
    feature_weight: NonNegativeFloat = 10.0  # of all modalities together, in equal shares


class History(nn.Module):
    r"""A frozen view of `dim` columns that scores items by the user's training items:

    .. math::
        H = D_u^{-1/2} X B \approx U_r \Sigma_r V_r^T, \quad
        \text{user } c\, U_r, \quad \text{item } \tfrac{w}{c} V_r \Sigma_r

    B are the item weights of cEASE^R (Jeunen et al., RecSys 2020; `models/ease_features.py`), which reads
    co-purchases and every modality's native similarities in one regression; D_u counts a user's items.
    The leading singular directions of H are the best approximation of all its scores in r columns. With
    Sigma on the items, two items are as similar as the scores that they get. c makes a user's squared
    length 1 on average, as the learned views have it under a cosine loss.

    Nothing is learned by gradient, no loss sees the view, and it is no part of the state dict. Building
    takes O(U I + I^2) memory and O(I^3) time; the factors are kept on disk like item graphs.

    Raises:
        ConfigError: there are too many items (`user_rows`), or the regularization is lost in rounding.
    """

    user: Tensor
    item: Tensor

    def __init__(self, config: HistoryConfig, data: HeteroData) -> None:
        super().__init__()
        user, item = _factors(config, data)
        self.register_buffer("user", user, persistent=False)
        self.register_buffer("item", config.weight * item, persistent=False)

    def forward(self) -> View:
        return View(self.user, self.item)


def _factors(config: HistoryConfig, data: HeteroData) -> tuple[Tensor, Tensor]:
    edge_index, num_users, num_items = train_graph(data)
    features = {modality: data["item"][modality] for modality in data.modalities}

    def build() -> dict[str, Tensor]:
        rows = user_rows(data, "model.history.weight above 0")
        shares = dict.fromkeys(features, config.feature_weight / max(len(features), 1))
        gram = add_features(common_users(rows), features, shares)
        weights = zero_diagonal_regression(gram, config.regularization, "model.history.regularization")
        scores = rows @ weights.float()
        return _leading(scores.div_(rows.sum(1, keepdim=True).clamp(min=1).sqrt()), config.dim)

    widths = [x.shape[1] for x in features.values()]
    settings = f"{config.model_dump_json(exclude={'weight'})}|{num_users}|{widths}|{content_hash(edge_index)}"
    source = torch.cat([torch.empty(num_items, 0), *features.values()], dim=1)
    factors = cached_tensors("history", settings, source, build)
    return factors["user"], factors["item"]


def _leading(scores: Tensor, dim: int) -> dict[str, Tensor]:
    """c U_r and V_r Sigma_r / c of `scores`, by randomised subspace iteration from a fixed seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        u, s, v = torch.svd_lowrank(scores, q=min(dim + OVERSAMPLING, *scores.shape), niter=ITERATIONS)
    rank = max(1, min(dim, int((s > RANK_TOLERANCE * s[0]).sum())))  # further columns of U would be arbitrary
    user, item = u[:, :rank], (v * s)[:, :rank]
    scale = (len(user) / user.shape[1]) ** 0.5
    return {"user": scale * user, "item": item / scale}
