"""Held-out items and users: nothing of them is left to train on, and rankings are those of loops."""

from __future__ import annotations

import naive_ranking
import numpy as np
import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.data.planted import PlantedConfig
from anchorrec_graph.data.raw import RawData
from anchorrec_graph.data.split import ColdItemsConfig, ColdUsersConfig, RandomSplitConfig
from anchorrec_graph.errors import DataError
from anchorrec_graph.evaluate.cold_items import (
    ColdItems,
    hold_out_items,
    rank_new_items,
    with_new_items,
    with_rows,
)
from anchorrec_graph.evaluate.cold_users import (
    ColdUsers,
    folded_rows,
    hold_out_users,
    rank_for_new_users,
)
from anchorrec_graph.models import build_model
from anchorrec_graph.models.anchorrec import AnchorRec, AnchorRecConfig
from anchorrec_graph.typing import Embeddings

SHOP = PlantedConfig(num_users=60, num_items=80, interactions_per_user=8, num_clusters=4)
INNER = RandomSplitConfig(seed=3)
Pairs = set[tuple[str, str]]


@pytest.fixture(scope="module")
def raw() -> RawData:
    return SHOP.read()


@pytest.fixture(scope="module")
def cold(raw: RawData) -> ColdItems:
    return hold_out_items(raw, ColdItemsConfig(validation=0.1, test=0.4, seed=2), INNER)


@pytest.fixture(scope="module")
def strangers(raw: RawData) -> ColdUsers:
    return hold_out_users(raw, ColdUsersConfig(test=0.3, seed=2), INNER)


def named(data: HeteroData, pairs: Tensor) -> Pairs:
    items = data["item"].table["item_id"].to_list()
    return {(str(data["user"].ids[user]), items[item]) for user, item in pairs.T.tolist()}


def all_pairs(raw: RawData) -> Pairs:
    items = raw.items["item_id"].to_list()
    user, item = raw.interactions.user.tolist(), raw.interactions.item.tolist()
    return {(str(raw.user_ids[u]), items[i]) for u, i in zip(user, item, strict=True)}


def test_every_pair_is_somewhere_once(raw: RawData, cold: ColdItems) -> None:
    warm = cold.warm
    parts = [named(warm, warm[INTERACTS][f"{name}_index"]) for name in ("edge", "val_edge_label")]
    for new in (cold.validation, cold.test):
        items = new.table["item_id"].to_list()
        parts.append({(str(raw.user_ids[user]), items[place]) for user, place in new.pairs.T.tolist()})
    assert sum(map(len, parts)) == len(set().union(*parts)) == len(raw.interactions.user)
    assert set().union(*parts) == all_pairs(raw)
    assert all(parts)
    assert {user for user, _ in parts[0]} == set(raw.user_ids)  # everyone trains


def test_training_knows_nothing_of_the_items(raw: RawData, cold: ColdItems) -> None:
    label = ColdItemsConfig(validation=0.1, test=0.4, seed=2).assign(raw.interactions)
    held = {raw.items["item_id"][int(item)] for item in raw.interactions.item[label > 0]}
    assert len(cold.test.table) == 32
    assert set(cold.warm["item"].table["item_id"]).isdisjoint(held)
    assert {*cold.validation.table["item_id"], *cold.test.table["item_id"]} == held
    row = {item: number for number, item in enumerate(raw.items["item_id"])}
    for modality, native in raw.features.items():
        for table, x in (
            (cold.warm["item"].table, cold.warm["item"][modality]),
            (cold.validation.table, cold.validation.features[modality]),
            (cold.test.table, cold.test.features[modality]),
        ):
            np.testing.assert_array_equal(x.numpy(), native[[row[item] for item in table["item_id"]]])


def test_stopping_pairs_are_those_of_the_inner_split_and_its_test_trains(cold: ColdItems) -> None:
    edges = cold.warm[INTERACTS]
    assert edges.test_edge_label_index.shape == (2, 0)
    counts = torch.bincount(edges.edge_index[0], minlength=60)
    held = torch.bincount(edges.val_edge_label_index[0], minlength=60)
    for total, validation in zip((counts + held).tolist(), held.tolist(), strict=True):
        assert validation == (0 if total < 3 else 1 if total < 10 else total // 5 // 2)


def test_new_items_stand_behind_the_others_and_nobody_has_them(cold: ColdItems) -> None:
    data = with_new_items(cold)
    ids = [part["item_id"].to_list() for part in (cold.warm["item"].table, cold.validation.table)]
    assert data["item"].table["item_id"].to_list() == [*ids[0], *ids[1], *cold.test.table["item_id"]]
    assert int(data["item"].num_nodes) == 80
    torch.testing.assert_close(data["item"].image[-32:], cold.test.features["image"])
    assert data[INTERACTS].edge_index.equal(cold.warm[INTERACTS].edge_index)
    assert int(cold.warm["item"].num_nodes) == 40


def test_rankings_are_those_of_loops(cold: ColdItems) -> None:
    """Integer scores, so that many are equal."""
    new, warm = cold.test, int(cold.warm["item"].num_nodes)
    generator = torch.Generator().manual_seed(0)
    user, item = (torch.randint(-2, 3, (n, 3), generator=generator).float() for n in (60, warm + 32))
    scorer = Embeddings(user, item, {})
    found = rank_new_items(scorer, cold, new)
    known = [set() for _ in range(60)]
    edges = cold.warm[INTERACTS]
    for u, i in torch.cat([edges.edge_index, edges.val_edge_label_index], dim=1).T.tolist():
        known[u].add(i)
    taken = [set() for _ in range(60)]
    for u, place in new.pairs.T.tolist():
        taken[u].add(warm + place)
    excluded = {"new items": [set(range(warm))] * 60, "all items": known}
    for ranking, table in found.items():
        assert table["user"].to_list() == [u for u in range(60) if taken[u]]
        for u, recall, ndcg in table.rows():
            scores = scorer.scores(torch.tensor([u]))[0].tolist()
            items = naive_ranking.top_k(scores, 20, excluded[ranking][u])
            assert recall == pytest.approx(naive_ranking.user_metric("Recall", items, taken[u], 20))
            assert ndcg == pytest.approx(naive_ranking.user_metric("NDCG", items, taken[u], 20))
    assert not found["new items"].equals(found["all items"])


@pytest.mark.parametrize("count", [0, 31])
def test_a_scorer_of_too_few_items_is_refused(cold: ColdItems, count: int) -> None:
    few = Embeddings(torch.ones(60, 1), torch.ones(40 + count, 1), {})
    with pytest.raises(DataError, match="scores"):
        rank_new_items(few, cold, cold.test)


def test_rows_by_view_are_summed(cold: ColdItems) -> None:
    before = Embeddings(torch.ones(60, 2), torch.zeros(40, 2), {})
    after = with_rows(before, {"id": torch.ones(3, 2), "text": 2 * torch.ones(3, 2)})
    assert after.item.tolist() == [[0.0, 0.0]] * 40 + [[3.0, 3.0]] * 3


def test_strangers_have_one_fifth_of_their_items_to_be_ranked(raw: RawData, strangers: ColdUsers) -> None:
    """Only their histories are in `whole`, nothing of them in `without`; the others are the same in both."""
    items, ids = raw.items["item_id"].to_list(), raw.user_ids[strangers.users.numpy()]
    history, held_out = (
        {(str(ids[place]), items[item]) for place, item in part.pairs.T.tolist()}
        for part in (strangers.history, strangers.held_out)
    )
    assert len(ids) == 18
    assert history | held_out == {pair for pair in all_pairs(raw) if pair[0] in ids}
    assert not history & held_out
    total = strangers.history.counts() + strangers.held_out.counts()
    assert strangers.held_out.counts().tolist() == [max(1, count // 5) for count in total.tolist()]
    train, validation = (
        [named(data, data[INTERACTS][name]) for data in (strangers.without, strangers.whole)]
        for name in ("edge_index", "val_edge_label_index")
    )
    assert validation[0] == validation[1] != set()
    assert train[1] == train[0] | history
    assert not history & train[0]
    assert set(strangers.without["user"].ids) == set(raw.user_ids) - set(ids)
    assert train[0] | validation[0] | history | held_out == all_pairs(raw)


def test_strangers_are_ranked_like_loops(strangers: ColdUsers) -> None:
    generator = torch.Generator().manual_seed(1)
    scorer = Embeddings(torch.randn(18, 4, generator=generator), torch.randn(80, 4, generator=generator), {})
    table = rank_for_new_users(scorer, strangers)
    assert table["user"].to_list() == strangers.users.tolist()
    for place, (_, recall, ndcg) in enumerate(table.rows()):
        own = [
            {item for user, item in part.pairs.T.tolist() if user == place}
            for part in (strangers.history, strangers.held_out)
        ]
        items = naive_ranking.top_k(scorer.scores(torch.tensor([place]))[0].tolist(), 20, own[0])
        assert recall == pytest.approx(naive_ranking.user_metric("Recall", items, own[1], 20))
        assert ndcg == pytest.approx(naive_ranking.user_metric("NDCG", items, own[1], 20))


def test_folded_rows_are_the_sums_of_their_parts(strangers: ColdUsers) -> None:
    model = build_model(AnchorRecConfig(embedding_dim=8), strangers.without).eval()
    assert isinstance(model, AnchorRec)
    with torch.no_grad():
        fold_in = model.fold_in()
        rows = folded_rows(fold_in, strangers.history)
    assert rows.shape == (18, fold_in.dim)
    for place in (0, 17):
        user, item = strangers.history.pairs
        parts = fold_in.parts(item[user == place])
        torch.testing.assert_close(rows[place], sum(part.sum(0) for part in parts.values()))
