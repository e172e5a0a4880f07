"""Data set `prepared`: the project's own layout, a folder that `anchorrec prepare` writes.

interactions.parquet   user int32, item int32, rating float32?, timestamp int64?, label int8?
users.parquet          user_id of each row number
items.parquet          item_id of each row number, then metadata
features/<modality>.npy    one row per item, and <modality>.json: for which items it was made
rejects.jsonl          samples of malformed rows, if there were any
manifest.json          how it was made, counts, size and SHA-256 of every file above but features
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from anchorrec_graph.data.base import DATASETS, DatasetConfig
from anchorrec_graph.data.features import find_features, open_features
from anchorrec_graph.data.manifest import content_hash, file_hash
from anchorrec_graph.data.raw import Interactions, RawData
from anchorrec_graph.errors import DataError
from anchorrec_graph.text import first_line

FORMAT = 1  # of the layout; a folder of another one is refused
INTERACTIONS, USERS, ITEMS = "interactions.parquet", "users.parquet", "items.parquet"
REJECTS, MANIFEST, FEATURES = "rejects.jsonl", "manifest.json", "features"
Columns = Mapping[str, type[pl.DataType]]
TABLES: Mapping[
    str, tuple[str, Columns]
] = {  # what the manifest counts their rows as, columns they must have
    INTERACTIONS: ("interactions", {"user": pl.Int32, "item": pl.Int32}),
    USERS: ("users", {"user_id": pl.String}),
    ITEMS: ("items", {"item_id": pl.String}),
}
OPTIONAL: Columns = {"rating": pl.Float32, "timestamp": pl.Int64, "label": pl.Int8}  # of interactions
AGAIN = "prepare the data again"


class PreparedConfig(DatasetConfig):
    """Settings of a prepared folder.

    A stored split (column `label`: 0 train, 1 validation, 2 test) is used instead of `split`. The
    modalities are the matrices in `features/`; a row without a rating reads as NaN.
    """

    name: Literal["prepared"] = "prepared"
    folder: Path

    def read(self) -> RawData:
        manifest = read_manifest(self.folder)
        rows, users, items = (_table(self.folder, name, manifest) for name in TABLES)
        names = find_features(self.folder / FEATURES)
        for modality, name in names.items():
            _check_sidecar(self.folder / FEATURES / name, modality, items)
        return RawData(
            interactions=Interactions(
                _column(rows, "user", np.int64),
                _column(rows, "item", np.int64),
                _column(rows, "rating", np.float32) if "rating" in rows.columns else None,
                _column(rows, "timestamp", np.int64) if "timestamp" in rows.columns else None,
            ),
            label=_column(rows, "label", np.int64) if "label" in rows.columns else None,
            features={name: open_features(self.folder / FEATURES / file) for name, file in names.items()},
            user_ids=users["user_id"].to_numpy().astype(str),
            items=items,
            files={"interactions": INTERACTIONS, "items": ITEMS, **names},
        )


DATASETS.register(PreparedConfig)(PreparedConfig)


def items_hash(items: pl.DataFrame) -> str:
    """SHA-256 (hex) of the item ids in row order: what a feature matrix was made for."""
    return content_hash(items["item_id"].to_numpy().astype(str))


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a prepared folder.

    Raises:
        DataError: there is none, it is damaged, or it is of another format.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        whole = isinstance(manifest["format"], int) and all(
            isinstance(manifest["counts"][kind], int) for kind in ("users", "items", "interactions")
        )
        whole = whole and all(isinstance(file["bytes"], int) for file in manifest["files"].values())
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; make the folder with anchorrec prepare") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: damaged ({type(error).__name__}: {error}); {AGAIN}") from error
    if not whole:
        raise DataError(f"{path}: damaged (no format, counts or sizes); {AGAIN}")
    if manifest["format"] != FORMAT:
        raise DataError(f"{path}: format {manifest['format']}, this version reads {FORMAT}; {AGAIN}")
    found: dict[str, Any] = manifest
    return found


def check_folder(folder: Path) -> RawData:
    """Compare every byte of a prepared folder with its manifest, then read it as training does.

    Raises:
        DataError: a file is missing, damaged or another one.
    """
    for name, expected in read_manifest(folder)["files"].items():
        _check_size(folder, name, expected)
        if file_hash(folder / name) != expected.get("sha256"):
            raise DataError(f"{folder / name}: the content is not what {MANIFEST} says; {AGAIN}")
    return PreparedConfig(folder=folder).read()


def _table(folder: Path, name: str, manifest: Mapping[str, Any]) -> pl.DataFrame:
    """A Parquet file of the layout with its size, columns and rows checked."""
    path, (kind, required) = folder / name, TABLES[name]
    _check_size(folder, name, manifest["files"].get(name, {"bytes": None}))
    try:
        table = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path}: no whole Parquet file ({first_line(error)}); {AGAIN}") from error
    for column, dtype in {**required, **(OPTIONAL if name == INTERACTIONS else {})}.items():
        if column not in table.columns:
            if column in required:
                raise DataError(f"{path}: no column '{column}'; {AGAIN}")
        elif table.schema[column] != dtype:
            raise DataError(f"{path}: column '{column}' is {table.schema[column]}, not {dtype}; {AGAIN}")
        elif column != "rating" and table[column].null_count():
            raise DataError(f"{path}: column '{column}' has empty rows; {AGAIN}")
    if len(table) != manifest["counts"][kind]:
        rows = f"{len(table)} rows, not {manifest['counts'][kind]}"
        raise DataError(f"{path}: {rows} as {MANIFEST} says; {AGAIN}")
    return table.select("item_id", pl.exclude("item_id")) if name == ITEMS else table


def _check_size(folder: Path, name: str, expected: dict[str, Any]) -> None:
    path = folder / name
    if not path.is_file():
        raise DataError(f"{path}: no such file; {AGAIN}")
    if path.stat().st_size != expected["bytes"]:
        raise DataError(
            f"{path}: {path.stat().st_size} bytes, not {expected['bytes']} as {MANIFEST} says; {AGAIN}"
        )


def _check_sidecar(path: Path, modality: str, items: pl.DataFrame) -> None:
    """A matrix whose `.json` names other items is refused; one without it is taken as it is."""
    sidecar = path.with_name(f"{modality}.json")
    if not sidecar.exists():
        return
    try:
        made_for = json.loads(sidecar.read_text(encoding="utf-8"))["items_hash"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{sidecar}: damaged ({type(error).__name__}); make the features again") from error
    if made_for != items_hash(items):
        raise DataError(f"{path}: was made for other items than those of {ITEMS}; make the features again")


def _column(rows: pl.DataFrame, column: str, dtype: type[np.generic]) -> NDArray[Any]:
    return rows[column].to_numpy().astype(dtype)
