"""Prepared folders: what is read, and how every damage is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.data.checks import DataWarning
from anchorrec_graph.data.manifest import content_hash
from anchorrec_graph.data.prepared import PreparedConfig, check_folder, items_hash, read_manifest
from anchorrec_graph.errors import DataError
from anchorrec_graph.prepare.pipeline import prepare
from anchorrec_graph.prepare.settings import prepare_settings

ROWS = "user_id,item_id,rating,time\na,x,5,3\na,y,4,2\nb,x,3,1\nc,z,2,4\nb,y,1,9\na,z,2,1\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rows.csv").write_text(ROWS, encoding="utf-8")
    source = {"name": "table", "files": [str(tmp_path / "rows.csv")], "rating_column": "rating"}
    values = {"source": {**source, "time_column": "time"}, "split": "leave_last"}
    prepare(prepare_settings(values, []), tmp_path / "out", report=lambda line: None)
    return tmp_path / "out"


def features(folder: Path, **sidecar: str) -> None:
    (folder / "features").mkdir(exist_ok=True)
    np.save(folder / "features/image.npy", np.ones((3, 2), dtype=np.float16))
    if sidecar:
        (folder / "features/image.json").write_text(json.dumps(sidecar))


def test_reads_everything_and_the_stored_split(folder: Path) -> None:
    features(folder)
    data = PreparedConfig(folder=folder).load()
    edges = data[INTERACTS]
    assert edges.test_edge_label_index.tolist() == [[0], [0]]
    assert edges.val_edge_label_index.tolist() == [[0], [1]]
    assert edges.edge_index.tolist() == [[1, 2, 1, 0], [0, 2, 1, 2]]
    assert edges.time.tolist() == [1, 4, 9, 1]
    assert data["user"].ids.tolist() == ["a", "b", "c"]
    assert data["item"].table["item_id"].to_list() == ["x", "y", "z"]
    assert data.modalities == ("image",)
    assert data["item"].image.shape == (3, 2)
    raw = PreparedConfig(folder=folder).read()
    assert raw.interactions.rating is not None
    assert raw.interactions.rating.tolist() == [5, 4, 3, 2, 1, 2]


def test_items_hash_is_of_the_ids_in_their_order() -> None:
    items = pl.DataFrame({"item_id": ["b", "ab"], "title": ["x", "y"]})
    assert items_hash(items) == content_hash(np.array(["b", "ab"]))
    assert items_hash(items) == items_hash(items.select("item_id"))
    assert items_hash(items) != items_hash(items.reverse())


def test_features_of_other_items_are_refused(folder: Path) -> None:
    features(folder, items_hash=items_hash(pl.read_parquet(folder / "items.parquet")))
    assert list(PreparedConfig(folder=folder).read().features) == ["image"]
    features(folder, items_hash="0" * 64)
    with pytest.raises(
        DataError, match=r"features/image.npy: was made for other items than those of items.par"
    ):
        PreparedConfig(folder=folder).read()
    features(folder, other="x")
    with pytest.raises(DataError, match=r"features/image.json: damaged \(KeyError\)"):
        PreparedConfig(folder=folder).read()
    (folder / "features/image.json").write_bytes(b"\xff{")
    with pytest.raises(DataError, match=r"features/image.json: damaged"):
        PreparedConfig(folder=folder).read()


@pytest.mark.parametrize("name", ["interactions.parquet", "users.parquet", "items.parquet"])
def test_damaged_files_are_named(folder: Path, name: str) -> None:
    path = folder / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    with pytest.raises(
        DataError, match=rf"{name}: {len(whole) - 7} bytes, not {len(whole)} as manifest.json says"
    ):
        PreparedConfig(folder=folder).read()
    for broken in (bytes(len(whole)), whole[:-8] + b"\xff" * 8, b"\xff" * 40 + whole[40:]):
        path.write_bytes(broken)
        with pytest.raises(DataError, match=rf"{name}: the content is not what manifest.json says"):
            check_folder(folder)
    path.write_bytes(bytes(len(whole)))
    with pytest.raises(DataError, match=rf"{name}: no whole Parquet file .*; prepare the data again"):
        PreparedConfig(folder=folder).read()
    path.unlink()
    with pytest.raises(DataError, match=rf"{name}: no such file"):
        PreparedConfig(folder=folder).read()
    with pytest.raises(DataError, match=rf"{name}: no such file"):
        check_folder(folder)


def rewrite(folder: Path, name: str, table: pl.DataFrame) -> None:
    """Another table, with a manifest that knows its size."""
    table.write_parquet(folder / name)
    manifest = read_manifest(folder)
    manifest["files"][name]["bytes"] = (folder / name).stat().st_size
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("interactions.parquet", {"user": pl.lit(0, pl.Int64)}, "column 'user' is Int64, not Int32"),
        ("interactions.parquet", {"user": pl.lit(None, pl.Int32)}, "column 'user' has empty rows"),
        ("interactions.parquet", {"label": pl.lit(7, pl.Int8)}, "row 1: split label 7 is not 0"),
        ("interactions.parquet", {"item": pl.lit(3, pl.Int32)}, r"row 1: item 3 is outside 0\.\.2"),
        ("interactions.parquet", {"rating": pl.lit("x")}, "column 'rating' is String, not Float32"),
        ("users.parquet", {"user_id": pl.lit("a")}, "the user id 'a' occurs 3 times"),
        ("users.parquet", {"user_id": pl.lit(1)}, "users.parquet: column 'user_id' is Int32, not String"),
        ("items.parquet", {"item_id": pl.lit(None, pl.String)}, "column 'item_id' has empty rows"),
    ],
)  # fmt: skip
def test_other_content_is_named(folder: Path, name: str, change: dict[str, pl.Expr], message: str) -> None:
    rewrite(folder, name, pl.read_parquet(folder / name).with_columns(**change))
    with pytest.raises(DataError, match=message):
        PreparedConfig(folder=folder).load()


def test_missing_columns_and_rows_are_named(folder: Path) -> None:
    table = pl.read_parquet(folder / "users.parquet")
    rewrite(folder, "users.parquet", table[:2])
    with pytest.raises(DataError, match=r"users.parquet: 2 rows, not 3 as manifest.json says"):
        PreparedConfig(folder=folder).read()
    rewrite(folder, "users.parquet", table.rename({"user_id": "id"}))
    with pytest.raises(DataError, match=r"users.parquet: no column 'user_id'"):
        PreparedConfig(folder=folder).read()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "damaged"),
        ("[]", "damaged"),
        ("{", "damaged"),
        ("\ud800", "damaged"),
        ('{"format": 1}', "damaged"),
        ('{"format": 1, "counts": {"users": "3", "items": 1, "interactions": 1}, "files": {}}', "damaged"),
        ('{"format": 1, "counts": {"users": 3, "items": 3, "interactions": 6}, "files": []}', "damaged"),
        ('{"format": 1, "counts": {"users": 3, "items": 3, "interactions": 6}, "files": {}}', "says"),
        (
            '{"format": 2, "counts": {"users": 3, "items": 1, "interactions": 1}, "files": {}}',
            "format 2, this",
        ),
    ],
)
def test_damaged_manifests_are_named(folder: Path, text: str, message: str) -> None:
    (folder / "manifest.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(DataError, match=message):
        PreparedConfig(folder=folder).read()


def test_folders_without_a_manifest(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"manifest.json: no such file; make the folder with anchorrec prepare"
    ):
        PreparedConfig(folder=tmp_path).read()


def test_cold_users_are_counted_at_load(tmp_path: Path) -> None:
    rows = [f"{user},{item}" for user in range(9) for item in range(3)] + ["9,only"]
    (tmp_path / "rows.csv").write_text("user_id,item_id\n" + "\n".join(rows) + "\n", encoding="utf-8")
    source: dict[str, Any] = {"name": "table", "files": [str(tmp_path / "rows.csv")]}
    values = {"source": source, "split": {"name": "cold_users", "validation": 0.2, "test": 0.3}}
    prepare(prepare_settings(values, []), tmp_path / "out", report=lambda line: None)
    with pytest.warns(DataWarning) as told:
        data = PreparedConfig(folder=tmp_path / "out").load()
    assert any("5 users" in str(w.message) and "without a training row" in str(w.message) for w in told)
    edges = data[INTERACTS]
    parts = edges.edge_index, edges.val_edge_label_index, edges.test_edge_label_index
    train, validation, test = (set(pairs[0].tolist()) for pairs in parts)
    assert (len(train), len(validation), len(test)) == (5, 2, 3)
    assert len(train | validation | test) == 10
