from __future__ import annotations

from itertools import permutations
from statistics import fmean

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from views import random_embeddings

from anchorrec_graph.data.planted import PlantedConfig
from anchorrec_graph.diagnose import (
    Value,
    metric_value,
    permutation_drops,
    removal_drops,
    shapley_values,
    with_views,
)
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.evaluate import EvaluateConfig, Evaluator
from anchorrec_graph.models.scoring import sum_views
from anchorrec_graph.typing import Embeddings, View


@pytest.fixture(scope="module")
def data() -> HeteroData:
    return PlantedConfig(num_users=40, num_items=50, interactions_per_user=10, num_clusters=4).load()


@pytest.fixture(scope="module")
def recall(data: HeteroData) -> Value:
    return metric_value(Evaluator(EvaluateConfig(), data), "test", "Recall@10")


def some_scores(embeddings: Embeddings) -> Tensor:
    """A value that is not additive in the views."""
    return torch.stack([embeddings.scores(torch.arange(5)).max(), embeddings.item.abs().sum()])


def test_with_views_sums_the_views_that_it_keeps() -> None:
    embeddings = random_embeddings()
    kept = with_views(embeddings, ["image", "bias"])
    torch.testing.assert_close(kept.user, embeddings.views["image"].user)
    torch.testing.assert_close(kept.item, embeddings.views["image"].item + embeddings.views["bias"].item)
    assert list(kept.views) == ["image", "bias"]
    torch.testing.assert_close(with_views(embeddings, embeddings.views).item, embeddings.item)
    assert with_views(embeddings, ["bias"]).user.shape == embeddings.user.shape
    assert not with_views(embeddings, []).item.any()


def test_removal_drops_are_what_the_evaluator_says(data: HeteroData, recall: Value) -> None:
    embeddings = random_embeddings(40, 50)
    evaluator = Evaluator(EvaluateConfig(), data)

    def measured(scorer: Embeddings) -> float:
        return evaluator.evaluate(scorer, "test").metrics["Recall@10"]

    id_view, image, bias = embeddings.views.values()
    without = {
        "id": {"image": image, "bias": bias},
        "image": {"id": id_view, "bias": bias},
        "bias": {"id": id_view, "image": image},
    }
    expected = {name: measured(embeddings) - measured(sum_views(views)) for name, views in without.items()}
    drops = removal_drops(embeddings, recall)
    assert {name: float(drop.mean()) for name, drop in drops.items()} == pytest.approx(expected)
    assert drops["id"].shape == evaluator.users("test").shape


def test_a_view_that_says_nothing_costs_nothing_and_the_only_one_costs_all(recall: Value) -> None:
    view = random_embeddings(40, 50).views["id"]
    assert view.user is not None
    embeddings = sum_views({"id": view, "empty": View(0 * view.user, 0 * view.item)})
    whole = recall(embeddings)
    assert whole.sum() > 0
    seeded = torch.Generator().manual_seed(0)
    for drops in (removal_drops(embeddings, recall), permutation_drops(embeddings, recall, seeded)):
        assert not drops["empty"].any()
    torch.testing.assert_close(removal_drops(embeddings, recall)["id"], whole)
    shapley = shapley_values(embeddings, recall)
    torch.testing.assert_close(shapley["id"], whole)
    assert not shapley["empty"].any()


def test_permutation_drops_equal_a_permutation_by_hand_and_follow_the_seed() -> None:
    embeddings = random_embeddings()
    drops = permutation_drops(embeddings, some_scores, torch.Generator().manual_seed(3))
    again = torch.Generator().manual_seed(3)
    for name, view in embeddings.views.items():
        order = torch.randperm(9, generator=again).tolist()
        moved = View(view.user, torch.stack([view.item[i] for i in order]))
        by_hand = sum_views({**embeddings.views, name: moved})
        torch.testing.assert_close(drops[name], some_scores(embeddings) - some_scores(by_hand))


def test_permutation_takes_what_a_view_knows_of_the_items(data: HeteroData, recall: Value) -> None:
    """Scores that are the held-out pairs themselves: recall falls from its best to chance."""
    users, items = data["user", "interacts", "item"].test_edge_label_index
    known = torch.zeros(40, 50)
    known[users, items] = 1
    embeddings = sum_views({"id": View(torch.eye(40), known.T)})
    drop = permutation_drops(embeddings, recall, torch.Generator().manual_seed(0))["id"]
    assert recall(embeddings).mean() == 1
    assert drop.mean() > 0.5


def naive_shapley(embeddings: Embeddings, name: str, entry: int) -> float:
    """The mean gain from adding the view, over all orders of the views."""
    gains = []
    for order in permutations(embeddings.views):
        before = order[: order.index(name)]
        with_it, without = (some_scores(with_views(embeddings, names)) for names in ((*before, name), before))
        gains.append(float(with_it[entry] - without[entry]))
    return fmean(gains)


def test_shapley_values_equal_the_mean_over_orders() -> None:
    embeddings = random_embeddings()
    values = shapley_values(embeddings, some_scores)
    for name in embeddings.views:
        expected = [naive_shapley(embeddings, name, entry) for entry in range(2)]
        assert values[name].tolist() == pytest.approx(expected, rel=1e-4)
    torch.testing.assert_close(torch.stack([*values.values()]).sum(0), some_scores(embeddings))


def test_shapley_values_of_users_sum_to_their_recall_in_two_to_the_views_evaluations(recall: Value) -> None:
    embeddings, calls = random_embeddings(40, 50), 0

    def counted(model: Embeddings) -> Tensor:
        nonlocal calls
        calls += 1
        return recall(model)

    values = shapley_values(embeddings, counted)
    assert calls == 8
    torch.testing.assert_close(torch.stack([*values.values()]).sum(0), recall(embeddings))


def test_thirteen_views_and_other_metrics_are_refused(data: HeteroData) -> None:
    view = View(None, torch.ones(9, 4))
    many = random_embeddings()._replace(views={f"view {n}": view for n in range(13)})
    with pytest.raises(ConfigError, match=r"13 views take 2\^13 evaluations.*at most 12"):
        shapley_values(many, some_scores)
    for metric in ("Recall@7", "Coverage@20"):
        with pytest.raises(ConfigError, match=f"{metric} is not a per-user metric"):
            metric_value(Evaluator(EvaluateConfig(), data), "test", metric)
