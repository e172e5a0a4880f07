from __future__ import annotations

import re
from typing import Literal

import naive_ranking
import pydantic
import pytest
import torch
from evaluation_world import World, make_world
from torch_geometric.data import HeteroData

from anchorrec_graph.errors import DataError, TrainingError
from anchorrec_graph.evaluate import METRICS, EvaluateConfig, Evaluator, parse_metric
from anchorrec_graph.typing import Embeddings


def naive_result(
    world: World, config: EvaluateConfig, split: str
) -> tuple[list[int], list[list[int]], dict[str, list[float]], dict[str, float]]:
    held_out = world.test if split == "test" else world.validation
    users = [user for user, items in enumerate(held_out) if items]
    lists = []
    for user in users:
        masked: set[int] = set()
        if "train" in config.mask:
            masked |= world.train[user]
        if "validation" in config.mask and split == "test":
            masked |= world.validation[user]
        scores = world.embeddings.scores(torch.tensor([user]))[0].tolist()
        lists.append(naive_ranking.top_k(scores, 20, masked))
    num_items = int(world.data["item"].num_nodes)
    values, means = {}, {}
    for name in config.metrics:
        kind, k = parse_metric(name)
        if kind in METRICS:
            values[name] = [
                naive_ranking.user_metric(kind, items, held_out[user], k)
                for user, items in zip(users, lists, strict=True)
            ]
            means[name] = sum(values[name]) / len(users)
        else:
            means[name] = naive_ranking.list_metric(kind, lists, world.train, num_items, k)
    return users, lists, values, means


@pytest.mark.parametrize("mask", [("train", "validation"), ("train",), ("validation",), ()])
@pytest.mark.parametrize("split", ["validation", "test"])
def test_evaluate_equals_naive(world: World, mask: tuple[str, ...], split: str) -> None:
    config = EvaluateConfig(mask=mask)
    result = Evaluator(config, world.data).evaluate(world.embeddings, split)
    users, lists, values, means = naive_result(world, config, split)
    assert list(result.metrics) == list(config.metrics)
    assert result.metrics == pytest.approx(means, abs=1e-12)
    assert result.items.tolist() == lists
    assert result.per_user["user"].to_list() == users
    assert result.per_user["user_id"].to_list() == [f"user {user}" for user in users]
    assert result.per_user.columns == ["user", "user_id", *values]
    for name, column in values.items():
        assert result.per_user[name].to_list() == pytest.approx(column, abs=1e-12)


def test_the_masks_differ_where_they_should(world: World) -> None:
    """Validation positives are candidates at test under the literature's mask only."""
    ideal = torch.zeros(60, 300)
    for user, items in enumerate(world.validation):
        ideal[user, list(items)] = 2
    for user, items in enumerate(world.test):
        ideal[user, list(items)] = 1
    scorer = Embeddings(ideal, torch.eye(300), {})
    default = Evaluator(EvaluateConfig(metrics=("MRR@20",)), world.data).evaluate(scorer, "test")
    literature = Evaluator(EvaluateConfig(metrics=("MRR@20",), mask=("train",)), world.data)
    assert default.metrics == {"MRR@20": 1}
    assert literature.evaluate(scorer, "test").metrics["MRR@20"] < 1
    assert literature.evaluate(scorer, "validation").metrics == {"MRR@20": 1}


@pytest.mark.parametrize("block_size", [1, 7, 1000])
def test_block_size_changes_nothing(world: World, block_size: int) -> None:
    expected = Evaluator(EvaluateConfig(), world.data).evaluate(world.embeddings, "test")
    config = EvaluateConfig(block_size=block_size)
    result = Evaluator(config, world.data).evaluate(world.embeddings, "test")
    assert result.metrics == expected.metrics
    assert torch.equal(result.items, expected.items)
    assert result.per_user.equals(expected.per_user)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_some_users_are_drawn_once_and_have_their_own_values(
    world: World, split: Literal["validation", "test"]
) -> None:
    everyone = Evaluator(EvaluateConfig(), world.data).evaluate(world.embeddings, split)
    config = EvaluateConfig(max_users=5)
    some = Evaluator(config, world.data).evaluate(world.embeddings, split)
    assert torch.equal(Evaluator(config, world.data).users(split), Evaluator(config, world.data).users(split))
    users = some.per_user["user"].to_list()
    assert len(users) == 5
    assert users == sorted(set(users))
    assert some.per_user.equals(everyone.per_user.filter(everyone.per_user["user"].is_in(users)))
    enough = EvaluateConfig(max_users=len(everyone.per_user))
    assert Evaluator(enough, world.data).evaluate(world.embeddings, split).per_user.equals(everyone.per_user)


def test_more_items_asked_than_there_are() -> None:
    world = make_world(num_users=12, num_items=40)
    config = EvaluateConfig(metrics=("Recall@50", "Precision@50"))
    result = Evaluator(config, world.data).evaluate(world.embeddings, "test")
    assert result.metrics["Recall@50"] == 1
    for user, items in zip(result.per_user["user"].to_list(), result.items.tolist(), strict=True):
        seen = world.train[user] | world.validation[user]
        assert set(items) == set(range(40)) - seen | {-1}


def test_held_out_pairs_change_no_list(world: World) -> None:
    other = world.data.clone()
    edges = other["user", "interacts", "item"]
    edges.test_edge_label_index = torch.stack(
        [edges.test_edge_label_index[0], edges.test_edge_label_index[1].flip(0)]
    )
    lists = [
        Evaluator(EvaluateConfig(), d).evaluate(world.embeddings, "test").items for d in (world.data, other)
    ]
    assert torch.equal(*lists)


def test_lists_of_another_program(world: World) -> None:
    evaluator = Evaluator(EvaluateConfig(), world.data)
    expected = evaluator.evaluate(world.embeddings, "test")
    users = torch.from_numpy(expected.per_user["user"].to_numpy().copy())
    order = torch.randperm(len(users), generator=torch.Generator().manual_seed(0))
    more_users = torch.cat([users[order], torch.tensor([0])])  # user 0 has no test items
    wider = torch.nn.functional.pad(expected.items[order], (0, 3), value=-1)
    more_lists = torch.cat([wider, wider.new_full((1, 23), -1)])
    result = evaluator.evaluate_top_k(more_users, more_lists, "test")
    assert result.metrics == expected.metrics
    assert result.per_user.equals(expected.per_user)


def test_wrong_lists_are_refused(world: World) -> None:
    evaluator = Evaluator(EvaluateConfig(), world.data)
    users = evaluator.users("test")
    lists = torch.arange(20).repeat(len(users), 1)
    twice, outside = lists.clone(), lists.clone()
    twice[2, 5], outside[3, 0] = 19, 300
    for message, some_users, some_lists in (
        ("do not fit", users, lists[1:]),
        ("hold 19 items, the metrics need 20", users, lists[:, :19]),
        ("name a user twice", users.clone().index_fill_(0, torch.tensor([0, 1]), 5), lists),
        ("a user row 60, outside 0..59", users.clone().index_fill_(0, torch.tensor([0]), 60), lists),
        ("an item row 300, outside -1..299", users, outside),
        (f"list of user row {int(users[2])} names an item twice", users, twice),
        (f"lack 1 users with held-out items, first user row {int(users[0])}", users[1:], lists[1:]),
    ):
        with pytest.raises(DataError, match=re.escape(message)):
            evaluator.evaluate_top_k(some_users, some_lists, "test")


def test_nothing_held_out_is_an_error(world: World) -> None:
    data = HeteroData()
    data["user"].num_nodes, data["item"].num_nodes = 60, 300
    data["user", "interacts", "item"].edge_index = world.data["user", "interacts", "item"].edge_index
    evaluator = Evaluator(EvaluateConfig(), data)
    with pytest.raises(DataError, match=r"no validation interactions \(val_edge_label_index is empty"):
        evaluator.evaluate(world.embeddings, "validation")


def test_nan_embeddings_are_named(world: World) -> None:
    item = world.embeddings.item.clone()
    item[4] = torch.nan
    with pytest.raises(TrainingError, match="user row 1 hold NaN"):
        Evaluator(EvaluateConfig(), world.data).evaluate(world.embeddings._replace(item=item), "test")


def test_config_refuses_unknown_metrics_and_masks() -> None:
    with pytest.raises(pydantic.ValidationError, match="did you mean 'NDCG'"):
        EvaluateConfig(metrics=("NDGC@20",))
    for wrong in ({"metrics": ()}, {"mask": ("test",)}, {"block_size": 0}, {"metric": ("NDCG@20",)}):
        with pytest.raises(pydantic.ValidationError):
            EvaluateConfig(**wrong)
