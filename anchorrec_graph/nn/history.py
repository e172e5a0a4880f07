"""The history view: what closed-form item weights make of a user's training items."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import HeteroData

from anchorrec_graph.data.base import native_features
from anchorrec_graph.graph.bipartite import train_graph
from anchorrec_graph.graph.cache import cached_tensors
from anchorrec_graph.graph.relation import Relation
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
        H = D_u^{-1/2} X B, \quad H_r = H V_r V_r^T, \quad
        \text{user } D_u^{-1/2} X P, \quad P = c\, B V_r \Sigma_r^{-1}, \quad
        \text{item } \tfrac{w}{c} V_r \Sigma_r

    B are the item weights of cEASE^R (Jeunen et al., RecSys 2020; `models/ease_features.py`), which reads
    co-purchases and every modality's native similarities in one regression; D_u counts a user's items.
    The leading singular directions V_r of H give the best approximation of all its scores in r columns.
    With Sigma on the items, two items are as similar as the scores that they get. c makes a user's squared
    length 1 on average, as the learned views have it under a cosine loss. Row j of P (`purchase`) is what
    a purchase of item j adds to a user's row, before the division by the root of the user's items.

    Nothing is learned by gradient, no loss sees the view, and it is no part of the state dict. Building
    takes O(U I + I^2) memory and O(I^3) time; the factors are kept on disk like item graphs.

    Raises:
        ConfigError: there are too many items (`user_rows`), or the regularization is lost in rounding.
    """

    user: Tensor
    item: Tensor
    purchase: Tensor

    def __init__(self, config: HistoryConfig, data: HeteroData) -> None:
        super().__init__()
        self.config = config
        purchase, item = _factors(config, data)
        self.register_buffer("user", _user_rows(data, purchase), persistent=False)
        self.register_buffer("item", config.weight * item, persistent=False)
        self.register_buffer("purchase", purchase, persistent=False)

    def forward(self) -> View:
        return View(self.user, self.item)

    def bought(self, data: HeteroData) -> Tensor:
        r"""Rows y_j [I, r] that tell from a user's row whether it has item j, as well as r columns can:

        .. math:: y_j = \arg\min_y \sum_u (\langle h_u, y \rangle - n_u^{-1/2} [j \in u])^2

        with h_u the user's row of this view and n_u the number of its items.
        """
        (user, item), num_users, num_items = train_graph(data)
        count = torch.bincount(user, minlength=num_users)
        having = Relation(item, user, count[user].rsqrt(), (num_items, num_users))(self.user).double()
        own = self.user.double()
        rows: Tensor = having @ torch.linalg.pinv(own.T @ own, hermitian=True)
        return rows.float()

    def user_parts(self, items: Tensor) -> Tensor:
        """Zero, and what each of n training items adds to the row of a user who has these: [1 + n, r]."""
        rows = self.purchase[items] / max(len(items), 1) ** 0.5
        return functional.pad(rows, (0, 0, 1, 0))


def _factors(config: HistoryConfig, data: HeteroData) -> tuple[Tensor, Tensor]:
    edge_index, num_users, num_items = train_graph(data)
    features = native_features(data)

    def build() -> dict[str, Tensor]:
        rows = user_rows(data, "model.history.weight above 0")
        gram = add_features(common_users(rows), features, _shares(config, features))
        weights = zero_diagonal_regression(
            gram, config.regularization, "model.history.regularization"
        ).float()
        scores = (rows @ weights).div_(rows.sum(1, keepdim=True).clamp(min=1).sqrt())
        s, v = _leading(scores, config.dim)
        scale = (num_users / len(s)) ** 0.5
        return {"purchase": scale * (weights @ (v / s)), "item": v * s / scale}

    settings = f"{config.model_dump_json(exclude={'weight'})}|{num_users}|{num_items}"
    factors = cached_tensors("history", settings, [edge_index, *features.values()], build)
    return factors["purchase"], factors["item"]


def _shares(config: HistoryConfig, features: Mapping[str, Tensor]) -> dict[str, float]:
    return dict.fromkeys(features, config.feature_weight / max(len(features), 1))


def _user_rows(data: HeteroData, purchase: Tensor) -> Tensor:
    (user, item), num_users, num_items = train_graph(data)
    count = torch.bincount(user, minlength=num_users)
    rows: Tensor = Relation(user, item, count[user].rsqrt(), (num_users, num_items))(purchase)
    return rows


def _leading(scores: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Singular values [r] and right vectors [I, r], by randomised subspace iteration from a fixed seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _, s, v = torch.svd_lowrank(scores, q=min(dim + OVERSAMPLING, *scores.shape), niter=ITERATIONS)
    rank = max(1, min(dim, int((s > RANK_TOLERANCE * s[0]).sum())))  # further directions would be arbitrary
    return s[:rank], v[:, :rank]
