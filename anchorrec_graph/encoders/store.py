"""A modality on disk: `features/<modality>.npy`, and what its rows are.

<modality>.npy            one row per item of items.parquet, float16 or float32, read as a memory map
<modality>.rows.parquet   item_id, input (SHA-256 of what was encoded, hex), missing (why there is no row)
<modality>.json           the sidecar: settings, recipe, hashes, counts; written last
.<modality>.journal       rows computed so far, while it is being made
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from anchorrec_graph.data.checks import BLOCK, RESERVED
from anchorrec_graph.data.features import open_features
from anchorrec_graph.data.manifest import content_hash, file_hash
from anchorrec_graph.data.prepared import FEATURES, items_hash
from anchorrec_graph.errors import ConfigError, DataError
from anchorrec_graph.files import replacing, save_json
from anchorrec_graph.text import first_line

FORMAT = 1
EXAMPLES = 5
DType = Literal["float16", "float32"]
Policy = Literal["mean", "zero", "refuse"]
Inputs = list[bytes | None]  # per item: the SHA-256 of what is encoded
Gather = Callable[[NDArray[np.int64]], NDArray[Any]]  # items [b] -> rows [b, d]


class Stored(NamedTuple):
    """A finished modality."""

    rows: NDArray[np.floating[Any]]  # [I, d] memory map
    table: pl.DataFrame  # of .rows.parquet
    sidecar: dict[str, Any]


class Paths(NamedTuple):
    """The files of a modality."""

    matrix: Path
    table: Path
    sidecar: Path
    journal: Path


def paths(folder: Path, modality: str) -> Paths:
    """
    Raises:
        ConfigError: the name cannot be a modality.
    """
    plain = modality.replace("_", "").replace("-", "").isalnum() and modality[0] != "-"
    if not plain or modality in RESERVED or modality.endswith("_feat"):
        raise ConfigError(
            f"--modality '{modality}': take letters, digits, - and _, not {', '.join(RESERVED)} "
            "and without _feat at the end"
        )
    home = folder / FEATURES
    home.mkdir(exist_ok=True)
    names = (f"{modality}.npy", f"{modality}.rows.parquet", f"{modality}.json", f".{modality}.journal")
    return Paths(*(home / name for name in names))


def open_stored(place: Paths) -> Stored:
    """A finished modality, its three files checked against each other.

    Raises:
        DataError: a file is missing or damaged, or they do not belong together.
    """
    again = f"make '{place.matrix.stem}' again"
    try:
        sidecar = json.loads(place.sidecar.read_text(encoding="utf-8"))
        table = pl.read_parquet(place.table)
        rows = open_features(place.matrix)
        whole = (
            sidecar["format"] == FORMAT
            and sidecar["hash"] == content_hash(rows)
            and sidecar["items_hash"] == items_hash(table)
            and sidecar["rows"] == len(rows) == len(table)
            and sidecar["table_hash"] == file_hash(place.table)
            and dict(table.schema) == dict.fromkeys(("item_id", "input", "missing"), pl.String)
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, pl.exceptions.PolarsError) as error:
        reason = first_line(error)
        raise DataError(f"{place.sidecar}: no finished features ({reason}); {again}") from error
    if not whole:
        raise DataError(f"{place.sidecar}: is not of {place.matrix.name} and {place.table.name}; {again}")
    return Stored(rows, table, sidecar)


def save(
    place: Paths,
    items: pl.DataFrame,
    inputs: Inputs,
    missing: Mapping[int, str],
    shape: tuple[int, DType],
    gather: Gather,
    policy: Policy,
    sidecar: dict[str, Any],
) -> dict[str, Any]:
    """Write the matrix, the row table and, last, the sidecar, each whole or not at all.

    Rows of `missing` items are filled by the policy: the mean of the other rows, or zeros, which item
    graphs take as "no feature". Returns the complete sidecar.

    Raises:
        DataError: every row is missing.
    """
    dim, dtype = shape
    if len(missing) == len(items):
        raise DataError(f"{place.matrix}: no item has an input ({_reasons(missing)}); nothing was written")
    present = np.ones(len(items), dtype=bool)
    present[list(missing)] = False
    with replacing(place.matrix) as temporary:
        out = np.lib.format.open_memmap(temporary, mode="w+", dtype=dtype, shape=(len(items), dim))
        total, zero = np.zeros(dim), 0
        for start in range(0, len(items), BLOCK):
            rows = start + np.flatnonzero(present[start : start + BLOCK])
            if len(rows):
                block = gather(rows)
                out[rows] = block
                total += out[rows].sum(axis=0, dtype=np.float64)
                zero += int((~block.any(axis=1)).sum())
        out[~present] = total / present.sum() if policy == "mean" else 0
        out.flush()
        del out
    table = pl.DataFrame(
        {
            "item_id": items["item_id"],
            "input": [None if value is None else value.hex() for value in inputs],
            "missing": [missing.get(row) for row in range(len(items))],
        },
        schema={"item_id": pl.String, "input": pl.String, "missing": pl.String},
    )
    with replacing(place.table) as temporary:
        table.write_parquet(temporary)
    found = {
        "format": FORMAT,
        **sidecar,
        "rows": len(items),
        "dim": dim,
        "dtype": dtype,
        "items_hash": items_hash(items),
        "hash": content_hash(open_features(place.matrix)),
        "table_hash": file_hash(place.table),
        "missing": {
            "policy": policy,
            "rows": len(missing),
            "reasons": dict(Counter(missing.values())),
            "examples": [items["item_id"][row] for row in sorted(missing)[:EXAMPLES]],
        },
        "zero_rows": zero,
        "duplicates": duplicates(items, inputs),
    }
    save_json(place.sidecar, found)
    return found


def duplicates(items: pl.DataFrame, inputs: Inputs) -> dict[str, Any]:
    """Items whose input is that of an earlier item, and the first few groups of equal items."""
    groups: dict[bytes, list[str]] = {}
    for item, value in zip(items["item_id"], inputs, strict=True):
        if value is not None:
            groups.setdefault(value, []).append(item)
    repeated = [group for group in groups.values() if len(group) > 1]
    return {
        "rows": sum(len(group) - 1 for group in repeated),
        "examples": [group[:EXAMPLES] for group in repeated[:EXAMPLES]],
    }


def refuse_missing(items: pl.DataFrame, missing: Mapping[int, str], policy: Policy) -> None:
    """
    Raises:
        DataError: an item is missing and the policy is to refuse.
    """
    if missing and policy == "refuse":
        first = min(missing)
        raise DataError(
            f"item '{items['item_id'][first]}' (row {first + 1}): {missing[first]}"
            f"{f' (and {len(missing) - 1} more items)' if len(missing) > 1 else ''}; "
            "supply it, or take --missing mean or --missing zero"
        )


def _reasons(missing: Mapping[int, str]) -> str:
    return ", ".join(f"{reason}: {count}" for reason, count in Counter(missing.values()).items())
