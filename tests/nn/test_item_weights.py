from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.models import MODELS, build_model
from anchorrec_graph.nn.item_weights import (
    MAX_ITEMS,
    common_users,
    user_rows,
    zero_diagonal_regression,
)
from anchorrec_graph.testing import tiny_data

ROWS = np.random.default_rng(0).standard_normal((30, 9))


def test_rows_and_common_users_equal_the_loops() -> None:
    data = tiny_data()
    pairs = data[INTERACTS].edge_index.T.tolist()
    rows = user_rows(data, "x")
    assert rows.dtype == torch.float32
    assert rows.tolist() == [[float([u, i] in pairs) for i in range(24)] for u in range(20)]
    users = [{u for u, i in pairs if i == item} for item in range(24)]
    count = common_users(rows)
    assert count.dtype == torch.float64
    assert count.tolist() == [[len(a & b) for b in users] for a in users]


def regression(rows: np.ndarray, regularization: float) -> np.ndarray:
    return zero_diagonal_regression(torch.from_numpy(rows.T @ rows), regularization, "here").numpy()


def test_every_column_is_the_ridge_regression_on_the_others() -> None:
    weights = regression(ROWS, 2.0)
    for item in range(9):
        others = np.delete(ROWS, item, axis=1)
        solution = np.linalg.inv(others.T @ others + 2 * np.eye(8)) @ others.T @ ROWS[:, item]
        np.testing.assert_allclose(np.delete(weights[:, item], item), solution, atol=1e-12)


def test_the_optimality_conditions_hold() -> None:
    """Off the diagonal the gradient is 0; on it B is, and no step in an allowed direction lowers the loss."""
    weights = regression(ROWS, 2.0)
    gradient = 2 * ROWS.T @ (ROWS @ weights - ROWS) + 4 * weights
    assert not weights.diagonal().any()
    np.testing.assert_allclose(gradient - np.diag(gradient.diagonal()), 0, atol=1e-11)
    assert np.abs(gradient.diagonal()).min() > 1  # without the constraint it would not be the optimum
    direction = np.random.default_rng(1).standard_normal((9, 9))
    np.fill_diagonal(direction, 0)
    best = objective(weights)
    for step in (1e-3, -1e-3, 1.0, -1.0):
        assert objective(weights + step * direction) > best


def objective(weights: np.ndarray) -> float:
    return float(((ROWS - ROWS @ weights) ** 2).sum() + 2 * (weights**2).sum())


def test_a_regularization_that_is_lost_in_rounding() -> None:
    twins = np.ones((1, 2))  # two equal items: singular without it
    with pytest.raises(ConfigError, match=re.escape("here 1e-30 is lost beside")):
        regression(twins, 1e-30)


@pytest.mark.parametrize("name", ["item_knn", "ease", "ease_features", "content_knn"])
def test_too_many_items_are_refused_before_memory_is_taken(name: str) -> None:
    data = tiny_data()
    data["item"].num_nodes = MAX_ITEMS + 1
    sizes = "20 x 50001 and 50001 x 50001 numbers, and takes at most 50000 items"
    with pytest.raises(ConfigError, match=f"{name} needs dense matrices of {sizes}"):
        build_model(MODELS.config_class(name)(), data)
