"""Which items a map shows, how they are told apart, and which of them carry a number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.errors import DataError
from anchorrec_graph.evaluate.user_items import positives
from anchorrec_graph.report.categories import Categories, item_categories

NUM_HIGHLIGHTS = 8
SEED = 0


class Highlight(NamedTuple):
    item: int  # row number
    title: str


class Cast(NamedTuple):
    """The items of the maps, the same for all runs."""

    kinds: Categories | None
    numbered: list[Highlight]


def choose_cast(data: HeteroData, color: str | None, ids: Sequence[str]) -> Cast:
    """See `item_categories` and `highlights`.

    Raises:
        DataError: an unknown column or item.
    """
    return Cast(item_categories(data["item"].table, color), highlights(data, ids))


def highlights(data: HeteroData, ids: Sequence[str] = ()) -> list[Highlight]:
    """The named items, or those with the most training users.

    Raises:
        DataError: an unknown item id.
    """
    table = data["item"].table
    known = {str(item): row for row, item in enumerate(table["item_id"])}
    for name in ids:
        if name not in known:
            raise DataError(f"--highlight {name}: no such item; ids look like '{table['item_id'][0]}'")
    rows = [known[name] for name in dict.fromkeys(ids)] or most_popular(data)
    return [Highlight(row, item_title(data, row)) for row in rows]


def item_title(data: HeteroData, row: int) -> str:
    table = data["item"].table
    title = table["title"][row] if "title" in table.columns else None
    return str(title or table["item_id"][row])


def most_popular(data: HeteroData) -> list[int]:
    users = torch.bincount(positives(data, "train").pairs[1], minlength=int(data["item"].num_nodes))
    return users.sort(descending=True, stable=True).indices[:NUM_HIGHLIGHTS].tolist()


def sample_items(num_items: int, size: int, kept: Sequence[int]) -> Tensor:
    """At most `size` row numbers in random order, always the same ones, `kept` first."""
    rest = np.setdiff1d(np.arange(num_items), kept)
    drawn = np.random.default_rng(SEED).permutation(rest)[: max(0, size - len(kept))]
    return torch.from_numpy(np.concatenate([np.asarray(kept, dtype=np.int64), drawn]))
