from __future__ import annotations

import naive_ranking
import pytest
import torch
from evaluation_world import World, make_world

from anchorrec_graph.evaluate import EvaluateConfig, Evaluator, slice_metrics
from anchorrec_graph.evaluate.slices import activity_quartiles, popular_items


@pytest.mark.parametrize("split", ["validation", "test"])
def test_slices_equal_naive(world: World, split: str) -> None:
    held_out = world.test if split == "test" else world.validation
    result = Evaluator(EvaluateConfig(), world.data).evaluate(world.embeddings, split)
    table = slice_metrics(result, world.data, ["Recall@20", "NDCG@10"])
    users = result.per_user["user"].to_list()
    item_users = [sum(item in items for items in world.train) for item in range(300)]
    by_popularity = sorted(range(300), key=lambda item: -item_users[item])
    everything, head = set(range(300)), set(by_popularity[:60])
    quartile = activity_quartiles(torch.tensor([len(world.train[user]) for user in users])).tolist()
    slices = {"all users": (users, everything)}
    for q in range(4):
        slices[f"activity q{q + 1}"] = (
            [u for u, own in zip(users, quartile, strict=True) if own == q],
            everything,
        )
    slices["head items"] = (users, head)
    slices["tail items"] = (users, everything - head)
    slices["cold items"] = (users, {item for item in everything if item_users[item] == 0})
    assert table["slice"].to_list() == list(slices)
    lists = dict(zip(users, result.items.tolist(), strict=True))
    for row in table.iter_rows(named=True):
        members, items = slices[row["slice"]]
        members = [user for user in members if held_out[user] & items]
        assert row["users"] == len(members) > 0
        for name, (kind, k) in {"Recall@20": ("Recall", 20), "NDCG@10": ("NDCG", 10)}.items():
            values = [naive_ranking.user_metric(kind, lists[u], held_out[u] & items, k) for u in members]
            assert row[name] == pytest.approx(sum(values) / len(values), abs=1e-12)


def test_all_users_is_the_result_and_metrics_default_to_it(world: World) -> None:
    result = Evaluator(EvaluateConfig(), world.data).evaluate(world.embeddings, "test")
    table = slice_metrics(result, world.data)
    first = table.row(0, named=True)
    assert first.pop("slice") == "all users"
    assert first.pop("users") == len(result.per_user)
    assert first == pytest.approx({name: result.metrics[name] for name in first}, abs=1e-12)
    assert "Coverage@20" not in table.columns
    quarters = table.filter(table["slice"].str.starts_with("activity"))
    assert quarters["users"].sum() == len(result.per_user)


def test_a_slice_without_users_is_null() -> None:
    world = make_world(num_users=40, num_items=20)
    edges = world.data["user", "interacts", "item"]
    edges.edge_index = torch.cat(
        [edges.edge_index, torch.stack([torch.zeros(20).long(), torch.arange(20)])], dim=1
    )
    result = Evaluator(EvaluateConfig(), world.data).evaluate(world.embeddings, "test")
    cold = slice_metrics(result, world.data, ["Recall@20"]).row(-1)
    assert cold == ("cold items", 0, None)


def test_padding_is_no_hit_on_the_last_item() -> None:
    """The last item is held out and cold; padded lists must not count it."""
    world = make_world(num_users=12, num_items=40)
    edges = world.data["user", "interacts", "item"]
    edges.test_edge_label_index = torch.tensor([[0, 1], [39, 39]])
    evaluator = Evaluator(EvaluateConfig(metrics=("Recall@5",)), world.data)
    result = evaluator.evaluate_top_k(
        torch.tensor([0, 1]), torch.tensor([[-1] * 5, [39, -1, -1, -1, -1]]), "test"
    )
    assert result.per_user["Recall@5"].to_list() == [0, 1]
    assert slice_metrics(result, world.data).row(-1) == ("cold items", 2, 0.5)


def test_popular_items_and_quartiles() -> None:
    assert popular_items(torch.tensor([1, 5, 5, 0, 5, 2, 0, 0, 0, 0])).nonzero().flatten().tolist() == [1, 2]
    assert activity_quartiles(torch.tensor([1, 2, 3, 4])).tolist() == [0, 1, 2, 3]
    assert activity_quartiles(torch.tensor([3, 3, 3, 9])).tolist() == [0, 0, 0, 3]
