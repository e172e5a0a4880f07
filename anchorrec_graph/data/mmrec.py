"""Data set `mmrec`: a folder in MMRec's format, one `.inter` table and one `.npy` per modality."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from anchorrec_graph.data.base import DATASETS, DatasetConfig
from anchorrec_graph.data.features import find_features, open_features
from anchorrec_graph.data.raw import Interactions, RawData
from anchorrec_graph.data.table import decimal_numbers, read_table, whole_numbers
from anchorrec_graph.errors import DataError

MAX_GAP = 1_000_000  # ids this far beyond the number of rows are not row numbers, and would fill the memory
COLUMNS = ("userID", "itemID", "rating", "timestamp", "x_label")


class MMRecConfig(DatasetConfig):
    """Settings of an MMRec folder.

    The table is tab-separated with the columns userID, itemID and, if known, rating, timestamp and
    x_label, in any order; RecBole's spelling (`user_id:token`) is read too. Ids are row numbers from
    0. With x_label (0 train, 1 validation, 2 test) `split` is not used.

    There are as many items as the first modality has rows; without features, as the item table has
    rows; without both, the largest item id + 1. There are as many users as the largest id + 1.
    """

    name: Literal["mmrec"] = "mmrec"
    folder: Path
    inter_file: str | None = None  # None: the only *.inter file in the folder
    features: dict[str, str] | None = None  # modality -> file; None: every floating matrix in a *.npy
    items_file: str | None = None  # TSV, CSV or JSON lines; see `read_items`

    def read(self) -> RawData:
        path = self.folder / self.inter_file if self.inter_file else _only_inter_file(self.folder)
        table = _known_columns(read_table(path), path)
        user, item = (_row_numbers(table, column, path) for column in ("userID", "itemID"))
        rating = decimal_numbers(table, "rating", path).astype(np.float32) if "rating" in table else None
        label = whole_numbers(table, "x_label", path) if "x_label" in table else None
        time = _times(table, path) if "timestamp" in table else None
        names = find_features(self.folder) if self.features is None else self.features
        features = {modality: open_features(self.folder / name) for modality, name in names.items()}

        items_path = self.folder / self.items_file if self.items_file else None
        items = read_items(items_path) if items_path else None
        if features:
            num_items = len(next(iter(features.values())))
        else:
            num_items = len(items) if items is not None else int(item.max(initial=-1)) + 1
        if items is None:
            items = pl.DataFrame({"item_id": [str(number) for number in range(num_items)]})
        elif len(items) != num_items:
            raise DataError(
                f"{items_path}: {len(items)} items, but {next(iter(names.values()))} has {num_items} rows; "
                "give one line per feature row"
            )
        return RawData(
            interactions=Interactions(user, item, rating, time),
            label=label,
            features=features,
            user_ids=np.arange(user.max(initial=-1) + 1).astype(str),
            items=items,
            files={"interactions": path.name, "items": items_path.name if items_path else path.name, **names},
        )


DATASETS.register(MMRecConfig)(MMRecConfig)


def read_items(path: Path) -> pl.DataFrame:
    """An item table [I], one line per item, its first column `item_id` (str).

    Lines are in item order, or in any order with a column `itemID` that numbers them 0..I-1 (then
    dropped). Without a column `item_id` the item number serves as the id.

    Raises:
        DataError: the file is malformed, or itemID is not a numbering.
    """
    if path.suffix == ".jsonl":
        try:
            table = pl.read_ndjson(path, infer_schema_length=None)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise DataError(
                f"{path}: not JSON lines ({str(error).splitlines()[0]}); one object per line"
            ) from error
    else:
        table = read_table(path)
    if "itemID" in table.columns:
        number = whole_numbers(table.with_columns(pl.col("itemID").cast(pl.String)), "itemID", path)
        order = np.argsort(number, kind="stable")
        wrong = np.flatnonzero(number[order] != np.arange(len(number)))
        if len(wrong):
            row = order[wrong[0]]
            raise DataError(
                f"{path}: row {row + 1}: itemID {number[row]} where {wrong[0]} is missing; "
                f"number the items 0..{len(number) - 1}, each once"
            )
        table = table[order].drop("itemID")
    ids = table["item_id"].cast(pl.String) if "item_id" in table.columns else map(str, range(len(table)))
    return table.select(pl.Series("item_id", ids, dtype=pl.String), pl.exclude("item_id"))


def _only_inter_file(folder: Path) -> Path:
    found = sorted(folder.glob("*.inter"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise DataError(f"{folder}: needs one .inter file, found {names}; name it with dataset.inter_file")
    return found[0]


def _known_columns(table: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Rename `user_id:token`, `userID:token`, ... to MMRec's names; leave unknown columns out."""
    known = {column.lower().replace("_", ""): column for column in COLUMNS}
    names: dict[str, str] = {}
    for column in table.columns:
        name = known.get(column.split(":")[0].strip().lower().replace("_", ""))
        if name in names.values():
            raise DataError(f"{path}: two columns are read as '{name}'; keep one")
        if name:
            names[column] = name
    for required in COLUMNS[:2]:
        if required not in names.values():
            raise DataError(
                f"{path}: no column '{required}'; the header line has: {', '.join(table.columns)} "
                "(columns are separated by tabs)"
            )
    return table.select(list(names)).rename(names)


def _row_numbers(table: pl.DataFrame, column: str, path: Path) -> NDArray[np.int64]:
    ids = whole_numbers(table, column, path)
    if len(ids) and ids.max() > len(ids) + MAX_GAP:
        raise DataError(
            f"{path}: row {ids.argmax() + 1}: {column} {ids.max()} in a file of {len(ids)} rows; "
            "ids must be row numbers: renumber them from 0"
        )
    return ids


def _times(table: pl.DataFrame, path: Path) -> NDArray[np.int64]:
    """Timestamps as int64; RecBole writes them as decimals (`978300760.0`)."""
    decimal = table["timestamp"].str.contains(".", literal=True).fill_null(False).any()
    if not decimal:
        return whole_numbers(table, "timestamp", path)
    seconds = decimal_numbers(table, "timestamp", path)
    wrong = np.flatnonzero(seconds != np.floor(seconds))
    if len(wrong):
        raise DataError(
            f"{path}: row {wrong[0] + 1}: timestamp {seconds[wrong[0]]} has a fraction; give whole units "
            "(for example milliseconds)"
        )
    return seconds.astype(np.int64)
