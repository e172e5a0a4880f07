"""What a site holds of its models: one JSON object, and float32 rows that the browser scores with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl
import torch
from torch import Tensor

from anchorrec_graph.evaluate.ranking import best_columns
from anchorrec_graph.evaluate.user_items import UserItems
from anchorrec_graph.nn.fold_in import FoldIn
from anchorrec_graph.serve.api.columns import as_text, can_filter
from anchorrec_graph.serve.api.limits import LIMITS
from anchorrec_graph.serve.contents import Contents
from anchorrec_graph.serve.site.sides import Side

Arrays = Mapping[str, Tensor]
NATIVE_MIB = 16  # of native features; beyond that a site has each item's nearest instead
NEAR = 50
BLOCK = 256  # items whose cosines with all others exist at once


class Packed(NamedTuple):
    """Arrays one after the other as little-endian float32, and where each begins."""

    content: bytes
    places: dict[str, Any]  # name -> {"at": numbers before it, "shape": [rows, columns]}


def pack(arrays: Arrays) -> Packed:
    places, parts, at = {}, [], 0
    for name, rows in arrays.items():
        places[name] = {"at": at, "shape": list(rows.shape)}
        parts.append(rows.detach().cpu().numpy().astype("<f4").tobytes())
        at += rows.numel()
    return Packed(b"".join(parts), places)


def space_arrays(contents: Contents, users: Tensor) -> Arrays:
    """What scores come from: rows of items and of these users by view, and what items send to strangers.

    The final rows are left out: they are the sum of the views.
    """
    arrays: dict[str, Tensor] = {}
    for name, view in contents.space.views.items():
        arrays[f"item/{name}"] = view.item
        if view.user is not None:
            arrays[f"user/{name}"] = view.user[users]
    if isinstance(contents.fold_in, FoldIn):
        arrays |= {f"sent/{name}": rows for name, rows in contents.fold_in.sent.items()}
        arrays |= {f"own/{name}": row.reshape(1, -1) for name, row in contents.fold_in.own.items()}
    return arrays


def feature_arrays(contents: Contents, near: bool) -> Arrays:
    """For neighbours by look and words: native features in unit rows, or `near_arrays`."""
    if near:
        return near_arrays(contents.features)
    return {f"features/{name}": rows for name, rows in contents.features.items()}


def needs_near(sides: Sequence[Side]) -> bool:
    """Whether the features of a model are too large for a site; it holds the nearest for all models then."""
    sizes = [
        sum(4 * rows.numel() for rows in side.model.catalog.contents.features.values()) for side in sides
    ]
    return max(sizes) > NATIVE_MIB * 2**20


def near_arrays(features: Mapping[str, Tensor]) -> Arrays:
    """The items nearest to each by each modality, best first, and their cosines by every modality.

    `near/A` [I, NEAR] holds rows, -1 where there are no more; float32 has whole numbers to 2^24. `cosine/A/B`
    [I, NEAR] are the cosines by B of the rows in `near/A`.
    """
    found = {name: _nearest(rows) for name, rows in features.items()}
    arrays = {f"near/{name}": near.float() for name, near in found.items()}
    for name, near in found.items():
        for other, rows in features.items():
            cosines = [
                torch.einsum("nd,nkd->nk", mine, rows[theirs.clamp(min=0)])
                for mine, theirs in zip(rows.split(BLOCK), near.split(BLOCK), strict=True)
            ]
            arrays[f"cosine/{name}/{other}"] = torch.cat(cosines)
    return arrays


def _nearest(rows: Tensor) -> Tensor:
    missing, blocks = ~rows.any(1), []
    for begin in range(0, len(rows), BLOCK):
        cosine = (rows[begin : begin + BLOCK] @ rows.T).masked_fill_(missing, -torch.inf)
        own = torch.arange(len(cosine))
        cosine[own, begin + own] = -torch.inf
        cosine[missing[begin : begin + BLOCK]] = -torch.inf
        blocks.append(best_columns(cosine, min(NEAR, len(rows))).items)
    return torch.cat(blocks)


def about_site(sides: Sequence[Side], pictures: Mapping[str, str]) -> dict[str, Any]:
    """What `GET /api/catalog` says, and all that its other answers are made of but the arrays.

    The cards and columns are those of the first model. Users become shopper 1, 2, ... and their ids are left
    out.

    Args:
        pictures: item id -> file.
    """
    model, users = sides[0]
    items = model.catalog.items
    cards = model.cards.of_rows(range(len(items)))
    return {
        "models": [side.model.about() for side in sides],
        "columns": [column._asdict() for column in model.columns],
        "images": bool(pictures),
        "encoders": {"image": False, "text": False},
        "limits": LIMITS._asdict(),
        "site": {"shoppers": len(users), "near": NEAR if needs_near(sides) else None},
        "cards": [card | {"image": card["item_id"] in pictures} for card in cards],
        "pictures": {
            row: pictures[card["item_id"]] for row, card in enumerate(cards) if card["item_id"] in pictures
        },
        "terms": _terms(items),
        "sides": [_about_side(side) for side in sides],
    }


def _about_side(side: Side) -> dict[str, Any]:
    """What is of one model alone."""
    contents, fold = side.model.catalog.contents, side.model.catalog.contents.fold_in
    return {
        "key": side.model.key,
        "modalities": list(contents.features),
        "dim": contents.space.item.shape[1],
        "starts": {name: view.start for name, view in contents.space.views.items()},
        "fold_in": fold if isinstance(fold, str) else _fold(fold),
        "shoppers": _shoppers(contents, side.users),
    }


def _fold(fold: FoldIn) -> dict[str, Any]:
    return {"start": dict(fold.start), "learned": fold.learned, "scaled": fold.length is not None}


def _shoppers(contents: Contents, users: Tensor) -> list[dict[str, Any]]:
    fold = contents.fold_in
    length = None if isinstance(fold, str) or fold.length is None else fold.length[users].flatten().tolist()
    return [
        {
            "bought": _of_user(contents.bought, user),
            "known": _of_user(contents.known, user),
            "length": None if length is None else length[place],
        }
        for place, user in enumerate(users.tolist())
    ]


def _of_user(pairs: UserItems, user: int) -> list[int]:
    _, items = pairs.select(torch.tensor([user]))
    return items.sort().values.tolist()


def _terms(items: pl.DataFrame) -> dict[str, list[list[str] | None]]:
    """What a filter compares with, for the columns where that is not what a card shows: dates and lists."""
    odd = [
        column
        for column in items.get_columns()
        if can_filter(column.dtype) and (column.dtype.is_temporal() or isinstance(column.dtype, pl.List))
    ]
    return {column.name: _texts(column) for column in odd}


def _texts(column: pl.Series) -> list[list[str] | None]:
    if isinstance(column.dtype, pl.List):
        return [
            None if value is None else as_text(pl.Series(value, dtype=column.dtype.inner)).to_list()
            for value in column.to_list()
        ]
    return [None if text is None else [text] for text in as_text(column).to_list()]
