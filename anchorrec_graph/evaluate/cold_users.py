"""The cold-user protocol: users held out whole, made after training from a part of their items."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.data.base import to_hetero_data
from anchorrec_graph.data.raw import TEST, TRAIN, RawData
from anchorrec_graph.data.split import ColdUsersConfig, Ids, SplitConfig, place_in_user
from anchorrec_graph.evaluate.cold_items import only_rows, per_user_metrics, stopping_label
from anchorrec_graph.evaluate.user_items import UserItems
from anchorrec_graph.nn.fold_in import FoldIn
from anchorrec_graph.typing import Scorer

Mask = NDArray[np.bool_]


class ColdUsers(NamedTuple):
    """A data set without some of its users, the same with them, and what they are measured on."""

    without: HeteroData  # the other users, numbered anew
    whole: HeteroData  # everyone; the n users train on their histories, the others as in `without`
    users: Tensor  # [n] row numbers in `whole`
    history: UserItems  # of n users, what they are made from
    held_out: UserItems  # of n users, the rest of their items


def hold_out_users(
    raw: RawData, split: ColdUsersConfig, inner: SplitConfig, history: float = 0.8
) -> ColdUsers:
    """Take the test users out that `split` draws; its validation users, and a label of `raw`, are ignored.

    A user with c >= 2 items keeps floor((1 - history) c), but at least one, drawn at random, to be ranked.
    One with a single item is left out of everything.

    Args:
        raw: checked data.
        inner: what splits the pairs of the other users for early stopping. Its test pairs train too.
    """
    user, item = raw.interactions.user, raw.interactions.item
    cold = split.assign(raw.interactions) == TEST
    ranked, count = _last_of_user(user, np.random.default_rng([split.seed, 1]), 1 - history)
    measured = cold & (count >= 2)
    users = np.unique(user[measured])
    without = _without_users(raw, cold)
    label = np.full(len(user), TRAIN)
    label[~cold] = stopping_label(without, inner)
    kept = ~cold | (measured & ~ranked)
    whole = raw._replace(interactions=only_rows(raw.interactions, kept), label=None)
    place = np.searchsorted(users, user)

    def pairs(rows: Ids) -> UserItems:
        index = torch.from_numpy(np.stack([place[rows], item[rows]]))
        return UserItems.from_pairs(index, len(users), len(raw.items))

    return ColdUsers(
        to_hetero_data(without, label[~cold]),
        to_hetero_data(whole, label[kept]),
        torch.from_numpy(users),
        pairs(np.flatnonzero(measured & ~ranked)),
        pairs(np.flatnonzero(measured & ranked)),
    )


def folded_rows(fold_in: FoldIn, history: UserItems) -> Tensor:
    """The final rows [n, dim] of users made from their items."""
    items = history.pairs[1].split(history.counts().tolist())
    return torch.stack([torch.stack(list(fold_in.parts(of_user).values())).sum((0, 1)) for of_user in items])


def rank_for_new_users(scorer: Scorer, cold: ColdUsers) -> pl.DataFrame:
    """Metrics of the n users over all items but their histories: columns user (row in `whole`), metrics.

    Args:
        scorer: its users are the n.

    Raises:
        DataError: the scorer does not score every item.
        TrainingError: the score of a candidate is NaN.
    """
    table = per_user_metrics(scorer, torch.arange(len(cold.users)), cold.held_out, cold.history)
    return table.with_columns(user=pl.Series(cold.users.numpy()))


def _last_of_user(user: Ids, rng: np.random.Generator, share: float) -> tuple[Mask, Ids]:
    """Of each row: whether it is among the share of its user's rows drawn at random, and the user's rows."""
    from_end, count = place_in_user(user, rng.permutation(len(user)))
    place = count - 1 - from_end
    return place < np.maximum(np.floor(share * count + 1e-9), 1), count


def _without_users(raw: RawData, cold: Mask) -> RawData:
    kept = np.ones(len(raw.user_ids), dtype=bool)
    kept[raw.interactions.user[cold]] = False
    number, left = np.cumsum(kept) - 1, only_rows(raw.interactions, ~cold)
    return raw._replace(
        interactions=left._replace(user=number[left.user]), label=None, user_ids=raw.user_ids[kept]
    )
