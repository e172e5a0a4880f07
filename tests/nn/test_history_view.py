from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.graph.bipartite import train_graph
from anchorrec_graph.graph.cache import cache_dir
from anchorrec_graph.models import build_model
from anchorrec_graph.models.base import item_features
from anchorrec_graph.models.ease import EASEConfig
from anchorrec_graph.nn import history as module
from anchorrec_graph.nn.history import History, HistoryConfig
from anchorrec_graph.nn.item_weights import user_rows
from anchorrec_graph.testing import tiny_data

DATA = tiny_data()
ROWS, FEATURES = user_rows(DATA, "history"), item_features(DATA, "history")
COLD_USER = 19  # of tiny_data
Array = np.ndarray[Any, Any]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANCHORREC_CACHE", str(tmp_path))


def config(**settings: Any) -> HistoryConfig:
    return HistoryConfig(**{"weight": 1.0, "regularization": 2.0, "feature_weight": 1.5, **settings})


def build(settings: HistoryConfig, rows: Tensor = ROWS, features: Mapping[str, Tensor] = FEATURES) -> History:
    data = HeteroData()
    data["user"].num_nodes, data["item"].num_nodes = rows.shape
    data[INTERACTS].edge_index = rows.nonzero().T
    data.modalities = tuple(features)
    for modality, x in features.items():
        data["item"][modality] = x
    return History(settings, data)


def scores(settings: HistoryConfig, rows: Tensor = ROWS, features: Mapping[str, Tensor] = FEATURES) -> Array:
    user, item = build(settings, rows, features)()
    assert user is not None
    return (user @ item.T).double().numpy()


def dense(settings: HistoryConfig) -> Array:
    """All scores, before they are cut to `dim` columns: each column of B by its own regression."""
    rows = ROWS.double().numpy()
    gram = rows.T @ rows
    for x in FEATURES.values():
        unit = np.array([row / (np.linalg.norm(row) or 1) for row in x.double().numpy()])
        gram += settings.feature_weight / len(FEATURES) * unit @ unit.T
    weights = np.zeros_like(gram)
    for item in range(len(gram)):
        others = np.delete(np.arange(len(gram)), item)
        ridge = gram[np.ix_(others, others)] + settings.regularization * np.eye(len(others))
        weights[others, item] = np.linalg.solve(ridge, gram[others, item])
    count = np.maximum(rows.sum(1, keepdims=True), 1)
    return settings.weight * rows @ weights / np.sqrt(count)


@pytest.mark.parametrize("weights", [(0.5, 0.0), (2.0, 1.5), (300.0, 40.0)])
@pytest.mark.parametrize("dim", [24, 20, 64])
def test_as_many_columns_as_the_rank_give_all_scores(dim: int, weights: tuple[float, float]) -> None:
    settings = config(dim=dim, weight=3.0, regularization=weights[0], feature_weight=weights[1])
    expected = dense(settings)
    np.testing.assert_allclose(scores(settings), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("dim", [1, 3, 8])
def test_fewer_columns_are_the_leading_singular_directions(dim: int) -> None:
    settings = config(dim=dim)
    u, s, vt = np.linalg.svd(dense(settings))
    expected = (u[:, :dim] * s[:dim]) @ vt[:dim]
    user, item = build(settings)()
    assert user is not None
    assert (user.shape, item.shape) == ((20, dim), (24, dim))
    np.testing.assert_allclose((user @ item.T).numpy(), expected, atol=1e-5)
    length = 20 / dim  # of a user's row, squared, is 1 on average
    np.testing.assert_allclose((user.T @ user).numpy(), length * np.eye(dim), atol=1e-4)
    np.testing.assert_allclose((item.T @ item).numpy(), np.diag(s[:dim] ** 2) / length, atol=1e-4)
    assert np.abs(expected - dense(settings)).max() > 1e-2


def test_without_features_it_is_ease() -> None:
    ease = build_model(EASEConfig(regularization=2.0), DATA).encode().scores(torch.arange(20))
    found = scores(config(feature_weight=0.0, dim=24)) * np.sqrt(ROWS.sum(1).clamp(min=1).numpy())[:, None]
    np.testing.assert_allclose(found, ease.numpy(), atol=1e-5)


def test_the_weight_scales_the_items_only() -> None:
    one, thirty = build(config())(), build(config(weight=30.0))()
    assert one.user is not None
    assert thirty.user is not None
    assert torch.equal(thirty.user, one.user)
    torch.testing.assert_close(thirty.item, 30 * one.item)
    assert len(list((cache_dir() / "history").iterdir())) == 1  # the weight is no part of what is kept


def test_users_without_items_have_zero_rows() -> None:
    assert not ROWS[COLD_USER].any()
    user = build(config(dim=8)).user
    assert float(user[COLD_USER].abs().max()) < 1e-5
    assert bool(user[:COLD_USER].any(1).all())
    assert np.abs(scores(config())[COLD_USER]).max() < 1e-5


def test_a_user_is_the_sum_of_purchases() -> None:
    history = build(config(dim=5))
    for user, row in enumerate(history.user):
        items = ROWS[user].nonzero().flatten()
        expected = history.purchase[items].sum(0) / max(len(items), 1) ** 0.5
        torch.testing.assert_close(row, expected)


def test_it_has_no_parameters_and_no_state() -> None:
    history = build(config())
    assert dict(history.named_parameters()) == {}
    assert history.state_dict() == {}
    assert {name for name, _ in history.named_buffers()} == {"user", "item", "purchase"}


def test_the_global_seed_neither_matters_nor_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for seed in (0, 1):
        monkeypatch.setenv("ANCHORREC_CACHE", str(cache_dir() / str(seed)))  # built anew
        torch.manual_seed(seed)
        state = torch.get_rng_state()
        found.append(build(config(dim=3))())
        assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(found[0].user, found[1].user)
    assert torch.equal(found[0].item, found[1].item)


def test_what_is_kept_is_what_was_built(monkeypatch: pytest.MonkeyPatch) -> None:
    built = build(config(dim=3))()
    monkeypatch.setattr(module, "_leading", None)  # a second build would fail
    kept = build(config(dim=3))()
    assert torch.equal(kept.user, built.user)
    assert torch.equal(kept.item, built.item)


def changed_edge() -> Tensor:
    rows = ROWS.clone()
    rows[3, 5] = 1 - rows[3, 5]
    return rows


def changed_feature() -> dict[str, Tensor]:
    rows = FEATURES["text"].clone()
    rows[7] += 1
    return {**FEATURES, "text": rows}


@pytest.mark.parametrize(
    "other",
    [
        (config(dim=4), ROWS, FEATURES),
        (config(dim=3, regularization=3.0), ROWS, FEATURES),
        (config(dim=3, feature_weight=2.0), ROWS, FEATURES),
        (config(dim=3), changed_edge(), FEATURES),
        (config(dim=3), ROWS, changed_feature()),
        (config(dim=3), ROWS, {"text": FEATURES["text"]}),
        (config(dim=3), ROWS[:COLD_USER], FEATURES),
    ],
    ids=["dim", "regularization", "feature_weight", "edge", "feature", "modality", "user"],
)
def test_anything_else_is_built_anew(other: tuple[HistoryConfig, Tensor, dict[str, Tensor]]) -> None:
    scores(config(dim=3))
    found = scores(*other)
    assert len(list((cache_dir() / "history").iterdir())) == 2
    first = scores(config(dim=3))[: len(found)]
    assert np.abs(found - first).max() > 1e-3 or len(found) < len(ROWS)


def test_the_same_columns_as_one_modality_or_two() -> None:
    """They have other shares, and so another key."""
    image, zeros = FEATURES["image"], torch.zeros(24, 3)
    one = scores(config(dim=3), features={"a": torch.cat([image, zeros], dim=1)})
    two = scores(config(dim=3), features={"a": image, "b": zeros})
    assert np.abs(one - two).max() > 1e-3


def test_features_of_another_scale_and_without_a_direction() -> None:
    scaled = {"image": 1e3 * FEATURES["image"], "text": FEATURES["text"] / 7}
    np.testing.assert_allclose(scores(config(), features=scaled), scores(config()), atol=1e-5)
    broken = {**FEATURES, "text": FEATURES["text"].index_fill(0, torch.tensor([2]), torch.nan)}
    blank = {**FEATURES, "text": FEATURES["text"].index_fill(0, torch.tensor([2]), 0.0)}
    np.testing.assert_allclose(scores(config(), features=broken), scores(config(), features=blank), atol=1e-5)


@pytest.mark.parametrize(
    "settings", [{"weight": -1}, {"dim": 0}, {"regularization": 0}, {"feature_weight": -1}, {"k": 1}]
)
def test_wrong_values_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        HistoryConfig(**settings)


def test_bought_rows_tell_best_in_squares_who_has_an_item() -> None:
    data = tiny_data()
    view = History(HistoryConfig(weight=3.0, dim=5), data)
    edge_index, num_users, num_items = train_graph(data)
    has = torch.zeros(num_users, num_items)
    has[edge_index[0], edge_index[1]] = 1
    has /= has.sum(1, keepdim=True).clamp(min=1).sqrt()
    expected = torch.linalg.lstsq(view.user.double(), has.double()).solution.T
    torch.testing.assert_close(view.bought(data).double(), expected, atol=1e-4, rtol=1e-4)
