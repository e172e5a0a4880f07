from __future__ import annotations

import math

import naive
import numpy as np
import pytest
import torch

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.models import build_model
from anchorrec_graph.models.ease import EASEConfig
from anchorrec_graph.models.ease_features import EASEFeaturesConfig
from anchorrec_graph.testing import check_model, tiny_data
from anchorrec_graph.testing.tiny import COLD_ITEM, NUM_GROUPS
from anchorrec_graph.typing import Batch, Embeddings


def encoded(**settings: object) -> Embeddings:
    return build_model(EASEFeaturesConfig(**settings), tiny_data()).encode()


def weighted_rows(weight: dict[str, float]) -> np.ndarray:
    """The training matrix and below it sqrt(weight) times each feature in unit rows."""
    data = tiny_data()
    rows = np.zeros((20, 24))
    for user, item in data[INTERACTS].edge_index.T.tolist():
        rows[user, item] = 1
    blocks = [rows]
    for modality, value in weight.items():
        features = data["item"][modality].double().numpy()
        unit = [x / np.linalg.norm(x) if naive.has_direction(x) else x for x in features]
        blocks.append(math.sqrt(value) * np.array(unit).T)
    return np.concatenate(blocks)


@pytest.mark.parametrize(
    ("settings", "weight"),
    [
        ({"feature_weight": 6}, {"image": 3, "text": 3}),
        ({"feature_weight": 6, "modalities": {"image": 0.5, "text": 2}}, {"image": 3, "text": 12}),
        ({"feature_weight": 6, "modalities": {"text": 1}}, {"text": 6}),
    ],
)
def test_every_item_is_the_ridge_regression_on_the_others(settings: dict, weight: dict) -> None:
    rows, found = weighted_rows(weight), encoded(regularization=2, **settings).item.T.numpy()
    assert not found.diagonal().any()
    for item in range(24):
        others = np.delete(rows, item, axis=1)
        solution = np.linalg.solve(others.T @ others + 2 * np.eye(23), others.T @ rows[:, item])
        np.testing.assert_allclose(np.delete(found[:, item], item), solution, atol=2e-6)
    gradient = rows.T @ (rows @ found - rows) + 2 * found
    np.testing.assert_allclose(gradient - np.diag(gradient.diagonal()), 0, atol=2e-5)


def test_without_feature_weight_it_is_ease() -> None:
    plain = build_model(EASEConfig(regularization=2), tiny_data()).encode()
    torch.testing.assert_close(encoded(regularization=2, feature_weight=0).item, plain.item)


def test_an_item_without_interactions_follows_its_group() -> None:
    embeddings = encoded()
    weight = embeddings.item[COLD_ITEM]
    same = torch.arange(24) % NUM_GROUPS == COLD_ITEM % NUM_GROUPS
    assert float(weight[same].mean()) > 3 * float(weight[~same].mean().abs())
    assert embeddings.scores(torch.arange(20))[:, COLD_ITEM].any()


def test_the_length_of_a_feature_row_does_not_matter() -> None:
    data = tiny_data()
    data["item"]["text"][3] *= 100
    changed = build_model(EASEFeaturesConfig(), data).encode()
    torch.testing.assert_close(changed.item, encoded().item)


def test_nothing_is_learnt_and_nothing_is_saved() -> None:
    model = build_model(EASEFeaturesConfig(), tiny_data())
    one = torch.zeros(1, dtype=torch.int64)
    assert model.loss_terms(Batch(one, one, one)) == {}
    assert model.state_dict() == {}


@pytest.mark.parametrize(
    "modalities", [("image",), ("image", "text"), ("image", "text", "audio")], ids="+".join
)
def test_conformance(modalities: tuple[str, ...]) -> None:
    config = EASEFeaturesConfig(regularization=1, feature_weight=100, modalities={modalities[-1]: 2})
    check_model(config, tiny_data(modalities=modalities))


def test_no_modality_and_a_wrong_one() -> None:
    with pytest.raises(ConfigError, match="ease_features needs a modality"):
        build_model(EASEFeaturesConfig(), tiny_data(modalities=()))
    with pytest.raises(ConfigError, match=r"model\.modalities: unknown modality 'audio'"):
        encoded(modalities={"audio": 1})
