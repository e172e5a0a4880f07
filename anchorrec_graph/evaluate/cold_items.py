"""The cold-item protocol: items held out whole, placed after training by their features alone, ranked."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.data.base import native_features, to_hetero_data
from anchorrec_graph.data.raw import TEST, TRAIN, VALIDATION, Interactions, RawData
from anchorrec_graph.data.split import ColdItemsConfig, SplitConfig
from anchorrec_graph.evaluate.metrics import parse_metric, user_values
from anchorrec_graph.evaluate.ranking import top_k
from anchorrec_graph.evaluate.user_items import UserItems, positives
from anchorrec_graph.typing import Embeddings, Scorer

METRICS = ("Recall@20", "NDCG@20")


class NewItems(NamedTuple):
    """n items that training knows nothing of."""

    table: pl.DataFrame  # [n]
    features: Mapping[str, Tensor]  # [n, D_m] by modality
    pairs: Tensor  # [2, E] int64 (user, place among the n): who took them


class ColdItems(NamedTuple):
    """A data set without some of its items, and these."""

    warm: HeteroData  # all users and the W other items, numbered anew; no test pairs
    validation: NewItems  # for choices
    test: NewItems  # read once


def hold_out_items(raw: RawData, split: ColdItemsConfig, inner: SplitConfig) -> ColdItems:
    """Take the items out that `split` draws; a label that `raw` has is ignored.

    Args:
        raw: checked data.
        inner: what splits the pairs of the other items for early stopping. Its test pairs train too.
    """
    part = np.full(len(raw.items), TRAIN)
    part[raw.interactions.item] = split.assign(raw.interactions)
    warm = _only(raw, part == TRAIN)
    return ColdItems(
        to_hetero_data(warm, stopping_label(warm, inner)),
        _new_items(raw, part == VALIDATION),
        _new_items(raw, part == TEST),
    )


def stopping_label(raw: RawData, inner: SplitConfig) -> NDArray[np.int64]:
    """Labels [n] train and validation of a split whose test pairs train too."""
    return np.where(inner.assign(raw.interactions) == VALIDATION, VALIDATION, TRAIN)


def with_new_items(cold: ColdItems) -> HeteroData:
    """The warm data with its new items behind the others: validation's, then test's. Nobody has them."""
    data, parts = copy.copy(cold.warm), (cold.validation, cold.test)
    item = data["item"]
    item.table = pl.concat([item.table, *(part.table for part in parts)])
    item.num_nodes = len(item.table)
    for modality in data.modalities:
        item[modality] = torch.cat([item[modality], *(part.features[modality] for part in parts)])
    return data


def with_rows(embeddings: Embeddings, rows: Mapping[str, Tensor]) -> Embeddings:
    """Embeddings whose items are followed by new ones, from their rows by view; without views."""
    new = torch.stack(list(rows.values())).sum(0)
    return Embeddings(embeddings.user, torch.cat([embeddings.item, new]), {})


def rank_new_items(scorer: Scorer, cold: ColdItems, new: NewItems) -> dict[str, pl.DataFrame]:
    """Metrics of every user who took a new item, in two rankings: columns user and `METRICS`.

    "new items": among the n new items alone. "all items": among all W + n, less the user's training and
    validation items. Only new items count as relevant in both.

    Args:
        scorer: gives [B, W + n], the new items last.
        new: those of `cold` that are ranked; the others do not exist.

    Raises:
        DataError: the scorer does not score W + n items.
        TrainingError: the score of a candidate is NaN.
    """
    known = positives(cold.warm, "train", "validation")
    num_users, num_warm, num_new = len(known.counts()), known.num_items, len(new.table)
    user, place = new.pairs
    alone = UserItems.from_pairs(new.pairs, num_users, num_new)
    beside = UserItems.from_pairs(torch.stack([user, num_warm + place]), num_users, num_warm + num_new)
    mine = UserItems.from_pairs(known.pairs, num_users, num_warm + num_new)
    nothing = UserItems.from_pairs(torch.empty(2, 0), num_users, num_new)
    users = alone.counts().nonzero().flatten()
    return {
        "new items": per_user_metrics(_Last(scorer, num_warm), users, alone, nothing),
        "all items": per_user_metrics(scorer, users, beside, mine),
    }


def per_user_metrics(scorer: Scorer, users: Tensor, relevant: UserItems, excluded: UserItems) -> pl.DataFrame:
    """`METRICS` of the users [n], over all items but the excluded ones."""
    most = max(parse_metric(name).k for name in METRICS)
    items = top_k(scorer, users, most, excluded).items
    values = user_values(METRICS, relevant.contains(users, items), relevant.counts()[users])
    return pl.DataFrame({"user": users.numpy()} | {name: value.numpy() for name, value in values.items()})


def only_rows(interactions: Interactions, kept: NDArray[np.bool_]) -> Interactions:
    """The interactions [n] that are kept, in their order."""
    user, item, rating, time = interactions
    return Interactions(
        user[kept],
        item[kept],
        None if rating is None else rating[kept],
        None if time is None else time[kept],
    )


class _Last(NamedTuple):
    """A scorer without its first items."""

    scorer: Scorer
    first: int

    def scores(self, users: Tensor) -> Tensor:
        return self.scorer.scores(users)[:, self.first :]


def _only(raw: RawData, kept: NDArray[np.bool_]) -> RawData:
    """The data without the other items: their pairs, features and table rows."""
    number = np.cumsum(kept) - 1
    interactions = only_rows(raw.interactions, kept[raw.interactions.item])
    return raw._replace(
        interactions=interactions._replace(item=number[interactions.item]),
        label=None,
        features={modality: x[kept] for modality, x in raw.features.items()},
        items=raw.items.filter(pl.Series(kept)),
    )


def _new_items(raw: RawData, chosen: NDArray[np.bool_]) -> NewItems:
    part = _only(raw, chosen)
    data = to_hetero_data(part, np.full(len(part.interactions.user), TRAIN))
    features = native_features(data)
    return NewItems(part.items, features, positives(data, "train").pairs)
