from __future__ import annotations

import naive
import numpy as np
import pytest
import torch

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.explain.parts import view_parts
from anchorrec_graph.models import build_model
from anchorrec_graph.models.content_knn import ContentKNNConfig
from anchorrec_graph.testing import check_model, tiny_data
from anchorrec_graph.testing.tiny import BLANK_ITEM
from anchorrec_graph.typing import Batch, Embeddings

USERS, ITEMS = range(20), range(24)


def encoded(**settings: object) -> Embeddings:
    return build_model(ContentKNNConfig(**settings), tiny_data()).encode()


def scores(modality: str, k: int) -> np.ndarray:
    """One modality's scores, by loops; a cosine that is not above 0 is none."""
    data = tiny_data()
    own = [[i for u, i in data[INTERACTS].edge_index.T.tolist() if u == user] for user in USERS]
    near = naive.knn(data["item"][modality].double().numpy(), k)
    return np.array([[sum(c for j, c in near[i] if j in own[u] and c > 0) for i in ITEMS] for u in USERS])


@pytest.mark.parametrize("k", [3, 100])
@pytest.mark.parametrize(
    ("modalities", "weight"),
    [
        (None, {"image": 0.5, "text": 0.5}),
        ({"image": 0.1, "text": 2}, {"image": 0.1, "text": 2}),
        ({"text": 1, "image": 0}, {"text": 1}),
    ],
)
def test_scores_and_their_parts_equal_the_loops(k: int, modalities: dict | None, weight: dict) -> None:
    embeddings = encoded(k=k, modalities=modalities)
    expected = {m: value * scores(m, k) for m, value in weight.items()}
    total = np.sum(list(expected.values()), axis=0)
    np.testing.assert_allclose(embeddings.scores(torch.arange(20)), total, atol=1e-5)

    user, item = torch.cartesian_prod(torch.arange(20), torch.arange(24)).T
    parts = {name: part.numpy() for name, part in view_parts(embeddings, user, item).items()}
    assert list(parts) == ["history", *weight]
    np.testing.assert_allclose(parts["history"], total.ravel() / 2, atol=1e-5)
    for modality, value in expected.items():
        np.testing.assert_allclose(parts[modality], value.ravel() / 2, atol=1e-5)


def test_an_item_without_a_feature_scores_by_the_other_modality() -> None:
    views = encoded().views
    assert not views["image"].item[BLANK_ITEM].any()
    assert views["text"].item[BLANK_ITEM].any()


def test_nothing_is_learnt_and_nothing_is_saved() -> None:
    model = build_model(ContentKNNConfig(), tiny_data())
    one = torch.zeros(1, dtype=torch.int64)
    assert model.loss_terms(Batch(one, one, one)) == {}
    assert model.state_dict() == {}


@pytest.mark.parametrize(
    "modalities", [("image",), ("image", "text"), ("image", "text", "audio")], ids="+".join
)
def test_conformance(modalities: tuple[str, ...]) -> None:
    config = ContentKNNConfig(k=2, modalities={modalities[0]: 3})
    check_model(config, tiny_data(modalities=modalities))


def test_modalities_that_do_not_fit() -> None:
    with pytest.raises(ConfigError, match="content_knn needs a modality"):
        build_model(ContentKNNConfig(), tiny_data(modalities=()))
    with pytest.raises(ConfigError, match="a modality is named 'history', a name that content_knn uses"):
        build_model(ContentKNNConfig(), tiny_data(modalities=("history",)))
    with pytest.raises(ConfigError, match=r"model\.modalities: unknown modality 'audio'"):
        encoded(modalities={"audio": 1})
