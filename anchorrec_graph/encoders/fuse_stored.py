"""A fused modality made from the stored ones of a prepared folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from anchorrec_graph.data.features import open_features
from anchorrec_graph.data.manifest import content_hash
from anchorrec_graph.data.prepared import items_hash
from anchorrec_graph.encoders.joint import RIDGE, Mask, Recipe, fuse
from anchorrec_graph.encoders.rows import as_stored
from anchorrec_graph.encoders.store import DType, open_stored, paths, save
from anchorrec_graph.errors import ConfigError, DataError


def fuse_modalities(
    folder: Path,
    modality: str,
    items: pl.DataFrame,
    names: Sequence[str],
    *,
    recipe: Recipe = "whiten",
    dim: int = 256,
    ridge: float = RIDGE,
    dtype: DType = "float16",
) -> dict[str, Any]:
    """Make a modality from others (see `encoders/joint.py`), and return its sidecar.

    Rows that were filled by the policy `mean` do not count as features. An item that has none of the
    modalities gets a zero row, which item graphs take as "no feature".

    Raises:
        ConfigError: fewer than two modalities, one of them twice or itself, or settings that do not fit.
        DataError: a modality is missing, damaged, or made for other items.
    """
    if len(names) < 2 or len(set(names)) < len(names) or modality in names:
        raise ConfigError(
            f"--fuse {','.join(names)}: give two or more different modalities, not '{modality}'"
        )
    place = paths(folder, modality)
    features, has = zip(*(_stored(folder, name, items) for name in names), strict=True)
    transform, width = fuse(features, has, recipe, dim, ridge)
    none = np.flatnonzero(~np.logical_or.reduce(has))
    missing = {int(row): "none of the modalities" for row in none}

    def gather(rows: NDArray[np.int64]) -> NDArray[Any]:
        labels = [f"item '{items['item_id'][int(row)]}'" for row in rows]
        return as_stored(transform(rows), np.dtype(dtype), labels)

    hashes = {name: content_hash(rows) for name, rows in zip(names, features, strict=True)}
    settings = {} if recipe == "mean" else {"dim": dim, "ridge": ridge}
    about = {
        "modality": modality,
        "recipe": {"name": recipe, **settings, "of": hashes},
        "complete_rows": int(np.logical_and.reduce(has).sum()),
    }
    return save(place, items, [None] * len(items), missing, (width, dtype), gather, "zero", about)


def _stored(folder: Path, name: str, items: pl.DataFrame) -> tuple[NDArray[Any], Mask]:
    """The rows of a modality, and which items have one: not missing in its row table, and not zero."""
    place = paths(folder, name)
    if place.table.exists():
        stored = open_stored(place)
        if stored.sidecar["items_hash"] != items_hash(items):
            raise DataError(f"{place.matrix}: was made for other items; make '{name}' again")
        named = stored.table["missing"].is_null().to_numpy()
        return stored.rows, named & _any(stored.rows)
    rows = open_features(place.matrix)
    if len(rows) != len(items):
        raise DataError(f"{place.matrix}: {len(rows)} rows for {len(items)} items; make '{name}' again")
    return rows, _any(rows)


def _any(rows: NDArray[Any]) -> Mask:
    found: Mask = (rows != 0).any(axis=1)
    return found
