"""Which purchases a score came from, against dense matrices with one entry of the last step taken out."""

from __future__ import annotations

import naive
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from worlds import COLD_USER, DATA, LINEAR, NOT_LINEAR, bought, built, encoded

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.explain.parts import view_parts
from anchorrec_graph.explain.purchases import purchase_parts
from anchorrec_graph.losses.ranking import BPRConfig
from anchorrec_graph.models import MODELS
from anchorrec_graph.models.anchorrec import AnchorRec, AnchorRecConfig
from anchorrec_graph.models.lightgcn import LightGCN, LightGCNConfig
from anchorrec_graph.nn.backbone import Backbone, LightGCNBackboneConfig
from anchorrec_graph.nn.history import HistoryConfig

Matrix = NDArray[np.float64]
PAIRS = DATA[INTERACTS].edge_index.T.tolist()
NUM_USERS, NUM_ITEMS = 20, 24


@pytest.mark.parametrize("name", LINEAR)
def test_parts_sum_to_the_score_and_by_view_to_its_parts(name: str) -> None:
    model = built(MODELS.config_class(name)())
    embeddings = encoded(model)
    scale = max(1.0, float(embeddings.scores(torch.arange(NUM_USERS)).abs().max()))
    for user, item in ((0, 3), (1, int(bought(1)[0])), (7, 23), (COLD_USER, 5)):
        with torch.no_grad():
            parts = purchase_parts(model.user_parts(user, bought(user)), embeddings, item)
        by_view = view_parts(embeddings, torch.tensor([user]), torch.tensor([item]))
        assert parts.keys() == by_view.keys()
        for view, part in parts.items():
            assert part.shape == (1 + len(bought(user)),)
            assert float(part.sum()) == pytest.approx(float(by_view[view]), abs=1e-5 * scale)
        score = float(embeddings.user[user] @ embeddings.item[item])
        assert sum(float(part.sum()) for part in parts.values()) == pytest.approx(score, abs=1e-5 * scale)


@pytest.mark.parametrize("name", NOT_LINEAR)
def test_models_that_are_not_linear_say_why(name: str) -> None:
    model = built(MODELS.config_class(name)())
    with pytest.raises(ConfigError, match=f"^{name}: a user is no sum over its purchases: "):
        model.user_parts(0, bought(0))


def test_a_backbone_without_parts_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    model = built(LightGCNConfig())
    assert isinstance(model, LightGCN)
    monkeypatch.setattr(type(model.backbone), "row_parts", Backbone.row_parts)
    with pytest.raises(ConfigError, match="backbone LightGCNBackbone does not say what each neighbour adds"):
        model.user_parts(0, bought(0))


def adjacency() -> Matrix:
    dense = np.zeros((NUM_USERS + NUM_ITEMS, NUM_USERS + NUM_ITEMS))
    for u, i in PAIRS:
        dense[u, NUM_USERS + i] = dense[NUM_USERS + i, u] = 1
    degree = np.maximum(dense.sum(1), 1)
    return dense / np.sqrt(np.outer(degree, degree))


def last_step_without(x: Matrix, user: int, item: int, num_layers: int) -> Matrix:
    """LightGCN's row of a user if the item sends nothing to it in the last step of any layer."""
    full = adjacency()
    cut = full.copy()
    cut[user, NUM_USERS + item] = 0
    row, layer = x[user].copy(), x
    for _ in range(num_layers):
        row += (cut @ layer)[user]
        layer = full @ layer
    result: Matrix = row / (num_layers + 1)
    return result


@pytest.mark.parametrize("num_layers", [0, 1, 2, 3])
def test_lightgcn_parts_are_what_the_last_step_lacks_without_the_item(num_layers: int) -> None:
    backbone = LightGCNBackboneConfig(num_layers=num_layers)
    model = built(LightGCNConfig(embedding_dim=4, backbone=backbone, loss=BPRConfig()))
    assert isinstance(model, LightGCN)
    x = torch.cat([model.user.weight, model.item.weight]).detach().double().numpy()
    whole = naive.lightgcn(PAIRS, x[:NUM_USERS], x[NUM_USERS:], num_layers)
    for user in (0, 4):
        parts = model.user_parts(user, bought(user))["id"].detach().double().numpy()
        np.testing.assert_allclose(parts[0], x[user] / (num_layers + 1), atol=1e-6)
        for item, part in zip(bought(user).tolist(), parts[1:], strict=True):
            lost = whole[user] - last_step_without(x, user, item, num_layers)
            np.testing.assert_allclose(part, lost, atol=1e-6)


def test_anchorrec_parts_by_hand() -> None:
    """Modality views bring 1 / sqrt(d_u d_i) of the item, the history 1 / sqrt(n) of the purchase's row."""
    history = HistoryConfig(weight=3, dim=5)
    model = built(AnchorRecConfig(embedding_dim=4, popularity_weight=0.5, history=history))
    assert isinstance(model, AnchorRec)
    with torch.no_grad():
        _, _, views = model.propagate()
        user, items = 2, bought(2)
        parts = model.user_parts(user, items)
        unscaled = model.encode().views
    id_user, _, _ = model.propagate()
    total = id_user[user] + sum(model.user_from_item(view)[user] for view in views.values())
    length = float(total.detach().norm())
    item_degree = np.bincount([i for _, i in PAIRS], minlength=NUM_ITEMS)
    assert model.scoring.history is not None
    purchase = model.scoring.history.purchase
    assert list(parts) == list(unscaled) == ["id", "image", "text", "fused", "history", "popularity"]
    for place, item in enumerate(items.tolist(), start=1):
        for name, view in views.items():
            expected = view[item] / np.sqrt(len(items) * item_degree[item]) / length
            torch.testing.assert_close(parts[name][place, :4], expected.float())
        row = parts["history"][place, 4:-1]
        torch.testing.assert_close(row, purchase[item] / np.sqrt(len(items)), check_dtype=False)
        assert not parts["popularity"][place].any()
    assert parts["popularity"][0].tolist() == [0.0] * (len(parts["popularity"][0]) - 1) + [1.0]
    for name in (*views, "history"):
        assert not parts[name][0].any()
