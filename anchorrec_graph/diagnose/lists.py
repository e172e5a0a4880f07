"""Rows of a diagnosis about scores and lists: dominance, and the popularity of what is recommended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.diagnose.dominance import absolute_shares, covariance_shares, ranking_shares
from anchorrec_graph.diagnose.items import ALL, Items, Row
from anchorrec_graph.diagnose.popularity import concentration, list_log_degree
from anchorrec_graph.diagnose.removal import (
    MAX_VIEWS,
    metric_value,
    permutation_drops,
    removal_drops,
    shapley_values,
)
from anchorrec_graph.diagnose.spaces import ORACLE, RANDOM, view_name
from anchorrec_graph.evaluate import EvaluateConfig, Evaluator, Split
from anchorrec_graph.evaluate.user_items import PAIRS, with_held_out_of
from anchorrec_graph.explain.parts import view_parts
from anchorrec_graph.sample import fixed_sample
from anchorrec_graph.typing import Embeddings

METRIC = "Recall@20"
SCORE = "score"  # the space of measures of whole lists
MAX_USERS = 2_000  # whose lists are made again without some of the views, 2^views times
MAX_SCORES = 200_000_000  # of the lists of the whole model


class Lists:
    """The users of one split of a data set, and how their lists are made and measured.

    Args:
        settings: those of the run; its mask counts, its metrics do not.

    Raises:
        DataError: the split has no pairs.
    """

    def __init__(self, data: HeteroData, split: Split, settings: EvaluateConfig, items: Items) -> None:
        self.split, self.items = split, items
        config = settings.model_copy(update={"metrics": (METRIC,)})
        self.users = Evaluator(config, data).users(split)
        self.listed = self.users[fixed_sample(len(self.users), max(1, MAX_SCORES // len(items.users)))]
        self.valued = self.listed[fixed_sample(len(self.listed), MAX_USERS)]
        data = with_held_out_of(data, split, self.listed)
        self.pairs = data[INTERACTS][PAIRS[split]]
        self.evaluator = Evaluator(config, data)
        few = Evaluator(config, with_held_out_of(data, split, self.valued))
        self.value = metric_value(few, split, METRIC)

    def popularity_rows(self, embeddings: Embeddings, seed: int) -> Iterator[Row]:
        """Which items fill the lists; random lists, and the held-out items as lists of one."""
        result = self.evaluator.evaluate(embeddings, self.split)
        count = len(self.items.users)
        drawn = torch.randint(count, result.items.shape, generator=torch.Generator().manual_seed(seed))
        lists = {SCORE: result.items, RANDOM: drawn, ORACLE: self.pairs[1].unsqueeze(1)}
        for name, items in lists.items():
            popularity = list_log_degree(items, self.items.users).nanmean()
            gini, coverage = concentration(items, count)
            yield Row("list popularity", name, "", ALL, float(popularity))
            yield Row("gini", name, "", ALL, gini)
            yield Row("coverage", name, "", ALL, coverage)

    def dominance_rows(self, embeddings: Embeddings, seed: int) -> Iterator[Row]:
        """Recall, and of two views or more what each is of the scores and what the lists lose without it."""
        yield Row("recall", SCORE, "", ALL, float(self.value(embeddings).mean()))
        if len(embeddings.views) < 2:
            return
        parts = view_parts(embeddings, *self.pairs)
        generator = torch.Generator().manual_seed(seed)
        found: dict[str, Mapping[str, float | Tensor]] = {
            "ranking share": ranking_shares(embeddings),
            "covariance share": covariance_shares(parts),
            "absolute share": absolute_shares(parts),
            "removal drop": removal_drops(embeddings, self.value),
            "permutation drop": permutation_drops(embeddings, self.value, generator),
        }
        if len(embeddings.views) <= MAX_VIEWS:
            found["shapley"] = shapley_values(embeddings, self.value)
        for measure, values in found.items():
            for name, value in values.items():
                mean = float(value.mean()) if isinstance(value, Tensor) else value
                if mean == mean:  # not NaN
                    yield Row(measure, view_name(name), "", ALL, mean)
