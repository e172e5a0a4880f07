"""`Model`: a catalog and all that the API derives from it once, when it is loaded."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from anchorrec_graph.errors import ConfigError, DataError
from anchorrec_graph.serve.api.cards import Cards
from anchorrec_graph.serve.api.columns import Column, can_filter, columns_of
from anchorrec_graph.serve.api.errors import ApiError
from anchorrec_graph.serve.api.images import find_pictures
from anchorrec_graph.serve.catalog import Catalog

LABELS = {
    "id": "behaviour",
    "history": "history",
    "popularity": "popularity",
    "image": "look",
    "text": "words",
    "fused": "look + words",
}


class Model(NamedTuple):
    """Immutable: a request takes one and keeps it until its answer is made."""

    key: str
    catalog: Catalog
    cards: Cards
    columns: list[Column]
    pictures: Mapping[str, Path]
    users: pl.Series  # ids in lower case, for the search
    loaded: float  # unix time

    def user(self, user: str, field: str = "user") -> str:
        """
        Raises:
            ApiError: unknown.
        """
        if not self.catalog.knows_user(user):
            raise ApiError(404, "unknown_user", "unknown user; GET /api/users finds ids", field)
        return user

    def item(self, item: str, field: str = "item") -> str:
        """
        Raises:
            ApiError: unknown.
        """
        if not self.catalog.knows_item(item):
            raise ApiError(404, "unknown_item", "unknown item; GET /api/items finds ids", field)
        return item

    def history(self, items: list[str]) -> list[str]:
        """Distinct items in the order given.

        Raises:
            ApiError: one is unknown.
        """
        return list(dict.fromkeys(self.item(item, f"history.{place}") for place, item in enumerate(items)))

    def check_columns(self, columns: Iterable[str], field: str) -> None:
        """Refuse columns of types that have no values to name; unknown ones are left to the catalog.

        Raises:
            ApiError: naming the column.
        """
        for name in columns:
            dtype = self.catalog.items.schema.get(name)
            if dtype is not None and not can_filter(dtype):
                raise ApiError(422, "invalid", f"the column '{name}' ({dtype}) cannot be filtered", field)

    def find_users(self, query: str, limit: int) -> tuple[int, list[str]]:
        """Users whose id holds the query; those that begin with it stand first."""
        text, rows = query.strip().lower(), pl.DataFrame({"id": self.users}).with_row_index("row")
        if text:
            place = pl.when(pl.col("id") == text).then(0).when(pl.col("id").str.starts_with(text)).then(1)
            rows = rows.filter(pl.col("id").str.contains(text, literal=True))
            rows = rows.sort(place.otherwise(2), maintain_order=True)
        found = rows["row"].head(limit).to_list()
        return len(rows), [str(self.catalog.user_ids[row]) for row in found]

    def about(self) -> dict[str, Any]:
        catalog = self.catalog
        return {
            "key": self.key,
            "name": catalog.name,
            "views": [{"name": view, "label": LABELS.get(view, view)} for view in catalog.views],
            "modalities": list(catalog.modalities),
            "users": len(catalog.user_ids),
            "items": len(catalog.items),
            "card": _without_folders(catalog.card),
        }


def _without_folders(value: Any) -> Any:
    """A card without the folders of this machine: of a path only the last name is left."""
    if isinstance(value, Mapping):
        return {key: _without_folders(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_folders(entry) for entry in value]
    if isinstance(value, str) and "://" not in value and " " not in value:
        return re.split(r"[/\\]", value)[-1] if value.strip("/\\") else ""
    return value


def open_catalog(folder: Path) -> Catalog:
    """The catalog of a run, or of an export.

    Raises:
        ConfigError: no such folder.
        AnchorRecError: what `Catalog` raises.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder; name a run or an export")
    return Catalog.open(folder)


def make_model(key: str, catalog: Catalog, images: Path | None) -> Model:
    """
    Raises:
        DataError: the catalog is empty.
        ConfigError, DataError: as `find_pictures` does.
    """
    if not len(catalog.items) or not len(catalog.user_ids):
        raise DataError(f"{catalog.name}: has no items or no users; there is nothing to serve")
    pictures = find_pictures(catalog.items, images)
    return Model(
        key, catalog, Cards(catalog.items, catalog.item_row, pictures), columns_of(catalog.items), pictures,
        pl.Series(catalog.user_ids.tolist(), dtype=pl.String).str.to_lowercase(), time.time(),
    )  # fmt: skip
