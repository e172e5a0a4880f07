"""The planted shop: the promises of its docstring, measured."""

from __future__ import annotations

import time

import numpy as np
import pytest
from pydantic import ValidationError

from anchorrec_graph.data.checks import check_raw_data
from anchorrec_graph.data.planted import ASPECTS, PlantedConfig, planted_truth
from anchorrec_graph.data.planted_pairs import CORE


def shop(**settings: object) -> PlantedConfig:
    """A small shop with few clusters and strong popularity, unless told otherwise."""
    small = {"num_users": 600, "num_items": 300, "interactions_per_user": 16.0, "num_clusters": 8}
    return PlantedConfig(**{**small, "popularity": 0.8, **settings})


def test_loads_and_is_the_same_twice() -> None:
    data, again = shop().load(), shop().load()
    assert data.manifest["hash"] == again.manifest["hash"]
    assert data.manifest["hash"] != shop(seed=1).load().manifest["hash"]
    assert data.modalities == ("image", "text")
    assert data["item"].image.shape == (300, 48)
    assert data["item"].text.shape == (300, 32)
    assert data["item"].table.columns == ["item_id", "title", *ASPECTS]


def test_the_item_table_and_truth_agree() -> None:
    config = shop(seed=3)
    truth, items = planted_truth(config), config.read().items
    assert (items.select(ASPECTS).to_numpy() == truth.item_clusters).all()
    look, words, behaviour = truth.item_clusters[17]
    assert items["title"][17] == f"look {look} / words {words} / bought-with {behaviour}, no 17"
    assert truth.user_mixture.sum(axis=1) == pytest.approx(np.ones(600))
    assert truth.popularity.sum() == pytest.approx(1)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [(10, 10, 5, 2), (10, 40, 20, 8), (300, 60, 9.5, 60), (40, 900, 8, 5)])
def test_core_pairs_are_distinct_and_times_increase(size: tuple[int, int, float, int], seed: int) -> None:
    users, items, mean, clusters = size
    raw = shop(
        num_users=users, num_items=items, interactions_per_user=mean, num_clusters=clusters, seed=seed
    ).read()
    check_raw_data(raw)  # refuses repeated pairs and ids out of range
    assert np.bincount(raw.interactions.user, minlength=users).min() >= CORE
    assert np.bincount(raw.interactions.item, minlength=items).min() >= CORE
    assert raw.interactions.time is not None
    assert (np.diff(raw.interactions.time) > 0).all()


@pytest.mark.parametrize("agreement", [0.0, 0.5, 0.9, 1.0])
def test_aspects_agree_as_often_as_the_formula_says(agreement: float) -> None:
    truth = planted_truth(shop(num_items=20_000, agreement=agreement))
    look, words, behaviour = truth.item_clusters.T
    expected = agreement**2 + (1 - agreement**2) / 8
    for a, b in ((look, words), (look, behaviour), (words, behaviour)):
        assert np.mean(a == b) == pytest.approx(expected, abs=0.015)


def test_features_cluster_by_their_aspect_with_the_stated_noise() -> None:
    config = shop(num_items=2000, noise=0.5, agreement=0.0, image_dim=256, text_dim=128)
    raw, truth = config.read(), planted_truth(config)
    for modality, cluster in (("image", truth.item_clusters[:, 0]), ("text", truth.item_clusters[:, 1])):
        x = raw.features[modality]
        centre = np.stack([x[cluster == c].mean(axis=0) for c in range(8)])
        spread = np.square(x - centre[cluster]).sum(axis=1).mean()
        assert spread == pytest.approx(0.25, rel=0.05)
        assert np.square(centre).sum(axis=1) == pytest.approx(np.ones(8), abs=0.35)


def test_noise_and_dims_leave_truth_and_interactions_alone() -> None:
    plain, other = shop(), shop(noise=0.1, image_dim=5, text_dim=7)
    assert (plain.read().interactions.item == other.read().interactions.item).all()
    assert (planted_truth(plain).user_mixture == planted_truth(other).user_mixture).all()


def test_users_buy_what_their_mixture_says() -> None:
    config = shop(num_users=500, num_items=4000, interactions_per_user=40, agreement=0.0, num_clusters=20)
    raw, truth = config.read(), planted_truth(config)
    user, item = raw.interactions[:2]
    hit = np.stack(
        [
            (truth.item_clusters[item, a, None] == truth.user_clusters[user, a]).any(axis=1)
            for a in range(len(ASPECTS))
        ],
        axis=1,
    )
    assert hit.any(axis=1).mean() > 0.97  # a purchase without a reason only fills up a core
    count = np.bincount(user)[:, None]
    share = np.stack([np.bincount(user, weights=column) for column in hit.T], axis=1) / count
    for a in range(len(ASPECTS)):
        assert np.corrcoef(share[:, a], truth.user_mixture[:, a])[0, 1] > 0.8


def test_popular_items_sell_more_and_the_mean_is_near_the_setting() -> None:
    config = shop(num_users=3000, num_items=2000, interactions_per_user=12)
    raw, truth = config.read(), planted_truth(config)
    degree = np.bincount(raw.interactions.item)
    assert np.corrcoef(np.log(degree), np.log(truth.popularity))[0, 1] > 0.8
    per_user = np.bincount(raw.interactions.user)
    assert 11 < per_user.mean() < 13.5
    assert per_user.std() > 4


def test_size_is_no_matter_of_users_times_items() -> None:
    config = shop(num_users=20_000, num_items=40_000, interactions_per_user=10, image_dim=4, text_dim=4)
    start = time.process_time()
    raw = config.read()
    assert time.process_time() - start < 5  # 0.5 s here; a dense matrix would hold 8e8 entries
    assert len(raw.interactions.user) > 200_000


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_clusters": 31, "num_items": 30, "interactions_per_user": 5}, "num_clusters must not exceed"),
        ({"num_items": 30, "interactions_per_user": 16}, "must not exceed half of num_items"),
        ({"agreement": 1.5}, "less than or equal to 1"),
        ({"num_user": 5}, "did you mean 'num_users'"),
    ],
)
def test_impossible_shops_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PlantedConfig.model_validate(settings)
