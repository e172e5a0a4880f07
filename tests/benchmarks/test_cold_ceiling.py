"""The ceiling of the planted shop: more truth ranks better, and the chain finds what was planted."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from anchorrec_graph.data.planted import PlantedConfig, planted_truth
from anchorrec_graph.data.split import ColdItemsConfig, RandomSplitConfig
from anchorrec_graph.evaluate.cold_items import hold_out_items

ROOT = Path(__file__).resolve().parents[2]
SHOP = PlantedConfig(num_users=150, num_items=120, num_clusters=6, interactions_per_user=20, seed=3)


@pytest.fixture(scope="module")
def ceiling() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        return importlib.import_module("cold_ceiling")


def test_more_truth_ranks_better(ceiling: ModuleType) -> None:
    found = {name: values["Recall@20"] for name, values in ceiling.ceilings(SHOP, seed=0).items()}
    assert list(found) == ["users inferred", "users known", "all known"]
    assert 20 / 24 < found["users inferred"] < found["users known"] < found["all known"]


def test_the_chain_finds_the_preferred_clusters(ceiling: ModuleType) -> None:
    """Users who buy for one aspect only, with many purchases: the posterior is nearly certain."""
    truth = planted_truth(SHOP)
    split = ColdItemsConfig(validation=0.1, test=0.2, seed=0)
    cold = hold_out_items(SHOP.read(), split, RandomSplitConfig(seed=0))
    known = ceiling.told(truth, SHOP, cold)
    rng = np.random.default_rng(0)
    clusters = rng.integers(6, size=(40, 3, 2))
    purchases = np.empty((40, 60), dtype=np.int64)
    for user in range(40):
        of = [known.warm[known.clusters[known.warm, user % 3] == c] for c in clusters[user, user % 3]]
        purchases[user] = [rng.choice(of[n % 2]) for n in range(60)]
    found = ceiling.inferred(known, purchases, rng)
    for user in range(40):
        own = found[user, user % 3]
        assert own[clusters[user, user % 3]].sum() > 0.8
    np.testing.assert_allclose(found.sum(axis=(1, 2)), 1, atol=1e-9)


def test_rates_are_the_formula_in_loops(ceiling: ModuleType) -> None:
    truth = planted_truth(SHOP)
    split = ColdItemsConfig(validation=0.1, test=0.2, seed=0)
    cold = hold_out_items(SHOP.read(), split, RandomSplitConfig(seed=0))
    known = ceiling.told(truth, SHOP, cold)
    true = ceiling.preference(truth.user_mixture, truth.user_clusters, 6)
    exact = np.eye(6)[known.clusters[known.new, 2]]
    rates = ceiling.expected_rates(known, true, known.popularity[known.new], exact)
    user, place = 7, 4
    item, expected = known.new[place], 0.0
    for aspect in range(3):
        for cluster in truth.user_clusters[user, aspect]:
            if cluster == truth.item_clusters[item, aspect]:
                mass = truth.popularity[truth.item_clusters[:, aspect] == cluster].sum()
                expected += truth.user_mixture[user, aspect] / 2 * truth.popularity[item] / mass
    assert rates[user, place] == pytest.approx(expected, abs=1e-12)
    assert known.behaviour().sum(axis=1) == pytest.approx(1)
