"""`Evaluator`: full-ranking evaluation of a scorer, or of lists made elsewhere."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import polars as pl
import torch
from pydantic import AfterValidator, Field, PositiveInt
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.errors import ConfigError, DataError
from anchorrec_graph.evaluate.lists import align_lists
from anchorrec_graph.evaluate.metrics import list_values, parse_metric, popularity, user_values
from anchorrec_graph.evaluate.ranking import top_k
from anchorrec_graph.evaluate.user_items import PAIRS, positives
from anchorrec_graph.sample import fixed_sample
from anchorrec_graph.settings import Settings
from anchorrec_graph.train.ranks import ALONE, Ranks
from anchorrec_graph.typing import Scorer

Split = Literal["validation", "test"]


def _known_metric(name: str) -> str:
    try:
        parse_metric(name)
    except ConfigError as error:
        raise ValueError(str(error)) from error
    return name


class EvaluateConfig(Settings):
    """What is measured, and which known positives are no candidates.

    `mask` names the pairs that are taken out of the ranking at test. Validation
    pairs are never masked when validation itself is evaluated. The literature
    masks training pairs only: `mask: [train]`.
    """

    metrics: Annotated[tuple[Annotated[str, AfterValidator(_known_metric)], ...], Field(min_length=1)] = (
        "Recall@10",
        "Recall@20",
        "NDCG@10",
        "NDCG@20",
        "Precision@20",
        "MAP@20",
        "MRR@20",
        "Hit@20",
        "Coverage@20",
        "Gini@20",
        "Novelty@20",
    )
    mask: tuple[Literal["train", "validation"], ...] = ("train", "validation")
    block_size: int = Field(default=256, gt=0)  # users scored at once
    max_users: PositiveInt | None = None  # of a split, drawn once for all runs; None: all


class RankingResult(NamedTuple):
    """Metrics of one split, and what they were computed from. Nothing is rounded."""

    metrics: dict[str, float]  # per-user metrics: mean over the n users with a held-out item
    per_user: pl.DataFrame  # [n] user (row number), user_id where known, every per-user metric
    items: Tensor  # [n, K] int64 the lists, best first, -1 where there was no candidate left
    split: Split


class Evaluator:
    """Evaluates on the held-out pairs of one data set; its lookup tables are built once.

    Args:
        config: metrics, mask and block size.
        data: the container of `DatasetConfig.load`.
        ranks: the processes that call `evaluate` together; each ranks items for a part of the users.
    """

    def __init__(self, config: EvaluateConfig, data: HeteroData, ranks: Ranks = ALONE) -> None:
        self.config, self.ranks = config, ranks
        self.num_users, self.num_items = int(data["user"].num_nodes), int(data["item"].num_nodes)
        self.max_k = max(parse_metric(name).k for name in config.metrics)
        splits: tuple[Split, Split] = ("validation", "test")
        self._held_out = {split: positives(data, split) for split in splits}
        self._masked = {
            split: positives(data, *(name for name in config.mask if name != split)) for split in splits
        }
        item_users = torch.bincount(positives(data, "train").pairs[1], minlength=self.num_items)
        self._popularity = popularity(item_users, self.num_users)  # [I]
        self._user_ids = data["user"].get("ids")

    def users(self, split: Split) -> Tensor:
        """[n] ascending row numbers of the users with at least one held-out item, or `max_users` of them.

        Raises:
            DataError: there are none.
        """
        users = self._held_out[split].counts().nonzero().flatten()
        if len(users) == 0:
            raise DataError(
                f"no {split} interactions ({PAIRS[split]} is empty or missing); give some, by x_label in an "
                ".inter file or by dataset.split"
            )
        wanted = self.config.max_users
        return users if wanted is None else users[fixed_sample(len(users), wanted)]

    def evaluate(self, scorer: Scorer, split: Split) -> RankingResult:
        """Rank all items that are not masked for every user with a held-out item.

        Raises:
            DataError: the split has no pairs, or the scorer does not score every item.
            TrainingError: the score of a candidate is NaN.
        """
        users = self.users(split)
        items = torch.zeros(len(users), self.max_k, dtype=torch.long)
        mine = self.ranks.rows(len(users), self.config.block_size)
        if mine.start < mine.stop:
            best = top_k(scorer, users[mine], self.max_k, self._masked[split], self.config.block_size)
            items[mine] = best.items.cpu()
        self.ranks.add([items])
        return self._result(users, items, split)

    def evaluate_top_k(self, users: Tensor, items: Tensor, split: Split) -> RankingResult:
        """Evaluate ready-made lists, for example of another program. Masked items in them are no hits.

        Args:
            users: [m] row numbers, each once, among them every user with a held-out item. Others are ignored.
            items: [m, K'] row numbers, best first, each once per list, -1 for empty places.

        Raises:
            DataError: the split has no pairs, or see `anchorrec_graph.evaluate.lists.align_lists`.
        """
        wanted = self.users(split)
        lists = align_lists(users.cpu(), items.cpu(), wanted, self.max_k, self.num_users, self.num_items)
        return self._result(wanted, lists, split)

    def _result(self, users: Tensor, items: Tensor, split: Split) -> RankingResult:
        held_out = self._held_out[split]
        names = self.config.metrics
        hits = held_out.contains(users, items)
        values = user_values(names, hits, held_out.counts()[users])
        overall = list_values(names, items, self._popularity)
        columns = {"user": users.numpy()}
        if self._user_ids is not None:
            columns["user_id"] = self._user_ids[users.numpy()]
        columns |= {name: value.numpy() for name, value in values.items()}
        means = {name: float(value.mean()) for name, value in values.items()}
        return RankingResult(
            {name: (means | overall)[name] for name in names}, pl.DataFrame(columns), items, split
        )
