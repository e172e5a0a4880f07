"""MMRec's format and back.

What does not survive: ids (they stand in the mappings), ratings that only some rows have, types of columns
beside the known ones (they become text), float64 features.
"""

from __future__ import annotations

import csv
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from odd_shop import column, features, pairs, prepare_again, shops, write_prepared

from anchorrec_graph.convert.pipeline import convert
from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.data.mmrec import MMRecConfig
from anchorrec_graph.data.prepared import PreparedConfig


def mapping(path: Path, names: tuple[str, str]) -> list[str]:
    """Ids by their numbers, as Python's csv module reads them."""
    with open(path, encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file, delimiter="\t")
    assert tuple(header) == names
    assert [int(number) for _, number in rows] == list(range(len(rows)))
    return [text for text, _ in rows]


@settings(max_examples=12)
@given(shops())
def test_there_and_back(shop: dict[str, Any]) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        before = write_prepared(folder, shop)
        convert(before, "mmrec", folder / "mmrec")
        source = {"name": "mmrec", "files": [str(folder / "mmrec")], "items_file": "items.jsonl"}
        after = prepare_again(source, folder / "after")
        users = mapping(folder / "mmrec/u_id_mapping.csv", ("user_id", "userID"))
        items = mapping(folder / "mmrec/i_id_mapping.csv", ("asin", "itemID"))
        assert users == column(before, "users", "user_id")
        assert items == column(before, "items", "item_id") == column(after, "items", "original_id")
        assert pairs(before, users, items) == pairs(after, users, items)
        assert features(before, items) == features(after, items)
        tables = [pl.read_parquet(path / "items.parquet").drop("item_id") for path in (before, after)]
        assert tables[1].drop("original_id").select(tables[0].columns).equals(tables[0])


@settings(max_examples=6)
@given(shops())
def test_it_loads_as_its_prepared_folder_does(shop: dict[str, Any]) -> None:
    with TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # small random splits leave users without training rows
        folder = Path(name)
        prepared = write_prepared(folder, {**shop, "split": True})
        convert(prepared, "mmrec", folder / "mmrec")
        first = PreparedConfig(folder=prepared).load()
        second = MMRecConfig(folder=folder / "mmrec", items_file="items.jsonl").load()
    for edges in ("edge_index", "val_edge_label_index", "test_edge_label_index"):
        assert first[INTERACTS][edges].equal(second[INTERACTS][edges])
    for modality in ("image", "text"):
        assert first["item"][modality].equal(second["item"][modality])
    assert first["user"].num_nodes == second["user"].num_nodes
    assert first["item"].table["item_id"].equals(second["item"].table["item_id"])


def test_what_it_writes(tmp_path: Path) -> None:
    rows = [{"user_id": "u\tv", "item_id": item, "rating": 4.5, "timestamp": 7} for item in ("a", 'b"c')]
    items = [{"item_id": 'b"c', "title": "B", "itemID": "5"}]
    shop = write_prepared(tmp_path, {"rows": rows, "items": items, "split": True})
    notes = convert(shop, "mmrec", tmp_path / "out")
    assert (tmp_path / "out/shop.inter").read_text() == (
        "userID\titemID\trating\ttimestamp\tx_label\n0\t0\t4.5\t7\t0\n0\t1\t4.5\t7\t0\n"
    )
    assert notes == ["items: column 'itemID' left out, as it names the numbers of the items"]
    assert mapping(tmp_path / "out/u_id_mapping.csv", ("user_id", "userID")) == ["u\tv"]
    assert np.load(tmp_path / "out/image_feat.npy").dtype == np.float32
    assert notes[0] in (tmp_path / "out/README.txt").read_text()


def test_ratings_that_only_some_rows_have_are_left_out(tmp_path: Path) -> None:
    rows = [{"user_id": "u", "item_id": item, "rating": rating} for item, rating in (("a", 4.5), ("b", None))]
    items = [{"item_id": "c"}]
    shop = write_prepared(tmp_path, {"rows": rows, "items": items, "split": False})
    assert convert(shop, "mmrec", tmp_path / "out") == [
        "rating: left out, 1 of 2 rows have none",
        "x_label: left out, no split is stored; MMRec itself needs one (anchorrec prepare --split)",
        "the last 1 items have no interaction; MMRec itself counts items without them",
    ]
    assert (tmp_path / "out/shop.inter").read_text() == "userID\titemID\n0\t0\n0\t1\n"
