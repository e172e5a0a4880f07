"""How alike items are: by native features, by a view, by the final embeddings, or by a mixture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from anchorrec_graph.errors import DataError
from anchorrec_graph.graph.knn import unit_rows
from anchorrec_graph.serve.space import Space
from anchorrec_graph.settings import unknown_name

FINAL = "final"
By = str | Mapping[str, float]


class Similarity:
    """Cosines between items; a modality means its native features, another name a view's item rows.

    Args:
        features: native, in unit rows [I, D].
    """

    def __init__(self, space: Space, features: Mapping[str, Tensor]) -> None:
        self.space, self.features = space, features
        self.names = [*features, *(name for name in space.views if name not in features), FINAL]
        self._units: dict[str, Tensor] = {}
        self._missing: dict[str, Tensor] = {}

    def shares(self, by: By) -> dict[str, float]:
        """What is mixed, and how much of each; the shares sum to 1.

        Raises:
            DataError: an unknown name, a share that is negative or not finite, or none above 0.
        """
        shares = {by: 1.0} if isinstance(by, str) else dict(by)
        for name, share in shares.items():
            if name not in self.names:
                raise DataError("by: " + unknown_name("similarity", name, self.names))
            if not 0 <= share <= 1e6:
                raise DataError(f"by: the share of {name} is {share}; give a number from 0 on")
        total = sum(shares.values())
        if total == 0:
            raise DataError(f"by: give a share above 0 to one of {', '.join(self.names)}")
        return {name: share / total for name, share in shares.items() if share > 0}

    def rows(self, name: str) -> Tensor:
        """Unit rows [I, w], zero for an item that has none."""
        if name in self.features:
            return self.features[name]
        if name not in self._units:
            rows = self.space.item if name == FINAL else self.space.views[name].item
            self._units[name] = unit_rows(rows)[0]
        return self._units[name]

    def to_items(self, shares: Mapping[str, float], query: Mapping[str, Tensor]) -> Tensor:
        """The weighted mean of the cosines of n queries (unit rows [n, w] by name) with all items: [n, I].

        Without rows on either side a cosine counts 0; an item that has no row by any name gets -inf.
        """
        cosines = [share * (query[name] @ self.rows(name).T) for name, share in shares.items()]
        missing = torch.stack([self._without(name) for name in shares]).all(0)
        return torch.stack(cosines).sum(0).masked_fill_(missing, -torch.inf)

    def between(self, shares: Mapping[str, float], rows: Tensor, names: Sequence[str]) -> Tensor:
        """`to_items` of the items in `rows` [n], each with -inf for itself: [n, I].

        Raises:
            DataError: one of them has no row by any name; `names` are what an error calls the items.
        """
        empty = rows[torch.stack([self._without(name)[rows] for name in shares]).all(0)]
        if len(empty):
            name = names[int(empty[0])]
            raise DataError(f"item '{name}' has nothing to compare by {' and '.join(shares)}")
        similarity = self.to_items(shares, {name: self.rows(name)[rows] for name in shares})
        similarity[torch.arange(len(rows)), rows] = -torch.inf
        return similarity

    def _without(self, name: str) -> Tensor:
        """Which items have no row [I] bool; looked up once, since it costs as much as the cosines."""
        if name not in self._missing:
            self._missing[name] = ~self.rows(name).any(1)
        return self._missing[name]
