"""Where an item would land that nobody bought yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import polars as pl
import torch
from torch import Tensor

from anchorrec_graph.explain.parts import view_parts
from anchorrec_graph.graph.knn import unit_rows
from anchorrec_graph.serve.ranking import Wish, nearest_table
from anchorrec_graph.serve.similar import FINAL, Similarity
from anchorrec_graph.serve.space import Query, Space
from anchorrec_graph.typing import Embeddings, View


class Placement(NamedTuple):
    """A new item among the others."""

    similar: dict[str, pl.DataFrame]  # by each modality given and "final": rank, item columns, similarity
    score: float | None = None  # for the user or history asked for, as the next three
    rank: int | None = None  # among the items that the user does not have
    candidates: int | None = None  # how many these are, the new one included
    parts: dict[str, float] | None = None  # what each view brings to the score


def placed_near(
    similarity: Similarity,
    items: pl.DataFrame,
    features: Mapping[str, Tensor],
    rows: Mapping[str, Tensor],
    k: int,
) -> dict[str, pl.DataFrame]:
    """The k items nearest to a new one, by each of its features [1, D] and by its final row ("final").

    Args:
        rows: [1, d] by view, which the final row is the sum of.
    """
    final = torch.stack(list(rows.values())).sum(0)
    query = {name: unit_rows(x)[0] for name, x in {**features, FINAL: final}.items()}
    return {
        name: nearest_table(similarity.to_items({name: 1.0}, query), items, Wish(k), {}) for name in query
    }


def placed_for(
    placement: Placement, space: Space, rows: Mapping[str, Tensor], query: Query, known: Tensor
) -> Placement:
    """The same with score and rank for one user, from the new item's rows [1, D] by view."""
    final, one = torch.stack(list(rows.values())).sum(0), torch.tensor([0])
    score = float(query.user[0] @ final[0])
    others = space.scores(query)[0].index_fill(0, known, -torch.inf)
    views = {name: View(query.views.get(name), part) for name, part in rows.items()}
    parts = view_parts(Embeddings(query.user, final, views), one, one)
    return placement._replace(
        score=score,
        rank=1 + int((others > score).sum()),
        candidates=1 + int((others > -torch.inf).sum()),
        parts={name: float(part) for name, part in parts.items()},
    )
