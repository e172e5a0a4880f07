"""The explanation of one item for one user, whoever the user is: trained, or made from items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import polars as pl
import torch
from torch import Tensor

from anchorrec_graph.diagnose.dominance import pair_parts
from anchorrec_graph.explain.explanation import Explanation, Own, PairPart, Purchase, Similar, ViewPart
from anchorrec_graph.explain.parts import view_parts
from anchorrec_graph.explain.purchases import purchase_parts
from anchorrec_graph.explain.ranks import rank, ranks_without_purchases, ranks_without_views
from anchorrec_graph.explain.similar import most_similar
from anchorrec_graph.typing import Embeddings

ME = 0  # the one user row of `Asked.embeddings`


class Asked(NamedTuple):
    """Whom an explanation is for."""

    user_id: str  # "" for a stranger
    embeddings: Embeddings  # of this user alone, and of all items
    bought: Tensor  # [n] rows of the items that the user is a sum over, ascending
    known: Tensor  # items that are no candidates
    rows: Mapping[str, Tensor] | None  # `Recommender.user_parts`: [1 + n, d] by view
    no_rows: str | None  # why there are none


class Items(NamedTuple):
    """What an explanation says of items."""

    ids: Sequence[str]
    titles: Sequence[str]
    features: Mapping[str, Tensor]  # native, [I, D] by modality

    @classmethod
    def of(cls, table: pl.DataFrame, features: Mapping[str, Tensor]) -> Items:
        """Of an item table; an item without a title is called by its id."""
        ids = table["item_id"].cast(pl.String).to_list()
        if "title" not in table.columns:
            return cls(ids, ids, features)
        titles = table["title"].cast(pl.String).to_list()
        return cls(ids, [title or item for title, item in zip(titles, ids, strict=True)], features)


def only_user(embeddings: Embeddings, user: int) -> Embeddings:
    """The same with one user row."""
    views = {
        name: view._replace(user=None if view.user is None else view.user[user : user + 1])
        for name, view in embeddings.views.items()
    }
    return Embeddings(embeddings.user[user : user + 1], embeddings.item, views)


def explain_to(asked: Asked, items: Items, item: int, num_similar: int) -> Explanation:
    """Where the score of the item comes from."""
    embeddings = asked.embeddings
    score = float(embeddings.user[ME].double() @ embeddings.item[item].double())
    candidates = torch.ones(len(items.ids), dtype=torch.bool)
    candidates[asked.known] = False
    candidates[item] = True
    own, purchases = _purchases(asked, items, item, candidates, score)
    pairs = pair_parts(embeddings, torch.tensor([ME]), torch.tensor([item]))
    return Explanation(
        user_id=asked.user_id,
        item_id=items.ids[item],
        title=items.titles[item],
        score=score,
        rank=rank(embeddings.scores(torch.tensor([ME]))[0], item, candidates),
        candidates=int(candidates.sum()),
        known=bool((asked.known == item).any()),
        views=_views(embeddings, item, candidates, score),
        pairs=sorted((PairPart(a, b, float(part)) for (a, b), part in pairs.items()), key=lambda p: -p.value),
        own=own,
        purchases=purchases,
        no_purchases=asked.no_rows,
        similar={m: _similar(x, items, item, asked.bought, num_similar) for m, x in items.features.items()},
    )


def _views(embeddings: Embeddings, item: int, candidates: Tensor, score: float) -> list[ViewPart]:
    parts = view_parts(embeddings, torch.tensor([ME]), torch.tensor([item]))
    ranks = ranks_without_views(embeddings, ME, item, candidates)
    views = [
        ViewPart(name, float(part), _share(float(part), score), ranks[name]) for name, part in parts.items()
    ]
    return sorted(views, key=lambda part: -part.value)


def _purchases(
    asked: Asked, items: Items, item: int, candidates: Tensor, score: float
) -> tuple[Own | None, list[Purchase] | None]:
    if asked.rows is None:
        return None, None
    parts = purchase_parts(asked.rows, asked.embeddings, item)
    ranks = ranks_without_purchases(asked.rows, asked.embeddings, ME, item, candidates)
    found = []
    for place in range(1 + len(asked.bought)):
        views = {name: float(part[place]) for name, part in parts.items()}
        value = sum(views.values())
        found.append((value, _share(value, score), views))
    purchases = [
        Purchase(items.ids[j], items.titles[j], value, share, ranks[place], views)
        for place, (j, (value, share, views)) in enumerate(zip(asked.bought.tolist(), found[1:], strict=True))
    ]
    return Own(*found[0]), sorted(purchases, key=lambda part: -part.value)


def _similar(features: Tensor, items: Items, item: int, bought: Tensor, k: int) -> list[Similar]:
    found, cosine = most_similar(features, item, bought[bought != item], k)
    return [
        Similar(items.ids[j], items.titles[j], value)
        for j, value in zip(found.tolist(), cosine.tolist(), strict=True)
    ]


def _share(value: float, score: float) -> float | None:
    return value / score if score > 0 else None
