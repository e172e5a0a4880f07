"""What each view is worth to a user, to a segment of the users, and to all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import polars as pl
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.diagnose.removal import metric_value, shapley_values
from anchorrec_graph.errors import DataError
from anchorrec_graph.evaluate.evaluator import EvaluateConfig, Evaluator, Split
from anchorrec_graph.evaluate.slices import activity_quartiles
from anchorrec_graph.evaluate.user_items import PAIRS, positives, with_held_out_of
from anchorrec_graph.typing import Embeddings

Segment = Literal["activity"]
TOTAL = "all views"


def shapley_table(
    embeddings: Embeddings,
    data: HeteroData,
    config: EvaluateConfig,
    split: Split,
    metric: str,
    users: Sequence[int] | None = None,
    segment: Segment | None = None,
) -> pl.DataFrame:
    """Exact Shapley values of the views in a per-user metric (`shapley_values`), as means over users.

    Args:
        metric: such as Recall@20.
        users: row numbers; default all. Those without held-out items in the split do not count.
        segment: "activity" adds the quartiles of training items, from q1 (fewest) to q4.

    Returns:
        One row per group of users and view: split, metric, group, users (how many), view, value. The
        last view of a group is "all views", the metric itself; the others sum to it. A segment
        without users has null.

    Raises:
        ConfigError: more than 12 views, or not a per-user metric.
        DataError: no user has held-out items in the split.
    """
    if users is not None:
        data = with_held_out_of(data, split, torch.tensor(users))
        if data[INTERACTS][PAIRS[split]].shape[1] == 0:
            raise DataError(f"none of the {len(users)} users named has a {split} item; try the other split")
    evaluator = Evaluator(config.model_copy(update={"metrics": (metric,)}), data)
    counted = evaluator.users(split)
    value = metric_value(evaluator, split, metric)
    worth = {**shapley_values(embeddings, value), TOTAL: value(embeddings)}
    rows = []
    for group, members in _groups(data, counted, users is not None, segment).items():
        for view, values in worth.items():
            mean = float(values[members].mean()) if members.any() else None
            rows.append((split, metric, group, int(members.sum()), view, mean))
    schema = {"split": pl.String, "metric": pl.String, "group": pl.String, "users": pl.Int64}
    return pl.DataFrame(rows, schema=schema | {"view": pl.String, "value": pl.Float64}, orient="row")


def _groups(data: HeteroData, counted: Tensor, named: bool, segment: Segment | None) -> dict[str, Tensor]:
    """Masks [n] over the users that count."""
    groups = {"users named" if named else "all users": torch.ones(len(counted), dtype=torch.bool)}
    if segment is not None:
        quartile = activity_quartiles(positives(data, "train").counts()[counted])
        groups |= {f"activity q{q + 1}": quartile == q for q in range(4)}
    return groups
