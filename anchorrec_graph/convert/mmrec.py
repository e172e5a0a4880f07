"""MMRec's format: numbered ids, one table of interactions, one `.npy` per modality."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from anchorrec_graph.convert.shop import Shop, Written, write_float32
from anchorrec_graph.files import replacing

ITEMS, USER_IDS, ITEM_IDS = "items.jsonl", "u_id_mapping.csv", "i_id_mapping.csv"
NUMBER = "itemID"  # MMRec's, of the item numbers
NAMES = {"user": "userID", "item": NUMBER, "rating": "rating", "timestamp": "timestamp", "label": "x_label"}


def write_mmrec(shop: Shop, folder: Path) -> Written:
    """Write a folder that MMRec and the data set `mmrec` read.

    <name>.inter          userID, itemID and, where every row has one, rating, timestamp, x_label
    <modality>_feat.npy   float32, one row per item
    items.jsonl           one object per item with itemID, item_id and metadata
    u_id_mapping.csv, i_id_mapping.csv    the id of every number, named and separated (tabs) as MMRec does
    """
    notes = []
    rows = shop.rows
    without = rows["rating"].null_count() if "rating" in rows.columns else 0
    if without:
        rows = rows.drop("rating")
        notes.append(f"rating: left out, {without} of {len(rows)} rows have none")
    if "label" not in rows.columns:
        notes.append(
            "x_label: left out, no split is stored; MMRec itself needs one (anchorrec prepare --split)"
        )
    extra = len(shop.items) - 1 - int(rows["item"].to_numpy().max())
    if extra:
        notes.append(f"the last {extra} items have no interaction; MMRec itself counts items without them")
    _write_tabs(rows.rename(NAMES, strict=False), folder / f"{shop.name}.inter")
    number = pl.Series(NUMBER, range(len(shop.items)), dtype=pl.Int64)
    _write_tabs(pl.DataFrame([shop.items["item_id"].alias("asin"), number]), folder / ITEM_IDS)
    user_number = pl.Series("userID", range(len(shop.users)), dtype=pl.Int64)
    _write_tabs(pl.DataFrame([shop.users, user_number]), folder / USER_IDS)
    items = shop.items
    if NUMBER in items.columns:
        items = items.drop(NUMBER)
        notes.append(f"items: column '{NUMBER}' left out, as it names the numbers of the items")
    with replacing(folder / ITEMS) as temporary:
        items.select(number, pl.all()).write_ndjson(temporary)
    for modality, matrix in shop.features.items():
        write_float32(matrix, folder / f"{modality}_feat.npy")
    return Written(_use(shop), notes)


def _write_tabs(table: pl.DataFrame, path: Path) -> None:
    with replacing(path) as temporary:
        table.write_csv(temporary, separator="\t")


def _use(shop: Shop) -> str:
    split = "x_label: 0 train, 1 validation, 2 test. " if "label" in shop.rows.columns else ""
    return (
        f"For MMRec, move this folder to data/{shop.name} and set in configs/dataset/{shop.name}.yaml\n"
        f"inter_file_name: '{shop.name}.inter', and each matrix as its <modality>_feature_file.\n"
        f"For anchorrec: -o 'dataset={{name: mmrec, folder: THIS FOLDER, items_file: {ITEMS}}}',\n"
        f"or back: anchorrec prepare mmrec THIS FOLDER --out OUT -o source.items_file={ITEMS} "
        "-o keep_items=true\n"
        f"{split}Row i of a matrix is the item with {NUMBER} i.\n"
    )
