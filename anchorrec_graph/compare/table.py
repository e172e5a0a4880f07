"""The table's numbers: mean and spread over seeds, ranks, and tests against one row."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from anchorrec_graph.compare.costs import Cost, mean_cost
from anchorrec_graph.compare.runs import Result
from anchorrec_graph.evaluate.metrics import METRICS, parse_metric
from anchorrec_graph.evaluate.significance import holm, paired_t_test, paired_values, wilcoxon_test
from anchorrec_graph.settings import check_names

DEFAULT_METRICS = ("Recall@20", "NDCG@20", "Recall@10", "NDCG@10")
LEVEL = 0.05
TESTS = {"t": paired_t_test, "wilcoxon": wilcoxon_test}
SMALLER_IS_BETTER = ("Gini",)


class Tested(NamedTuple):
    """A paired test of a row against the reference."""

    statistic: float
    p_value: float
    holm: float  # p corrected for the other rows, for this metric and kind of test


class Cell(NamedTuple):
    """One metric of one row."""

    mean: float
    sd: float | None  # sample standard deviation; None for one seed
    rank: int | None  # 1 best, 2 second, else None; equal means share a rank
    difference: float | None  # to the reference's mean; None in the reference's own row
    tests: dict[str, Tested]  # by kind; empty for the reference, and where users have no values

    @property
    def alike(self) -> bool:
        """Whether a test does not tell the row from the reference."""
        return any(test.holm >= LEVEL for test in self.tests.values())


class Row(NamedTuple):
    """One label: its seeds (or files), a cell per metric, and its cost."""

    label: str
    results: list[Result]
    cells: dict[str, Cell]
    cost: Cost


def shown_metrics(asked: Sequence[str], measured: Sequence[str]) -> list[str]:
    """`asked`, or else those of `DEFAULT_METRICS` that were measured, or else all.

    Raises:
        ConfigError: a metric that is not measured.
    """
    check_names("--metric", "metric", asked, measured)
    return list(asked) or [name for name in DEFAULT_METRICS if name in measured] or list(measured)


def make_rows(results: Mapping[str, list[Result]], metrics: Sequence[str], reference: str) -> list[Row]:
    """One row per label, in the order given.

    The tests are on each user's values averaged over the seeds: row minus reference, two-sided,
    Holm-corrected over the rows for each metric. Metrics of all lists together (Coverage, ...) have none,
    nor has a single user.
    """
    users = {label: user_means(of_label, metrics) for label, of_label in results.items()}
    cells: dict[str, dict[str, Cell]] = {label: {} for label in results}
    for metric in metrics:
        values = {label: [r.test[metric] for r in of_label] for label, of_label in results.items()}
        means = {label: statistics.fmean(v) for label, v in values.items()}
        ranks, tests = _ranks(means, metric), _tests(users, metric, reference)
        for label, v in values.items():
            sd = statistics.stdev(v) if len(v) > 1 else None
            difference = None if label == reference else means[label] - means[reference]
            cells[label][metric] = Cell(means[label], sd, ranks[label], difference, tests[label])
    return [Row(label, r, cells[label], mean_cost([one.cost for one in r])) for label, r in results.items()]


def user_means(results: list[Result], metrics: Sequence[str]) -> pl.DataFrame:
    """Every user's values averaged over the seeds: columns user and the per-user metrics."""
    tables = [result.per_user.sort("user") for result in results]
    per_user = [name for name in metrics if parse_metric(name).kind in METRICS]
    means = {name: np.mean([table[name].to_numpy() for table in tables], axis=0) for name in per_user}
    return pl.DataFrame({"user": tables[0]["user"], **means})


def _ranks(means: Mapping[str, float], metric: str) -> dict[str, int | None]:
    smaller = parse_metric(metric).kind in SMALLER_IS_BETTER
    best = sorted(set(means.values()), reverse=not smaller)[:2]
    return {label: best.index(mean) + 1 if mean in best else None for label, mean in means.items()}


def _tests(users: Mapping[str, pl.DataFrame], metric: str, reference: str) -> dict[str, dict[str, Tested]]:
    tests: dict[str, dict[str, Tested]] = {label: {} for label in users}
    if metric not in users[reference].columns or len(users[reference]) < 2:
        return tests
    others = [label for label in users if label != reference]
    for kind, test in TESTS.items():
        outcomes = [test(*paired_values(users[label], users[reference], metric)) for label in others]
        corrected = holm([outcome.p_value for outcome in outcomes])
        for label, (_, statistic, p_value), adjusted in zip(others, outcomes, corrected, strict=True):
            tests[label][kind] = Tested(statistic, p_value, adjusted)
    return tests
