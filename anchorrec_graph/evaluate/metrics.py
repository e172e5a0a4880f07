"""Ranking metrics: per-user kernels over a matrix of hits, and properties of all lists together.

Notation: user u has the held-out items T_u; h_r in {0, 1} says whether the item
at rank r of u's list (r = 1..K) is one of them. All values are float64. A user
without held-out items gets 0 and is left out of means by the caller. Binary
relevance; the same values as `torch_geometric.metrics.LinkPred*`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.settings import unknown_name

UserMetric = Callable[[Tensor, Tensor], Tensor]
ListMetric = Callable[[Tensor, Tensor], float]


def recall(hits: Tensor, num_relevant: Tensor) -> Tensor:
    """Recall@K = sum_r h_r / |T_u|. hits [n, K] bool, num_relevant [n] -> [n]."""
    return hits.sum(dim=1) / num_relevant.double().clamp(min=1)


def precision(hits: Tensor, _num_relevant: Tensor) -> Tensor:
    """Precision@K = sum_r h_r / K, also for lists with fewer items. hits [n, K] bool -> [n]."""
    return hits.sum(dim=1).double() / hits.shape[1]


def hit(hits: Tensor, _num_relevant: Tensor) -> Tensor:
    """Hit@K = max_r h_r. hits [n, K] bool -> [n]."""
    return hits.any(dim=1).double()


def reciprocal_rank(hits: Tensor, _num_relevant: Tensor) -> Tensor:
    """MRR@K before the mean: max_r h_r / r. hits [n, K] bool -> [n]."""
    return (hits / _ranks(hits)).amax(dim=1)


def average_precision(hits: Tensor, num_relevant: Tensor) -> Tensor:
    """AP@K = sum_r h_r (h_1 + ... + h_r) / r / min(K, |T_u|). hits [n, K] bool, num_relevant [n] -> [n].

    trec_eval's map_cut divides by |T_u| instead, which keeps users with more
    than K held-out items from reaching 1.
    """
    precisions = hits.cumsum(dim=1) / _ranks(hits)
    return (precisions * hits).sum(dim=1) / num_relevant.clamp(min=1, max=hits.shape[1])


def ndcg(hits: Tensor, num_relevant: Tensor) -> Tensor:
    """NDCG@K = sum_r h_r / log2(r + 1) / sum_{r <= min(K, |T_u|)} 1 / log2(r + 1).

    Järvelin & Kekäläinen 2002, binary gains. hits [n, K] bool, num_relevant [n] -> [n].
    """
    discounts = 1 / torch.log2(_ranks(hits) + 1)
    ideal = discounts.cumsum(dim=0)[num_relevant.clamp(min=1, max=hits.shape[1]) - 1]
    return (hits * discounts).sum(dim=1) / ideal


def exposure(items: Tensor, num_items: int) -> Tensor:
    """e_i = number of lists that hold item i. items [n, K] with -1 for empty places -> [I] float64."""
    return torch.bincount(items[items >= 0], minlength=num_items).double()


def popularity(item_users: Tensor, num_users: int) -> Tensor:
    """p(i) = max(1, training users of i) / U. item_users [I] int -> [I] float64.

    An item without training rows counts as if one user had it, so that -log2 p(i)
    stays finite: at most log2 U.
    """
    return item_users.clamp(min=1).double() / num_users


def coverage(exposure: Tensor, _popularity: Tensor) -> float:
    """Coverage@K = share of the I items that are in at least one list. exposure [I]."""
    return float((exposure > 0).double().mean())


def gini(exposure: Tensor, _popularity: Tensor) -> float:
    """Gini@K = sum_{j=1}^{I} (2j - I - 1) e_(j) / (I sum_j e_(j)), e_(1) <= e_(2) <= ... exposure [I].

    0: all items are recommended equally often; near 1: a few items take all places.
    """
    count = len(exposure)
    weights = 2 * torch.arange(1, count + 1) - count - 1
    return float((weights * exposure.sort().values).sum() / (count * exposure.sum().clamp(min=1)))


def novelty(exposure: Tensor, popularity: Tensor) -> float:
    """Novelty@K = mean over all recommendations of -log2 p(i) = -sum_i e_i log2 p(i) / sum_i e_i.

    Mean self-information, Zhou et al. 2010. exposure, popularity [I].
    """
    return float(-(exposure * popularity.log2()).sum() / exposure.sum().clamp(min=1))


METRICS: dict[str, UserMetric] = {
    "Recall": recall,
    "NDCG": ndcg,
    "Precision": precision,
    "MAP": average_precision,
    "MRR": reciprocal_rank,
    "Hit": hit,
}
LIST_METRICS: dict[str, ListMetric] = {"Coverage": coverage, "Gini": gini, "Novelty": novelty}


class MetricName(NamedTuple):
    """A metric and its cutoff: "Recall@20" is ("Recall", 20)."""

    kind: str
    k: int


def parse_metric(name: str) -> MetricName:
    """Read a name such as "Recall@20".

    Raises:
        ConfigError: not of the form Metric@K with K >= 1, or an unknown metric.
    """
    match = re.fullmatch(r"(\w+)@([1-9]\d*)", name)
    if match is None:
        raise ConfigError(f"metric '{name}' must be a metric and a cutoff, such as 'Recall@20'")
    kind = match[1]
    if kind not in METRICS and kind not in LIST_METRICS:
        raise ConfigError(unknown_name("metric", kind, [*METRICS, *LIST_METRICS]))
    return MetricName(kind, int(match[2]))


def user_values(names: Iterable[str], hits: Tensor, num_relevant: Tensor) -> dict[str, Tensor]:
    """Every per-user metric among `names`, [n] each; hits [n, K] with K at least the largest cutoff."""
    parsed = {name: parse_metric(name) for name in names}
    return {
        name: METRICS[kind](hits[:, :k], num_relevant)
        for name, (kind, k) in parsed.items()
        if kind in METRICS
    }


def list_values(names: Iterable[str], items: Tensor, popularity: Tensor) -> dict[str, float]:
    """Every metric of all lists together among `names`; items [n, K], popularity [I]."""
    parsed = {name: parse_metric(name) for name in names}
    return {
        name: LIST_METRICS[kind](exposure(items[:, :k], len(popularity)), popularity)
        for name, (kind, k) in parsed.items()
        if kind in LIST_METRICS
    }


def _ranks(hits: Tensor) -> Tensor:
    return torch.arange(1, hits.shape[1] + 1, dtype=torch.float64)
