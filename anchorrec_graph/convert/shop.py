"""What a prepared folder holds, as the writers need it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from anchorrec_graph.data.checks import BLOCK, check_raw_data
from anchorrec_graph.data.manifest import file_hash
from anchorrec_graph.data.prepared import MANIFEST, check_folder
from anchorrec_graph.data.raw import RawData
from anchorrec_graph.errors import DataError
from anchorrec_graph.files import replacing


class Shop(NamedTuple):
    """A prepared folder. Users and items are numbered by their rows."""

    name: str  # of the data set: the folder's
    made_from: str  # for the reader of what is written: the folder, and the hash of its manifest
    rows: pl.DataFrame  # [n] user, item and, if known, rating (null where a row has none), timestamp, label
    users: pl.Series  # [U] ids
    items: pl.DataFrame  # [I] item_id, metadata
    features: Mapping[str, NDArray[np.floating[Any]]]  # modality -> [I, d], memory maps


class Written(NamedTuple):
    """What a writer has to say."""

    use: str  # how to load it
    notes: list[str]  # what was changed or left out


def read_shop(folder: Path) -> Shop:
    """Read a prepared folder, every byte compared with its manifest.

    Raises:
        DataError: it is no prepared folder, is damaged, or holds what no training would take.
    """
    raw = check_folder(folder)
    check_raw_data(raw)
    sha256 = file_hash(folder / MANIFEST)
    users = pl.Series("user_id", raw.user_ids, dtype=pl.String)
    made_from = f"{folder.resolve()}, whose {MANIFEST} has the SHA-256 {sha256}"
    return Shop(folder.resolve().name or "shop", made_from, _rows(raw), users, raw.items, raw.features)


def _rows(raw: RawData) -> pl.DataFrame:
    columns = {
        "user": raw.interactions.user,
        "item": raw.interactions.item,
        "rating": raw.interactions.rating,
        "timestamp": raw.interactions.time,
        "label": raw.label,
    }
    rows = pl.DataFrame({name: values for name, values in columns.items() if values is not None})
    return rows.with_columns(pl.col(pl.Float32).fill_nan(None))


def write_float32(rows: NDArray[np.floating[Any]], path: Path) -> None:
    """Write a feature matrix [I, d] as float32 `.npy`, block by block.

    Raises:
        DataError: a number is too large for float32.
    """
    with replacing(path) as temporary:
        copy = open_memmap(temporary, "w+", np.float32, rows.shape)
        for start in range(0, len(rows), BLOCK):
            with np.errstate(over="ignore"):
                block = rows[start : start + BLOCK].astype(np.float32)
            if not np.isfinite(block).all():
                raise DataError(f"{path.name}: a number is too large for float32; scale the features")
            copy[start : start + BLOCK] = block
        copy.flush()
