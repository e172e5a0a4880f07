"""The statistics against loops and scipy."""

from __future__ import annotations

import math
import statistics
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from anchorrec_graph.compare import Comparison
from anchorrec_graph.compare.costs import Cost, mean_cost
from anchorrec_graph.compare.runs import Result
from anchorrec_graph.compare.table import make_rows, shown_metrics
from anchorrec_graph.train.history import read_history
from anchorrec_graph.train.run import RunFolder

USERS = 80
METRICS = ["Recall@5", "Gini@5"]


def random_results(seeds: dict[str, int], rng: np.random.Generator) -> dict[str, list[Result]]:
    """Rows of shuffled users; a and b have about the same values, c and d smaller ones."""
    found: dict[str, list[Result]] = {}
    shift = {"a": 0.0, "b": 0.01, "c": 0.3, "d": 0.31}
    for label, count in seeds.items():
        for seed in range(count):
            user = rng.permutation(USERS)
            recall = rng.random(USERS) - shift[label] + user / USERS
            test = {"Recall@5": float(recall.mean()), "Gini@5": float(rng.random())}
            result = Result(str(seed), test, pl.DataFrame({"user": user, "Recall@5": recall}))
            found.setdefault(label, []).append(result)
    return found


def naive_user_means(results: list[Result]) -> list[float]:
    return [
        statistics.fmean(r.per_user.filter(pl.col("user") == user)["Recall@5"][0] for r in results)
        for user in range(USERS)
    ]


def naive_holm(p_values: dict[str, float]) -> dict[str, float]:
    """Step down from the smallest."""
    adjusted, largest = {}, 0.0
    for place, label in enumerate(sorted(p_values, key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[label]))
        adjusted[label] = largest
    return adjusted


@pytest.mark.parametrize("reference", ["a", "c"])
def test_rows_equal_a_naive_twin(reference: str) -> None:
    results = random_results({"a": 3, "b": 3, "c": 1, "d": 3}, np.random.default_rng(0))
    rows = {row.label: row for row in make_rows(results, METRICS, reference)}
    assert list(rows) == list(results)
    users = {label: naive_user_means(of_label) for label, of_label in results.items()}
    others = [label for label in results if label != reference]
    t = {label: stats.ttest_rel(users[label], users[reference]) for label in others}
    w = {label: stats.wilcoxon(users[label], users[reference]) for label in others}
    t_holm = naive_holm({label: outcome.pvalue for label, outcome in t.items()})
    w_holm = naive_holm({label: outcome.pvalue for label, outcome in w.items()})
    for label in results:
        values = [result.test["Recall@5"] for result in results[label]]
        cell = rows[label].cells["Recall@5"]
        assert cell.mean == statistics.fmean(values)
        assert cell.sd == (statistics.stdev(values) if len(values) > 1 else None)
        if label == reference:
            assert (cell.difference, cell.tests, cell.alike) == (None, {}, False)
            continue
        assert cell.difference == pytest.approx(np.mean(users[label]) - np.mean(users[reference]))
        assert cell.tests["t"] == pytest.approx((t[label].statistic, t[label].pvalue, t_holm[label]))
        assert cell.tests["wilcoxon"] == pytest.approx((w[label].statistic, w[label].pvalue, w_holm[label]))
        assert cell.alike == (max(t_holm[label], w_holm[label]) >= 0.05)
        assert rows[label].cells["Gini@5"].tests == {}
    marks = {rows[label].cells["Recall@5"].alike for label in others}
    assert marks == {True, False}  # the case has both


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4]), min_size=1, max_size=6))
def test_ranks(means: list[float]) -> None:
    table = pl.DataFrame({"user": [0, 1], "Recall@5": [0.0, 1.0]})
    results = {
        str(n): [Result("0", {"Recall@5": mean, "Gini@5": mean}, table)] for n, mean in enumerate(means)
    }
    for row, mean in zip(make_rows(results, METRICS, "0"), means, strict=True):
        for metric, better in (
            ("Recall@5", {m for m in means if m > mean}),
            ("Gini@5", {m for m in means if m < mean}),
        ):
            assert row.cells[metric].rank == {0: 1, 1: 2}.get(len(better))


def test_shown_metrics() -> None:
    measured = ["Hit@20", "NDCG@20", "Recall@20"]
    assert shown_metrics([], measured) == ["Recall@20", "NDCG@20"]
    assert shown_metrics([], ["Hit@20"]) == ["Hit@20"]
    assert shown_metrics(["Hit@20"], measured) == ["Hit@20"]


def test_costs_are_those_of_the_history(comparison: Comparison) -> None:
    for result in comparison.rows[0].results:
        run = RunFolder.open(Path(result.origin["run"]))
        epochs = read_history(run.seed(int(result.name)).history)
        assert len(epochs) == result.origin["epochs"] == 2
        assert result.cost.seconds_per_epoch == statistics.fmean(e["train_seconds"] for e in epochs)
        best = epochs[: result.origin["best_epoch"]]
        expected = sum(e["train_seconds"] + e["evaluate_seconds"] for e in best)
        assert result.cost.seconds_to_best_epoch == pytest.approx(expected)
        assert result.cost.parameters == (60 + 40) * 64
        assert result.cost.threads == 1
        assert result.cost.seconds_to_build is not None
    first, second = (result.cost for result in comparison.rows[0].results)
    mean = comparison.rows[0].cost
    assert mean.seconds_to_build == max(first[0] or 0, second[0] or 0) > 0
    assert mean.seconds_per_epoch == statistics.fmean([first[1] or math.nan, second[1] or math.nan])
    assert mean.peak_memory_bytes == max(first[3] or 0, second[3] or 0) > 0


def test_mean_cost_of_what_is_not_known() -> None:
    assert mean_cost([Cost(), Cost()]) == Cost()
    costs = [Cost(4.0, 1.0, None, 5, 3, 2), Cost(0.5, 3.0)]
    assert mean_cost(costs) == Cost(4.0, 2.0, None, 5, 3, 2)
