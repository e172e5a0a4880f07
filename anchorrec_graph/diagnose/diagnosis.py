"""`Diagnoser`: all measures of a state of a model, as one long table."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import polars as pl
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.diagnose.baselines import baseline_spaces
from anchorrec_graph.diagnose.geometry import (
    Space,
    neighbour_rows,
    position_rows,
    retrieval_rows,
    spread_rows,
    structure_rows,
)
from anchorrec_graph.diagnose.items import Items, Row
from anchorrec_graph.diagnose.lists import Lists
from anchorrec_graph.diagnose.neighbours import nearest_items
from anchorrec_graph.diagnose.spaces import (
    FINAL,
    ORACLE,
    RANDOM,
    comparable_pairs,
    item_spaces,
    native_spaces,
)
from anchorrec_graph.evaluate import EvaluateConfig, Split
from anchorrec_graph.graph.bipartite import train_graph
from anchorrec_graph.models.base import Recommender
from anchorrec_graph.typing import Embeddings

SCHEMA = {
    "measure": pl.String, "space": pl.String, "against": pl.String, "group": pl.String, "value": pl.Float64
}  # fmt: skip
DEFAULT_K = 10


class Diagnoser:
    """Measures any number of model states on one data set; what the data alone decide is computed once.

    Up to 20,000 items all is exact. Above, neighbours are searched (among all) for 2,000 random items,
    trustworthiness and mrr, which rank all items, are those of 1,000 of them, and values of whole spaces
    those of 10,000. Lists are made for random users where all would take more than 2 10^8 scores, and
    lists without some of the views for at most 2,000. The draws are the same every time; `notes` says
    which apply.

    Args:
        split: whose held-out pairs and users the scores are measured on. Choices are made on validation.
        k: neighbours of an item.
        evaluate: settings of the run, whose mask the lists have.

    Raises:
        DataError: the split has no pairs.
    """

    def __init__(
        self,
        data: HeteroData,
        split: Split = "validation",
        k: int = DEFAULT_K,
        evaluate: EvaluateConfig = EvaluateConfig(),  # noqa: B008  frozen
    ) -> None:
        edge_index, _, num_items = train_graph(data)
        self.split, self.k = split, k
        self.items = Items.of(torch.bincount(edge_index[1], minlength=num_items))
        self.lists = Lists(data, split, evaluate, self.items)
        self.native = [self._space(name, rows, cached=True) for name, rows in native_spaces(data).items()]
        self._known: dict[tuple[int, int], list[Row]] = {}

    def diagnose(self, model: Recommender, seed: int = 0) -> pl.DataFrame:
        """Every measure that makes sense for the model as it is now.

        Rows of "random" and "oracle" say what a space that knows nothing, and one that keeps everything,
        would get; "native/<m>" rows say it of the features of a modality.

        Args:
            seed: of the random space, of random lists and of permutations.

        Returns:
            Columns measure (see `MEASURES`), space, against (the other space, or ""), group ("all" or a
            popularity quartile of the items, "q1" least popular), value.
        """
        model.eval()
        with torch.no_grad():
            embeddings = model.encode()
            spaces = item_spaces(model, embeddings)
            rows = [*self._space_rows(spaces, seed), *self._list_rows(embeddings, seed)]
        return pl.DataFrame(rows, schema=SCHEMA, orient="row")

    @property
    def notes(self) -> list[str]:
        """How the numbers were made, in sentences."""
        lists, items = self.lists, self.items
        users = f"of {len(lists.listed)} of {len(lists.users)} users"
        if len(lists.valued) < len(lists.listed):
            users += f", recall and what views add to it of {len(lists.valued)}"
        notes = [
            f"{self.k} neighbours by cosine among all {len(items.users)} items; scores and lists on "
            f"{self.split}, {users}."
        ]
        if items.sampled:
            notes.append(
                f"Neighbours of {len(items.queries)} random items, trustworthiness and mrr of "
                f"{len(items.ranked)} of them, values of whole spaces of {len(items.rows)}; always the same."
            )
        return notes

    def _space_rows(self, spaces: dict[str, Tensor], seed: int) -> Iterator[Row]:
        for name, rows in spaces.items():
            space = self._space(name, rows)
            for native in self.native:
                yield from structure_rows(space, native, self.items)
            yield from neighbour_rows(space, self.items)
            yield from spread_rows(name, rows, self.items)
        for a, b in comparable_pairs(spaces):
            yield from position_rows(a, spaces[a], b, spaces[b], self.items)
            yield from retrieval_rows(a, spaces[a], b, spaces[b], self.items)
            yield from retrieval_rows(b, spaces[b], a, spaces[a], self.items)
        yield from self._position_baselines(spaces, seed)
        if FINAL in spaces:
            yield from self._reference(spaces[FINAL].shape[1], seed)

    def _position_baselines(self, spaces: dict[str, Tensor], seed: int) -> Iterator[Row]:
        for name in dict.fromkeys(chain.from_iterable(comparable_pairs(spaces))):
            known = baseline_spaces(spaces[name], spaces[name].shape[1], _generator(seed))
            for baseline, rows in known.items():
                yield from position_rows(baseline, rows, name, spaces[name], self.items)
                yield from retrieval_rows(baseline, rows, name, spaces[name], self.items)

    def _list_rows(self, embeddings: Embeddings, seed: int) -> Iterator[Row]:
        yield from self.lists.dominance_rows(embeddings, seed)
        yield from self.lists.popularity_rows(embeddings, seed)

    def _reference(self, dim: int, seed: int) -> list[Row]:
        """Native features, a random space [n, dim], and the oracle: the same for every state of a model."""
        if (dim, seed) not in self._known:
            self._known[dim, seed] = [*self._reference_rows(dim, seed)]
        return self._known[dim, seed]

    def _reference_rows(self, dim: int, seed: int) -> Iterator[Row]:
        for native in self.native:
            random = baseline_spaces(native.rows, dim, _generator(seed))[RANDOM]
            yield from structure_rows(self._space(RANDOM, random), native, self.items)
            for other in self.native:
                name = ORACLE if other is native else other.name
                yield from structure_rows(Space(name, other.rows, other.near), native, self.items)
            yield from neighbour_rows(native, self.items)
            yield from spread_rows(native.name, native.rows, self.items)
        random = torch.randn(len(self.items.users), dim, generator=_generator(seed))
        yield from neighbour_rows(self._space(RANDOM, random), self.items)
        yield from spread_rows(RANDOM, random, self.items)

    def _space(self, name: str, rows: Tensor, cached: bool = False) -> Space:
        return Space(name, rows, nearest_items(rows, self.k, self.items.queries, cached))


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
