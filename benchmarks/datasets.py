"""Make MMRec folders of the two real data sets that the project may use and not ship.

    python benchmarks/datasets.py --shared ../shared/data --out FOLDER

FOLDER/lastfm: Last.fm 2K with its own split and three features, as published. FOLDER/amazon_office: Amazon
Office 2014 with text features, and a second modality, `tags_feat.npy`, made from brand and categories alone.
The same input gives the same files; each is listed with its sha256.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from torch_geometric.data import HeteroData

from anchorrec_graph.data.features import open_features
from anchorrec_graph.data.mmrec import MMRecConfig
from anchorrec_graph.data.table import read_table, whole_numbers
from anchorrec_graph.errors import AnchorRecError, DataError
from anchorrec_graph.files import replacing

TAGS_DIM = 128
LASTFM = {"text": "all-MiniLM-L6-v2.npy", "whisper": "whisper.npy", "vggish": "vggish.npy"}
OFFICE = {"text": "text_feat.npy", "tags": "tags_feat.npy"}


def make_lastfm(source: Path, folder: Path) -> HeteroData:
    """Copy the table and the features, then load the copy.

    Raises:
        DataError: a file is missing or damaged, or the table has no split of its own.
    """
    table = source / "lfm2k.inter"
    if "x_label" not in read_table(table).columns:
        raise DataError(f"{table}: no column 'x_label', which holds the published split; copy the file again")
    for name in (table.name, *LASTFM.values()):
        _copy(source / name, folder / name)
    return MMRecConfig(folder=folder, inter_file=table.name, features=LASTFM).load()


def make_office(source: Path, folder: Path) -> HeteroData:
    """Write the table in MMRec's columns and the tags, copy the text features, then load the result.

    Raises:
        DataError: a file is missing or damaged, or two of them contradict each other.
    """
    items = read_office_items(source / "items.jsonl")
    text = open_features(source / OFFICE["text"])
    if len(text) != len(items):
        raise DataError(f"{source / OFFICE['text']}: {len(text)} rows for {len(items)} items in items.jsonl")
    inter = office_interactions(source / "interactions.tsv", len(items))
    with replacing(folder / "office.inter") as temporary:
        inter.write_csv(temporary, separator="\t")
    _copy(source / OFFICE["text"], folder / OFFICE["text"])
    with replacing(folder / OFFICE["tags"]) as temporary, open(temporary, "wb") as file:
        np.save(file, tag_features(items), allow_pickle=False)
    return MMRecConfig(folder=folder, inter_file="office.inter", features=OFFICE).load()


def read_office_items(path: Path) -> list[set[str]]:
    """The tags of each item: its brand and every name in its categories."""
    try:
        table = pl.read_ndjson(path, infer_schema_length=None)
        rows = table.select("item", pl.col("brand", "categories").cast(pl.String).fill_null("")).rows()
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: {reason}; needs JSON lines with item, brand and categories") from error
    items = []
    for number, (item, brand, categories) in enumerate(rows):
        if item != number:
            raise DataError(f"{path}: row {number + 1}: item {item} instead of {number}; items come in order")
        named = [("brand", brand), *(("category", name) for name in categories.split(","))]
        items.append({f"{kind} {name.strip().casefold()}" for kind, name in named if name.strip()})
    return items


def office_interactions(path: Path, num_items: int) -> pl.DataFrame:
    """userID, itemID, rating (1) and timestamp, which is the place in the user's history."""
    table = read_table(path)
    missing = {"user", "item", "order"} - set(table.columns)
    if missing:
        raise DataError(f"{path}: no column {', '.join(sorted(missing))}; it has: {', '.join(table.columns)}")
    user, item, order = (whole_numbers(table, column, path) for column in ("user", "item", "order"))
    outside = np.flatnonzero((item < 0) | (item >= num_items))
    if len(outside):
        row = outside[0]
        raise DataError(
            f"{path}: row {row + 1}: item {item[row]}, but items.jsonl numbers 0..{num_items - 1}"
        )
    return pl.DataFrame({"userID": user, "itemID": item, "rating": np.ones_like(user), "timestamp": order})


def tag_features(items: list[set[str]], dim: int = TAGS_DIM) -> NDArray[np.float32]:
    r"""Latent semantic rows [I, min(dim, I, tags)] of the tags: tf-idf, unit rows, truncated SVD, unit rows.

    A tag of df of the I items weighs :math:`\ln\frac{1 + I}{1 + df} + 1`. The SVD is exact, so that it
    needs no seed; the largest entry of each right singular vector is positive. Entries are rounded to 6
    decimals: the number of threads changes later ones. An item without tags, or whose tags are all
    outside the kept space (no other item has them), is a row of zeros.
    """
    column = {tag: place for place, tag in enumerate(sorted(set().union(*items)))}
    bag = np.zeros((len(items), len(column)))
    for row, tags in enumerate(items):
        bag[row, [column[tag] for tag in tags]] = 1
    weighted = _unit_rows(bag * (np.log((1 + len(items)) / (1 + bag.sum(0))) + 1))
    right = np.linalg.svd(weighted, full_matrices=False)[2][:dim]
    largest = np.take_along_axis(right, np.abs(right).argmax(1, keepdims=True), axis=1)
    rows = _unit_rows(weighted @ (right * np.sign(largest)).T)
    return (rows.round(6) + 0.0).astype(np.float32)  # no last bits of the SVD, no negative zeros


def _unit_rows(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows * np.where(norm > 1e-6, 1 / np.maximum(norm, 1e-6), 0.0)


def _copy(source: Path, target: Path) -> None:
    if not source.is_file():
        raise DataError(f"{source}: no such file; check --shared")
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)


def describe(folder: Path, data: HeteroData) -> str:
    """The counts of a folder's data set, then bytes and sha256 of each of its files."""
    counts: dict[str, Any] = data.manifest["counts"]
    lines = [f"{folder}: " + ", ".join(f"{count} {name}" for name, count in counts.items())]
    for modality in data.modalities:
        rows = data["item"][modality]
        zero = int((rows == 0).all(1).sum())
        lines.append(f"  {modality}: {rows.shape[0]} x {rows.shape[1]}, {zero} rows of zeros")
    for path in sorted(folder.iterdir()):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        lines.append(f"  {path.name}: {path.stat().st_size} bytes, sha256 {digest}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, required=True, help="folder with lastfm and amazon_office")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the two data sets into")
    args = parser.parse_args()
    try:
        for name, make in (("lastfm", make_lastfm), ("amazon_office", make_office)):
            print(describe(args.out / name, make(args.shared / name, args.out / name)))
    except AnchorRecError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
