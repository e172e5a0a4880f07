from __future__ import annotations

import math
import warnings

import naive_ranking
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric import metrics as pyg

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.evaluate.metrics import (
    LIST_METRICS,
    METRICS,
    exposure,
    list_values,
    parse_metric,
    popularity,
    user_values,
)

PYG = {
    "Recall": pyg.LinkPredRecall,
    "NDCG": pyg.LinkPredNDCG,
    "Precision": pyg.LinkPredPrecision,
    "MAP": pyg.LinkPredMAP,
    "MRR": pyg.LinkPredMRR,
    "Hit": pyg.LinkPredHitRatio,
}


def random_lists(num_users: int = 80, num_items: int = 40, k: int = 20) -> tuple[Tensor, list[set[int]]]:
    """Lists [n, k] and 1 to 30 relevant items a user: more than k for some."""
    generator = torch.Generator().manual_seed(3)
    lists = torch.stack([torch.randperm(num_items, generator=generator)[:k] for _ in range(num_users)])
    relevant = [
        set(torch.randperm(num_items, generator=generator)[: 1 + user % 30].tolist())
        for user in range(num_users)
    ]
    return lists, relevant


def hits_of(lists: Tensor, relevant: list[set[int]]) -> tuple[Tensor, Tensor]:
    hits = [[item in wanted for item in row] for row, wanted in zip(lists.tolist(), relevant, strict=True)]
    return torch.tensor(hits), torch.tensor([len(wanted) for wanted in relevant])


@pytest.mark.parametrize("k", [1, 5, 10, 20])
@pytest.mark.parametrize("kind", METRICS)
def test_user_metric_equals_naive_and_pyg(kind: str, k: int) -> None:
    lists, relevant = random_lists()
    name = f"{kind}@{k}"
    values = user_values([name], *hits_of(lists, relevant))[name]
    naive = [
        naive_ranking.user_metric(kind, row, wanted, k)
        for row, wanted in zip(lists.tolist(), relevant, strict=True)
    ]
    assert values.dtype == torch.float64
    torch.testing.assert_close(values, torch.tensor(naive, dtype=torch.float64), rtol=0, atol=1e-12)

    oracle = PYG[kind](k)
    oracle.update(lists, torch.tensor([(u, i) for u, items in enumerate(relevant) for i in items]).T)
    assert float(values.mean()) == pytest.approx(float(oracle.compute()), abs=1e-6)


def test_user_metrics_equal_ir_measures() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # third-party imports
        ir = pytest.importorskip("ir_measures")
    k, (lists, relevant) = 20, random_lists()
    judged = {str(u): {str(item): 1 for item in items} for u, items in enumerate(relevant)}
    run = {
        str(u): {str(item): -float(r) for r, item in enumerate(row)} for u, row in enumerate(lists.tolist())
    }
    names = {"Recall": ir.R @ k, "NDCG": ir.nDCG @ k, "Precision": ir.P @ k, "MRR": ir.RR @ k}
    names |= {"Hit": ir.Success @ k, "MAP": ir.AP @ k}
    hits, num_relevant = hits_of(lists, relevant)
    values = user_values([f"{kind}@{k}" for kind in names], hits, num_relevant)
    # trec_eval normalises AP@K by |T_u|, ours by min(K, |T_u|).
    values[f"MAP@{k}"] *= num_relevant.clamp(max=k) / num_relevant
    kinds = {str(measure): kind for kind, measure in names.items()}
    outcomes = list(ir.iter_calc(list(names.values()), judged, run))
    assert len(outcomes) == len(names) * len(lists)
    for outcome in outcomes:
        ours = float(values[f"{kinds[str(outcome.measure)]}@{k}"][int(outcome.query_id)])
        assert ours == pytest.approx(outcome.value, abs=1e-6), outcome


@given(
    hits=st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=5),
    extra=st.integers(0, 9),
)
def test_user_metrics_are_between_0_and_1_and_perfect_lists_reach_1(
    hits: list[list[bool]], extra: int
) -> None:
    matrix = torch.tensor(hits)
    num_relevant = matrix.sum(dim=1) + extra
    perfect = torch.arange(6) < num_relevant[:, None]
    for kind, metric in METRICS.items():
        values = metric(matrix, num_relevant)
        assert values.shape == (len(hits),)
        assert bool(((values >= 0) & (values <= 1 + 1e-12)).all())
        assert bool((values[~matrix.any(dim=1)] == 0).all())
        if kind in ("NDCG", "MAP", "MRR", "Hit"):
            best = metric(perfect, num_relevant)[num_relevant > 0]
            torch.testing.assert_close(best, torch.ones_like(best))


@pytest.mark.parametrize("kind", LIST_METRICS)
def test_list_metric_equals_naive(kind: str) -> None:
    lists, train = random_lists(num_users=30, num_items=50, k=8)
    lists[3, 5:] = -1
    lists[4] = -1
    item_users = torch.bincount(torch.tensor([i for items in train for i in items]), minlength=50)
    item_users[7] = 0
    train = [items - {7} for items in train]
    for k in (1, 8):
        name = f"{kind}@{k}"
        value = list_values([name], lists, popularity(item_users, 30))[name]
        assert value == pytest.approx(
            naive_ranking.list_metric(kind, lists.tolist(), train, 50, k), abs=1e-12
        )


def test_gini_and_coverage_at_their_ends() -> None:
    share = torch.ones(4, dtype=torch.float64)
    equal, one = exposure(torch.tensor([[0, 1], [2, 3]]), 4), exposure(torch.tensor([[0], [0]]), 4)
    assert LIST_METRICS["Gini"](equal, share) == 0
    assert LIST_METRICS["Coverage"](equal, share) == 1
    assert LIST_METRICS["Gini"](one, share) == 0.75
    assert LIST_METRICS["Coverage"](one, share) == 0.25
    nothing = exposure(torch.full((2, 3), -1), 4)
    assert [metric(nothing, share) for metric in LIST_METRICS.values()] == [0, 0, 0]


def test_novelty_of_items_without_training_rows_is_that_of_one_user() -> None:
    share = popularity(torch.tensor([0, 1, 4]), num_users=8)
    assert share.tolist() == [1 / 8, 1 / 8, 1 / 2]
    assert list_values(["Novelty@1"], torch.tensor([[0]]), share)["Novelty@1"] == math.log2(8)


def test_parse_metric() -> None:
    assert parse_metric("Recall@20") == ("Recall", 20)
    with pytest.raises(ConfigError, match="unknown metric 'Recal'; did you mean 'Recall'"):
        parse_metric("Recal@20")
    for wrong in ("Recall", "Recall@0", "Recall@-1", "Recall@x", "@20", ""):
        with pytest.raises(ConfigError, match="such as 'Recall@20'"):
            parse_metric(wrong)
