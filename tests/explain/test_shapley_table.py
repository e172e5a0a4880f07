from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pytest
import torch
from shop import random_embeddings, shop_data
from torch import Tensor

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.diagnose.removal import metric_value, shapley_values
from anchorrec_graph.errors import ConfigError, DataError
from anchorrec_graph.evaluate import EvaluateConfig, Evaluator
from anchorrec_graph.explain.shapley import shapley_table
from anchorrec_graph.typing import Embeddings

CONFIG = EvaluateConfig()
METRIC = "Recall@10"


def embeddings() -> Embeddings:
    return random_embeddings(40, 50)


def values(table: pl.DataFrame, group: str) -> dict[str, float | None]:
    rows = table.filter(group=group)
    return dict(zip(rows["view"], rows["value"], strict=True))


def expected(users: Sequence[int] | Tensor | None = None) -> dict[str, float]:
    """Means of the values of single users over some of them, and the metric itself."""
    evaluator = Evaluator(CONFIG, shop_data())
    counted = evaluator.users("validation")
    chosen = torch.ones(len(counted), dtype=torch.bool)
    if users is not None:
        chosen = torch.isin(counted, torch.as_tensor(users))
    value = metric_value(evaluator, "validation", METRIC)
    worth = {**shapley_values(embeddings(), value), "all views": value(embeddings())}
    return {view: float(of_user[chosen].mean()) for view, of_user in worth.items()}


def test_all_users_and_quartiles_of_activity() -> None:
    data = shop_data()
    table = shapley_table(embeddings(), data, CONFIG, "validation", METRIC, segment="activity")
    assert table.columns == ["split", "metric", "group", "users", "view", "value"]
    assert values(table, "all users") == pytest.approx(expected())
    counted = Evaluator(CONFIG, data).users("validation")
    count = torch.bincount(data[INTERACTS].edge_index[0], minlength=40)
    bounds = count[counted].double().quantile(torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64))
    quartile = (count[:, None] > bounds).sum(1)
    sizes = 0
    for q in range(4):
        members = counted[quartile[counted] == q]
        assert values(table, f"activity q{q + 1}") == pytest.approx(expected(members))
        sizes += table.filter(group=f"activity q{q + 1}")["users"][0]
    assert sizes == table["users"][0] == len(counted)


def test_views_sum_to_the_metric() -> None:
    table = shapley_table(embeddings(), shop_data(), CONFIG, "test", "NDCG@20", segment="activity")
    assert table["group"].n_unique() == 5
    for group in table["group"].unique():
        found = values(table, group)
        total = found.pop("all views")
        assert total is not None
        assert total > 0
        assert sum(value for value in found.values() if value is not None) == pytest.approx(total)


def test_some_users_and_the_data_stay_as_they_are() -> None:
    data = shop_data()
    kept = data[INTERACTS].val_edge_label_index.clone()
    table = shapley_table(embeddings(), data, CONFIG, "validation", METRIC, users=[3, 7])
    assert torch.equal(data[INTERACTS].val_edge_label_index, kept)
    assert set(table["group"]) == {"users named"}
    assert table["users"][0] == 2
    assert values(table, "users named") == pytest.approx(expected([3, 7]))


def test_errors() -> None:
    with pytest.raises(ConfigError, match="Coverage@20 is not a per-user metric"):
        shapley_table(embeddings(), shop_data(), CONFIG, "validation", "Coverage@20")
    data = shop_data()
    pairs = data[INTERACTS].val_edge_label_index
    data[INTERACTS].val_edge_label_index = pairs[:, pairs[0] != 3]
    with pytest.raises(DataError, match="none of the 1 users named has a validation item"):
        shapley_table(embeddings(), data, CONFIG, "validation", METRIC, users=[3])
