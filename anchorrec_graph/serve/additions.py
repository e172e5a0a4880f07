"""Contents with new items at the end."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
import torch
from polars.exceptions import PolarsError
from torch import Tensor

from anchorrec_graph.errors import DataError
from anchorrec_graph.evaluate.user_items import UserItems
from anchorrec_graph.graph.knn import unit_rows
from anchorrec_graph.nn.attachment import Attachment
from anchorrec_graph.nn.fold_in import FoldIn
from anchorrec_graph.serve.contents import Contents
from anchorrec_graph.serve.shortlist import renewed
from anchorrec_graph.serve.space import Space


def with_items(
    contents: Contents, attachment: Attachment, table: pl.DataFrame, features: Mapping[str, Tensor]
) -> Contents:
    """The contents with n more items, placed by features [n, D]; see `Catalog.add_items`."""
    items = _joined(contents.items, table)
    for modality, rows in features.items():
        if len(rows) != len(table):
            raise DataError(
                f"{len(table)} new items and {len(rows)} rows of '{modality}'; give a row per item"
            )
    placed, count = attachment.rows(features), len(table)
    views = {
        name: view._replace(
            item=torch.cat([view.item, placed[name][:, view.start : view.start + view.item.shape[1]]])
        )
        for name, view in contents.space.views.items()
    }
    final = torch.stack(list(placed.values())).sum(0)
    space = Space(contents.space.user, torch.cat([contents.space.item, final]), views)
    fold = contents.fold_in
    if isinstance(fold, FoldIn):
        fold = fold._replace(sent={name: _longer(sent, count) for name, sent in fold.sent.items()})
    return contents._replace(
        items=items,
        space=space,
        features={
            m: torch.cat([x, unit_rows(features[m])[0]]) if m in features else _longer(x, count)
            for m, x in contents.features.items()
        },
        bought=_wider(contents.bought, len(items)),
        known=_wider(contents.known, len(items)),
        fold_in=fold,
        shortlist=None if contents.shortlist is None else renewed(contents.shortlist, space),
    )


def _joined(items: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    if "item_id" not in table.columns:
        raise DataError("new items need a column item_id")
    unknown = [name for name in table.columns if name not in items.columns]
    if unknown:
        raise DataError(f"new items have a column '{unknown[0]}', the catalog has {', '.join(items.columns)}")
    try:
        table = table.cast({name: items.schema[name] for name in table.columns})
    except PolarsError as error:
        raise DataError(f"new items: a column has another type than in the catalog ({error})") from error
    ids = pl.concat([items["item_id"], table["item_id"]]).cast(pl.String)
    twice = ids.filter(ids.is_duplicated()).to_list()
    if twice or ids.null_count():
        raise DataError(
            f"new items: '{twice[0]}' is in the catalog already, or twice"
            if twice
            else "new items: an id is null"
        )
    return pl.concat([items, table], how="diagonal")


def _longer(rows: Tensor, count: int) -> Tensor:
    return torch.cat([rows, rows.new_zeros(count, rows.shape[1])])


def _wider(pairs: UserItems, num_items: int) -> UserItems:
    """The same pairs among more items."""
    user, item = pairs.pairs
    return UserItems(user * num_items + item, pairs.pointers, num_items)
