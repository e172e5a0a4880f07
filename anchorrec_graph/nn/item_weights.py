"""What models with a weight per pair of items share: users' rows, counts, a regression between items."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.graph.bipartite import train_graph
from anchorrec_graph.graph.knn import unit_rows

MAX_ITEMS = 50_000  # 10 GB for one float32 matrix of item pairs


def user_rows(data: HeteroData, model: str) -> Tensor:
    """X [U, I] float32: 1 where the user interacted with the item in training, else 0.

    Raises:
        ConfigError: there are more than `MAX_ITEMS` items.
    """
    (user, item), num_users, num_items = train_graph(data)
    if num_items > MAX_ITEMS:
        raise ConfigError(
            f"{model} needs dense matrices of {num_users} x {num_items} and {num_items} x {num_items} "
            f"numbers, and takes at most {MAX_ITEMS} items; take another model, such as lightgcn"
        )
    rows = torch.zeros(num_users, num_items)
    rows[user, item] = 1
    return rows


def purchase_rows(items: Tensor, num_items: int) -> Tensor:
    """A row of `user_rows` with these n items as a sum: zero, and a row per item. [n] -> [1 + n, I]."""
    rows = torch.zeros(1 + len(items), num_items)
    rows[torch.arange(len(items)) + 1, items] = 1
    return rows


def common_users(rows: Tensor) -> Tensor:
    """X^T X [I, I] float64 of `user_rows`: users that two items share, on the diagonal each item's own."""
    sparse = csr_array(rows.numpy())
    return torch.from_numpy((sparse.T @ sparse).toarray()).double()


def add_features(gram: Tensor, features: Mapping[str, Tensor], shares: Mapping[str, float]) -> Tensor:
    r"""G + :math:`\sum_m \beta_m F_m F_m^T`, in place: unit feature rows F_m as further rows of the data.

    Shapes: gram float64 [I, I], features [I, D_m]; `shares` has beta of the modalities to add.
    """
    for modality, share in shares.items():
        unit = unit_rows(features[modality])[0]
        gram.add_(unit @ unit.T, alpha=share)
    return gram


def zero_diagonal_regression(gram: Tensor, regularization: float, setting: str) -> Tensor:
    r"""The weights B [I, I] that predict every item from all others: ridge regression without itself.

    .. math::
        \min_B \|A - A B\|_F^2 + \lambda \|B\|_F^2 \;\text{ s.t. } \mathrm{diag}(B) = 0, \quad G = A^T A \\
        B = I - P\, \mathrm{diag}(P)^{-1}, \quad P = (G + \lambda I)^{-1}

    (Steck 2019), by Cholesky. Column j predicts item j.

    Args:
        gram: G, float64 [I, I]. It is overwritten, so that at most three such matrices exist at a time.
        regularization: lambda > 0.
        setting: the key of lambda, for the error.

    Raises:
        ConfigError: lambda is so small that G + lambda I has no Cholesky factor.
    """
    gram.diagonal().add_(regularization)
    factor, failed = torch.linalg.cholesky_ex(gram)
    if failed:
        raise ConfigError(f"{setting} {regularization} is lost beside the item counts; raise it")
    inverse = torch.cholesky_inverse(factor)
    return inverse.div_(-inverse.diagonal().clone()).fill_diagonal_(0)
