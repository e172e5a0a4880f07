"""The models of a site: one, or two side by side, whose items and shoppers are the same, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from anchorrec_graph.errors import DataError
from anchorrec_graph.evaluate.user_items import UserItems
from anchorrec_graph.nn.fold_in import FoldIn
from anchorrec_graph.serve.api.model import Model, make_model
from anchorrec_graph.serve.api.settings import KEYS
from anchorrec_graph.serve.catalog import Catalog
from anchorrec_graph.serve.contents import Contents
from anchorrec_graph.serve.space import Space


class Side(NamedTuple):
    """A model, and its rows of the users to show."""

    model: Model
    users: Tensor


def sides_of(
    catalog: Catalog, users: Sequence[int], images: Path | None, compare: Catalog | None
) -> list[Side]:
    """The sides of a site, the first one first. The items of the second are in the order of the first.

    Args:
        users: rows of users of `catalog`; the second model must know them, too.

    Raises:
        DataError: the two have other items, or a user is unknown to the second; a catalog is empty.
        ConfigError, DataError: as `make_model` does.
    """
    rows = torch.tensor(users, dtype=torch.long)
    first = Side(make_model(KEYS[0], catalog, images), rows)
    if compare is None:
        return [first]
    check_same_items(catalog, compare)
    order = torch.tensor([compare.item_row(item) for item in catalog.item_ids], dtype=torch.long)
    other = Catalog(in_order(compare.contents, order))
    theirs = other.user_rows([str(catalog.user_ids[row]) for row in users])
    return [first, Side(make_model(KEYS[1], other, None), theirs)]


def known_to_both(catalog: Catalog, compare: Catalog | None) -> list[int]:
    """Rows of the users of a catalog whom the other one, if there is one, knows too."""
    users = enumerate(catalog.user_ids.tolist())
    return [row for row, user in users if compare is None or compare.knows_user(user)]


def check_same_items(catalog: Catalog, compare: Catalog) -> None:
    """
    Raises:
        DataError: naming the first item that only one of them has.
    """
    named = (("first", catalog), ("second", compare))
    for (which, one), (another, other) in (named, named[::-1]):
        missing = [item for item in one.item_ids if not other.knows_item(item)]
        if missing:
            raise DataError(
                f"item '{missing[0]}' of the {which} model ({one.name}) is not in the {another} "
                f"({other.name}), which lacks {len(missing)} of {len(one.item_ids)}; a site compares models "
                "of the same items: train both on the same data, or use `anchorrec serve --compare`"
            )


def in_order(contents: Contents, rows: Tensor) -> Contents:
    """The contents with the items `rows` [I], each row once, in this order; they place no new items."""
    if torch.equal(rows, torch.arange(len(rows))):
        return contents
    place = torch.empty_like(rows)
    place[rows] = torch.arange(len(rows))

    def moved(pairs: UserItems) -> UserItems:
        user, item = pairs.pairs
        return UserItems.from_pairs(torch.stack([user, place[item]]), len(contents.user_ids), len(rows))

    space, fold = contents.space, contents.fold_in
    if isinstance(fold, FoldIn):
        fold = fold._replace(sent={name: sent[rows] for name, sent in fold.sent.items()})
    views = {name: view._replace(item=view.item[rows]) for name, view in space.views.items()}
    return contents._replace(
        items=contents.items[rows.numpy()],
        space=Space(space.user, space.item[rows], views),
        features={name: features[rows] for name, features in contents.features.items()},
        bought=moved(contents.bought),
        known=moved(contents.known),
        fold_in=fold,
        attachment="the items are in the order of another model; new ones cannot be placed",
        shortlist=None,
    )
