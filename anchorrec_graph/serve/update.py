"""Contents with new interactions, or without some users; nothing is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
from torch import Tensor

from anchorrec_graph.errors import DataError
from anchorrec_graph.evaluate.user_items import UserItems
from anchorrec_graph.nn.fold_in import FoldIn
from anchorrec_graph.serve.contents import Contents
from anchorrec_graph.serve.ranking import Wish, best_for_users
from anchorrec_graph.serve.shortlist import renewed
from anchorrec_graph.serve.space import Space, SpaceView

SINCE = "since_training"  # in the card: pairs, users and items that came later
DUE = 0.1  # retraining is due when this share of the pairs, users or items came after training
HITS_AT = 20


class Drift(NamedTuple):
    """How far a catalog has moved from what its model was trained on."""

    new_pairs: int  # of this update, without those that were known
    new_users: int
    changed_users: int
    hits: float | None  # share of known users' new pairs among their best 20 before; None: no such pair
    moved: float | None  # mean of 1 - cosine between the changed users' rows before and after
    shares: dict[str, float]  # pairs, users and items since training / those of training
    retrain: bool  # a share is above 0.1


class _Rows(NamedTuple):
    """A user's row in the final columns: by view, and the divisor of the learned views."""

    views: dict[str, Tensor]
    length: Tensor


def named_pairs(interactions: pl.DataFrame) -> tuple[list[str], list[str]]:
    """The user and item ids of a table.

    Raises:
        DataError: a column is missing, or an id.
    """
    for column in ("user_id", "item_id"):
        if column not in interactions.columns or interactions[column].null_count():
            raise DataError(f"interactions need a {column} in every row")
    users, items = (interactions[name].cast(pl.String).to_list() for name in ("user_id", "item_id"))
    return users, items


def with_interactions(
    contents: Contents, fold: FoldIn, users: Sequence[str], items: Tensor
) -> tuple[Contents, Drift]:
    """The contents after n more pairs of user id and item row; see `Catalog.update`."""
    names = list(dict.fromkeys([*contents.user_ids.tolist(), *users]))
    row_of = {name: row for row, name in enumerate(names)}
    pairs = torch.stack([torch.tensor([row_of[user] for user in users], dtype=torch.long), items])
    old_count, num_items = len(contents.user_ids), len(contents.items)
    known, bought = (
        UserItems.from_pairs(torch.cat([old.pairs, pairs], dim=1), len(names), num_items)
        for old in (contents.known, contents.bought)
    )
    fresh = UserItems.from_pairs(pairs, len(names), num_items).pairs
    inside = fresh[0] < old_count
    seen = torch.zeros_like(inside)
    seen[inside] = contents.known.contains(fresh[0][inside], fresh[1][inside].unsqueeze(1)).squeeze(1)
    fresh = fresh[:, ~seen]
    changed = fresh[0].unique()
    rows = [_row(contents, fold, user, bought, old_count) for user in changed.tolist()]
    space = _with_users(contents.space, changed, rows, len(names))
    lengths = fold.length
    if lengths is not None:
        lengths = torch.cat([lengths, lengths.new_ones(len(names) - old_count)])
        for user, row in zip(changed.tolist(), rows, strict=True):
            lengths[user] = row.length
    drift = _drift(contents, space, fresh, changed, len(names) - old_count)
    card = {**contents.card, SINCE: _since(contents, drift)}
    return contents._replace(
        card=card,
        user_ids=np.array(names, dtype=str),
        space=space,
        bought=bought,
        known=known,
        fold_in=fold._replace(length=lengths),
        shortlist=None if contents.shortlist is None else renewed(contents.shortlist, space),
    ), drift


def without_users(contents: Contents, rows: Tensor) -> Contents:
    """The contents without these users: their rows, ids and histories. Items stay as training left them."""
    keep = torch.ones(len(contents.user_ids), dtype=torch.bool)
    keep[rows] = False
    left = keep.nonzero().flatten()
    space = contents.space
    views = {
        name: view._replace(user=None if view.user is None else view.user[left])
        for name, view in space.views.items()
    }
    bought, known = (_only(pairs, left) for pairs in (contents.bought, contents.known))
    fold = contents.fold_in
    if isinstance(fold, FoldIn) and fold.length is not None:
        fold = fold._replace(length=fold.length[left])
    card = dict(contents.card)
    if "users" in card:
        card["users"] = len(left)
    return contents._replace(
        card=card,
        user_ids=contents.user_ids[left.numpy()],
        space=Space(space.user[left], space.item, views),
        bought=bought,
        known=known,
        fold_in=fold,
    )


def _only(pairs: UserItems, users: Tensor) -> UserItems:
    place, item = pairs.select(users)
    return UserItems.from_pairs(torch.stack([place, item]), len(users), pairs.num_items)


def _row(contents: Contents, fold: FoldIn, user: int, bought: UserItems, old_count: int) -> _Rows:
    """A user after a purchase: what is the user's own stays, the sum over purchases is made anew."""
    _, items = bought.select(torch.tensor([user]))
    if user >= old_count:  # a stranger: nothing is divided yet
        length = torch.tensor(1.0)
        rows = {name: part.sum(0) for name, part in fold._replace(length=None).parts(items).items()}
    else:
        length = torch.tensor(1.0) if fold.length is None else fold.length[user]
        _, before = contents.bought.select(torch.tensor([user]))
        old, new = fold.parts(before, user), fold.parts(items, user)
        views = contents.space.query(torch.tensor([user])).views
        rows = {name: views[name][0] - old[name][1:].sum(0) + new[name][1:].sum(0) for name in new}
    if fold.length is None:
        return _Rows(rows, length)
    norm = torch.stack([rows[name] for name in fold.learned]).sum(0).norm().clamp(min=1e-12)
    rows |= {name: rows[name] / norm for name in fold.learned}
    return _Rows(rows, length * norm)


def _with_users(space: Space, users: Tensor, rows: Sequence[_Rows], count: int) -> Space:
    def put(table: Tensor, new: Sequence[Tensor]) -> Tensor:
        grown = torch.cat([table, table.new_zeros(count - len(table), table.shape[1])])
        if new:
            grown[users] = torch.stack(list(new))
        return grown

    views: dict[str, SpaceView] = {}
    for name, view in space.views.items():
        user = view.user
        if user is not None:
            end = view.start + user.shape[1]
            user = put(user, [row.views[name][view.start : end] for row in rows])
        views[name] = view._replace(user=user)
    final = put(space.user, [torch.stack(list(row.views.values())).sum(0) for row in rows])
    return Space(final, space.item, views)


def _drift(contents: Contents, space: Space, fresh: Tensor, changed: Tensor, new_users: int) -> Drift:
    old_count = len(contents.user_ids)
    ours = fresh[:, fresh[0] < old_count]
    hits, moved = None, None
    if ours.shape[1]:
        users, place = ours[0].unique(return_inverse=True)
        best = best_for_users(contents.space, contents.items, None, users, Wish(HITS_AT), contents.known)
        hits = float((best.items[place] == ours[1].unsqueeze(1)).any(1).float().mean())
        before, after = contents.space.user[users], space.user[users]
        moved = float((1 - torch.nn.functional.cosine_similarity(before, after)).mean())
    drift = Drift(fresh.shape[1], new_users, len(changed) - new_users, hits, moved, {}, False)
    since, card = _since(contents, drift), contents.card
    whole = {"pairs": card.get("training_pairs"), "users": card.get("users"), "items": card.get("items")}
    shares = {name: since[name] / total for name, total in whole.items() if total}
    return drift._replace(shares=shares, retrain=any(share > DUE for share in shares.values()))


def _since(contents: Contents, drift: Drift) -> dict[str, Any]:
    before = contents.card.get(SINCE, {})
    return {
        "pairs": before.get("pairs", 0) + drift.new_pairs,
        "users": before.get("users", 0) + drift.new_users,
        "items": len(contents.items) - contents.card.get("items", len(contents.items)),
    }
