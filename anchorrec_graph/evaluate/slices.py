"""Metrics of parts of the users and of parts of the held-out items."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.evaluate.evaluator import RankingResult
from anchorrec_graph.evaluate.metrics import METRICS, parse_metric, user_values
from anchorrec_graph.evaluate.user_items import positives

HEAD_SHARE = 0.2  # of the items, the most popular in training


def slice_metrics(
    result: RankingResult, data: HeteroData, metrics: Sequence[str] | None = None
) -> pl.DataFrame:
    """Per-user metrics averaged over slices of a result.

    Slices of users: `all users`, and `activity q1` (fewest training rows) to `activity q4`.
    Slices of held-out items: `head items` (see `popular_items`), `tail items` (the rest), `cold items`
    (no training row; a part of the tail). For an item slice only the held-out items of
    the slice count as relevant, and users with none of them are left out; the lists
    stay those over all items.

    Args:
        result: of `Evaluator.evaluate` or `evaluate_top_k` on the same data.
        metrics: per-user metrics; by default those of `result`.

    Returns:
        One row per slice: slice, users (how many are averaged), one column per metric
        (null for a slice without users).
    """
    if metrics is None:
        metrics = [name for name in result.metrics if parse_metric(name).kind in METRICS]
    users = torch.from_numpy(result.per_user["user"].to_numpy().copy())
    train, held_out = positives(data, "train"), positives(data, result.split)
    hits = held_out.contains(users, result.items)
    item_users = torch.bincount(train.pairs[1], minlength=train.num_items)

    everyone = torch.ones(len(users), dtype=torch.bool)
    every_item = torch.ones(train.num_items, dtype=torch.bool)
    quartile = activity_quartiles(train.counts()[users])
    head = popular_items(item_users)
    slices = {"all users": (everyone, every_item)}
    slices |= {f"activity q{q + 1}": (quartile == q, every_item) for q in range(4)}
    slices |= {
        "head items": (everyone, head),
        "tail items": (everyone, ~head),
        "cold items": (everyone, item_users == 0),
    }
    user, item = held_out.pairs
    rows = []
    for name, (in_users, in_items) in slices.items():
        num_relevant = torch.bincount(user[in_items[item]], minlength=len(held_out.counts()))[users]
        kept = in_users & (num_relevant > 0)
        # The padding -1 reads the last item's flag, but is never a hit.
        values = user_values(metrics, (hits & in_items[result.items])[kept], num_relevant[kept])
        num_users = int(kept.sum())
        means = {metric: float(value.mean()) if num_users else None for metric, value in values.items()}
        rows.append({"slice": name, "users": num_users} | means)
    schema = {"slice": pl.String, "users": pl.Int64} | dict.fromkeys(metrics, pl.Float64)
    return pl.DataFrame(rows, schema=schema)


def activity_quartiles(counts: Tensor) -> Tensor:
    """The quartile 0..3 of each count [n]; equal counts share one, so sizes may differ from n / 4."""
    bounds = np.quantile(counts.numpy(), [0.25, 0.5, 0.75])
    return torch.bucketize(counts.double(), torch.from_numpy(bounds))


def popular_items(item_users: Tensor, share: float = HEAD_SHARE) -> Tensor:
    """Mask [I] of the round(share * I) items with the most training users; of equals the lower rows."""
    order = item_users.sort(descending=True, stable=True).indices
    head = torch.zeros(len(item_users), dtype=torch.bool)
    head[order[: round(share * len(item_users))]] = True
    return head
