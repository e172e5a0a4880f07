"""`Space`: the embeddings that a catalog serves from, without the columns that are zero."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from anchorrec_graph.errors import DataError
from anchorrec_graph.explain.parts import view_parts
from anchorrec_graph.settings import unknown_name
from anchorrec_graph.typing import Embeddings, View, in_columns

Weights = Mapping[str, float]


class SpaceView(NamedTuple):
    """A view's own columns, which stand at `start` in the final embeddings."""

    start: int
    user: Tensor | None  # [U, w]
    item: Tensor  # [I, w]


class Query(NamedTuple):
    """B users: their final rows, and what each view brings to them; [B, D] each."""

    user: Tensor
    views: Mapping[str, Tensor]


class Space(NamedTuple):
    """Final embeddings and their views."""

    user: Tensor  # [U, D]
    item: Tensor  # [I, D]
    views: Mapping[str, SpaceView]

    @classmethod
    def from_embeddings(cls, embeddings: Embeddings) -> Space:
        views = {name: _without_zeros(view) for name, view in embeddings.views.items()}
        return cls(embeddings.user.contiguous(), embeddings.item.contiguous(), views)

    def query(self, users: Tensor) -> Query:
        """Users of the catalog, by row [B]."""
        dim = self.item.shape[1]
        views = {
            name: in_columns(view.user[users], view.start, dim)
            for name, view in self.views.items()
            if view.user is not None
        }
        return Query(self.user[users], views)

    def scores(self, query: Query, weights: Weights | None = None) -> Tensor:
        r"""Scores of all items, [B, I]; with weights :math:`\sum_m w_m s^m` of the parts of `view_parts`.

        .. math:: s_w = \tfrac12 \sum_m w_m ( \langle u^m, F_i \rangle + \langle F_u, i^m \rangle )

        A view without a weight has weight 1. The score is linear in its parts, so this is exact.
        """
        if not weights:
            return query.user @ self.item.T
        weighted = [weights.get(name, 1.0) * rows for name, rows in query.views.items()]
        total = sum(weighted, torch.zeros_like(query.user)) @ self.item.T
        for name, view in self.views.items():
            columns = query.user[:, view.start : view.start + view.item.shape[1]]
            total.addmm_(columns, view.item.T, alpha=weights.get(name, 1.0))
        return total / 2

    def parts(
        self, query: Query, place: Tensor, items: Tensor, weights: Weights | None = None
    ) -> dict[str, Tensor]:
        """What each view brings to the scores of n pairs (place in the query [n], item [n]): [n] by view."""
        dim = self.item.shape[1]
        views = {
            name: View(
                query.views[name][place] if name in query.views else None,
                in_columns(view.item[items], view.start, dim),
            )
            for name, view in self.views.items()
        }
        every = torch.arange(len(items))
        parts = view_parts(Embeddings(query.user[place], self.item[items], views), every, every)
        return {name: (weights or {}).get(name, 1.0) * part for name, part in parts.items()}

    def embeddings(self, query: Query) -> Embeddings:
        """All items beside the users of a query, with every view in the final columns."""
        dim = self.item.shape[1]
        views = {
            name: View(query.views.get(name), in_columns(view.item, view.start, dim))
            for name, view in self.views.items()
        }
        return Embeddings(query.user, self.item, views)

    def check_weights(self, weights: Weights | None) -> None:
        """Raises DataError if a weight names no view, or is not finite."""
        for name, weight in (weights or {}).items():
            if name not in self.views:
                raise DataError("weights: " + unknown_name("view", name, list(self.views)))
            if not abs(weight) <= 1e6:
                raise DataError(
                    f"weights: {name} is {weight}; give a finite number, 1 for the view as trained"
                )


def sum_query(rows: Mapping[str, Tensor]) -> Query:
    """The query of one user from what each view brings, [n, D] parts by view that are summed."""
    views = {name: part.sum(0, keepdim=True) for name, part in rows.items()}
    return Query(torch.stack(list(views.values())).sum(0), views)


def _without_zeros(view: View) -> SpaceView:
    used = (view.item != 0).any(0)
    if view.user is not None:
        used |= (view.user != 0).any(0)
    columns = used.nonzero().flatten().tolist() or [0]
    start, end = columns[0], columns[-1] + 1
    user = None if view.user is None else view.user[:, start:end].contiguous()
    return SpaceView(start, user, view.item[:, start:end].contiguous())
