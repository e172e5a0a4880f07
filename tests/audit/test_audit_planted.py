"""Models whose audit is known in advance."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
import torch
from audit_world import EVALUATE, ITEMS, USERS, K, audit_of, fixed_lists, shop
from scipy.sparse import csr_array
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.audit import Audit, Audited, audit_models
from anchorrec_graph.audit.calibration import calibration
from anchorrec_graph.audit.lists import Known
from anchorrec_graph.audit.users import list_diversity
from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.evaluate.user_items import UserItems


def halves() -> HeteroData:
    """Items 0..24 are `left`, the others `right`; every user has 3 training and 2 test items of each."""
    data = shop()
    data["item"].table = pl.DataFrame(
        {"item_id": [str(n) for n in range(ITEMS)], "side": ["left"] * 25 + ["right"] * 25}
    )
    rng = np.random.default_rng(0)
    train, test = [], []
    for user in range(USERS):
        for first in (0, 25):
            items = first + rng.permutation(25)[:5]
            train += [(user, item) for item in items[:3]]
            test += [(user, item) for item in items[3:]]
    edges = data[INTERACTS]
    edges.edge_index, edges.test_edge_label_index = torch.tensor(train).T, torch.tensor(test).T
    edges.val_edge_label_index = torch.empty(2, 0, dtype=torch.long)
    return data


def candidates(data: HeteroData, user: int, side: int) -> list[int]:
    """Items of a side that are not in training."""
    train = data[INTERACTS].edge_index
    own = set(train[1][train[0] == user].tolist())
    return [item for item in range(25 * side, 25 * side + 25) if item not in own]


def value(found: Audit, measure: str, group: str = "(all)", by: str = "side") -> float:
    return found.groups.filter(measure=measure, group=group, by=by)["value"].item()  # type: ignore[no-any-return]


def test_a_model_that_recommends_one_side_only() -> None:
    data = halves()
    lists = torch.tensor([candidates(data, user, 0)[:K] for user in range(USERS)])
    found = audit_of(data, fixed_lists(data, lists), by=["side"])
    assert value(found, "exposure", "left") == value(found, "weighted_exposure", "left") == 1
    assert value(found, "lift", "left") == pytest.approx(2)  # half of the interactions
    assert (
        value(found, "lift", "right") == value(found, "recall", "right") == value(found, "ndcg", "right") == 0
    )
    assert value(found, "recall", "left") == pytest.approx(2 * value(found, "recall"))
    gap = found.gaps.filter(measure="lift", against="right").row(0, named=True)
    assert gap["group"] == "left"
    assert [gap[name] for name in ("value", "low", "high")] == pytest.approx([2, 2, 2])
    assert value(found, "kl") == pytest.approx(0.5 * math.log(0.5 / 0.995) + 0.5 * math.log(100))


def test_a_perfectly_calibrated_list_and_the_wrong_one() -> None:
    data = halves()
    both = [candidates(data, user, 0)[:3] + candidates(data, user, 1)[:3] for user in range(USERS)]
    found = audit_of(data, fixed_lists(data, torch.tensor(both)), by=["side"])
    assert value(found, "kl") == pytest.approx(0, abs=1e-12)
    assert value(found, "js") == pytest.approx(0, abs=1e-12)
    for side in ("left", "right"):
        assert value(found, "lift", side) == pytest.approx(1)
    assert not found.gaps.filter(measure="exposure").height


def one_user(history: list[int], num_items: int = 4) -> Known:
    pairs = torch.tensor([[0] * len(history), history])
    train = UserItems.from_pairs(pairs, 1, num_items)
    return Known(torch.tensor([0]), train, train)


def test_calibration_at_its_bounds_and_without_a_list() -> None:
    member = csr_array(np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]]))

    def both(items: Tensor) -> list[float]:
        return [float(values[0]) for values in calibration(items, one_user([0, 1]), member).values()]

    assert both(torch.tensor([[0, 1]])) == [0, 0]
    assert both(torch.tensor([[2, 3]])) == pytest.approx([math.log(100), math.log(2)])
    assert all(map(math.isnan, both(torch.tensor([[-1, -1]]))))
    assert all(math.isnan(v[0]) for v in calibration(torch.tensor([[0]]), one_user([]), member).values())


def test_diversity_of_known_lists() -> None:
    features = torch.tensor([[2.0, 0], [1, 0], [0, 3], [0, 0], [-1, 0], [torch.nan, 1]])
    items = torch.tensor([[0, 1, -1], [0, 2, 3], [0, 4, -1], [0, 3, 5], [0, 1, 2]])
    found = list_diversity(items, features)
    assert found[:3].tolist() == pytest.approx([0, 1, 2])
    assert math.isnan(found[3])  # one item with features
    assert found[4] == pytest.approx(2 / 3)


def test_groups_without_a_value_are_null() -> None:
    """Cold items were never chosen, so they have no lift; groups with few held-out users have no recall."""
    data = halves()
    edges = data[INTERACTS]
    edges.edge_index = edges.edge_index[:, edges.edge_index[1] != 7]
    data["item"].table = data["item"].table.with_columns(seven=pl.Series([n == 7 for n in range(ITEMS)]))
    lists = torch.tensor([candidates(data, user, 0)[:K] for user in range(USERS)])
    found = audit_of(data, fixed_lists(data, lists), by=["seven"])
    assert value(found, "lift", "true", "seven") is None
    assert value(found, "recall", "true", "seven") is not None
    least = audit_of(data, fixed_lists(data, lists), by=["side"], least=25)
    assert value(least, "recall", "left") is not None
    edges.test_edge_label_index = edges.test_edge_label_index[:, :96]  # 24 users
    for users, measured in ((24, True), (25, False)):
        found = audit_of(data, fixed_lists(data, lists), by=["side"], least=users)
        assert (value(found, "recall", "left") is not None) is measured


def test_a_removed_view_that_was_all_leaves_empty_lists() -> None:
    data = halves()
    model = fixed_lists(data, torch.tensor([candidates(data, user, 0)[:K] for user in range(USERS)]))
    both = model._replace(
        views={**model.views, "idle": model.views["id"]._replace(item=torch.zeros(ITEMS, ITEMS))}
    )
    found = audit_models([Audited("m", 0, both)], data, EVALUATE, ["side"], without=["id"], least=1)
    rows = found.groups.filter(without="id", by="side", group="left")
    values = dict(rows.select("measure", "value").rows())
    assert values["recall"] == 0
    assert values["exposure"] is values["lift"] is None
    assert audit_models([Audited("m", 0, model)], data, EVALUATE, ["side"], without="each").groups[
        "without"
    ].unique().to_list() == [""]
