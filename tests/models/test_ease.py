from __future__ import annotations

import numpy as np
import pytest
import torch

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.models import build_model
from anchorrec_graph.models.ease import EASEConfig
from anchorrec_graph.testing import check_model, tiny_data
from anchorrec_graph.testing.tiny import COLD_ITEM
from anchorrec_graph.typing import Batch


def weights(regularization: float) -> np.ndarray:
    return build_model(EASEConfig(regularization=regularization), tiny_data()).encode().item.T.numpy()


def training_matrix() -> np.ndarray:
    rows = np.zeros((20, 24))
    for user, item in tiny_data()[INTERACTS].edge_index.T.tolist():
        rows[user, item] = 1
    return rows


@pytest.mark.parametrize("regularization", [0.5, 20.0])
def test_weights_are_the_closed_form_and_the_constrained_optimum(regularization: float) -> None:
    rows, found = training_matrix(), weights(regularization)
    inverse = np.linalg.inv(rows.T @ rows + regularization * np.eye(24))
    np.testing.assert_allclose(found, np.eye(24) - inverse @ np.diag(1 / inverse.diagonal()), atol=1e-6)
    gradient = rows.T @ (rows @ found - rows) + regularization * found
    np.testing.assert_allclose(gradient - np.diag(gradient.diagonal()), 0, atol=1e-5)
    assert not found.diagonal().any()


def test_scores_predict_an_item_from_the_users_other_items() -> None:
    rows, found = training_matrix(), weights(2.0)
    scores = build_model(EASEConfig(regularization=2.0), tiny_data()).encode().scores(torch.arange(20))
    np.testing.assert_allclose(scores, rows @ found, atol=1e-5)
    assert not np.allclose(scores, rows @ found.T, atol=1e-2)
    assert not scores[:, COLD_ITEM].any()


def test_more_regularization_shrinks_the_weights() -> None:
    sizes = [float(np.square(weights(value)).sum()) for value in (0.1, 1.0, 10.0, 1e4)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 1e-5 < sizes[0]


def test_nothing_is_learnt_and_nothing_is_saved() -> None:
    model = build_model(EASEConfig(), tiny_data())
    one = torch.zeros(1, dtype=torch.int64)
    assert model.loss_terms(Batch(one, one, one)) == {}
    assert model.state_dict() == {}


def test_conformance() -> None:
    check_model(EASEConfig(regularization=0.5), tiny_data(modalities=()))
