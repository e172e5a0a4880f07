"""Features that were made elsewhere: a `.npy` and the ids of its rows."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from anchorrec_graph.data.features import open_features
from anchorrec_graph.data.manifest import content_hash
from anchorrec_graph.encoders.rows import as_stored
from anchorrec_graph.encoders.store import DType, Inputs, Policy, paths, refuse_missing, save
from anchorrec_graph.errors import DataError


def import_matrix(
    folder: Path,
    modality: str,
    items: pl.DataFrame,
    matrix: Path,
    ids: Path,
    *,
    dtype: DType = "float16",
    policy: Policy = "mean",
) -> dict[str, Any]:
    """Make a modality from a matrix [n, d] and a text file of n item ids, one a line, in its row order.

    Rows go to their items whatever the order; ids that are no items are counted as `unused`. An item whose
    row is zero or that has none is missing. Returns the sidecar.

    Raises:
        DataError: a file cannot be read, ids repeat or do not match the rows in number, a row of an item is
            not finite or does not fit the dtype, an item is missing and the policy is to refuse.
    """
    place = paths(folder, modality)
    given, names = open_features(matrix), read_ids(ids)
    if len(names) != len(given):
        raise DataError(f"{ids}: {len(names)} ids for {len(given)} rows of {matrix}; give one per row")
    at = {name: row for row, name in enumerate(names)}
    if len(at) < len(names):
        twice = next(name for row, name in enumerate(names) if at[name] != row)
        raise DataError(f"{ids}: '{twice}' occurs more than once; ids must be unique")
    missing: dict[int, str] = {}
    inputs: Inputs = [None] * len(items)
    for row, item in enumerate(items["item_id"]):
        found = given[at[item]] if item in at else None
        if found is None or not found.any():
            missing[row] = "no row" if found is None else "zero row"
        else:
            inputs[row] = hashlib.sha256(found.tobytes()).digest()
    refuse_missing(items, missing, policy)
    source = np.array([at.get(item, -1) for item in items["item_id"]])

    def gather(rows: NDArray[np.int64]) -> NDArray[Any]:
        labels = [f"{matrix}: row {source[row] + 1}" for row in rows]
        return as_stored(np.asarray(given[source[rows]]), np.dtype(dtype), labels)

    recipe = {"from": str(matrix), "ids": str(ids), "hash": content_hash(given)}
    about = {"modality": modality, "recipe": recipe, "unused": len(set(names) - set(items["item_id"]))}
    return save(place, items, inputs, missing, (given.shape[1], dtype), gather, policy, about)


def read_ids(path: Path) -> list[str]:
    """The lines of a UTF-8 text file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: no such file; give one item id per line, in the order of the rows"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text, one item id per line") from error
