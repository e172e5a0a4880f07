"""Metadata and features in the order of the items that stay."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import naive_prepare
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorrec_graph.errors import DataError
from anchorrec_graph.prepare.items import align_items, write_features

names = st.sampled_from("abcdefgh")


def write(folder: Path, frames: list[pl.DataFrame]) -> list[Path]:
    paths = [folder / f"{number:03d}.parquet" for number in range(len(frames))]
    for path, frame in zip(paths, frames, strict=True):
        frame.write_parquet(path)
    return paths


@settings(max_examples=40)
@given(
    st.lists(names, min_size=1, unique=True), st.lists(names, max_size=12), st.integers(1, 5), st.booleans()
)
def test_alignment_is_its_twin(kept: list[str], known: list[str], size: int, keep_all: bool) -> None:
    metadata = [{"item_id": item, "title": f"{item}{place}"} for place, item in enumerate(known)]
    frames = [pl.DataFrame(metadata[start : start + size]) for start in range(0, len(metadata), size)]
    with TemporaryDirectory() as folder:
        aligned = align_items(pl.Series(kept), write(Path(folder), frames), keep_all)
    rows, places = naive_prepare.align(kept, metadata, keep_all)
    assert aligned.items["item_id"].to_list() == [row["item_id"] for row in rows]
    assert aligned.row.tolist() == places
    if metadata:
        assert aligned.items["title"].to_list() == [row["title"] for row in rows]
    assert aligned.counts == {
        "metadata_rows": len(known),
        "repeated_metadata_rows": len(known) - len(set(known)),
        "items_without_interactions": len(set(known) - set(kept)),
        "items_without_metadata": len(set(kept) - set(known)),
    }


def test_columns_of_blocks_that_differ_are_put_together(tmp_path: Path) -> None:
    first = pl.DataFrame({"item_id": ["a"], "size": [1], "price": [None], "categories": [["x", "y"]]})
    second = pl.DataFrame({"item_id": ["b"], "title": ["B"], "size": ["large"], "brand": [None]})
    items = align_items(pl.Series(["b", "c", "a"]), write(tmp_path, [first, second]), False).items
    assert items.columns == ["item_id", "title", "brand", "categories", "price", "size"]
    assert items.schema["price"] == pl.Float64
    assert items["size"].to_list() == ["large", None, "1"]
    assert items["categories"].to_list() == [None, None, ["x", "y"]]


def test_columns_that_do_not_go_together_are_an_error(tmp_path: Path) -> None:
    frames = [pl.DataFrame({"item_id": ["a"], "x": [value]}) for value in ([["u"]], {"v": 1})]
    with pytest.raises(DataError, match=r"item metadata: a column changes its type"):
        align_items(pl.Series(["a"]), write(tmp_path, frames), False)


def test_feature_rows_follow_the_items(tmp_path: Path) -> None:
    rows = np.arange(12, dtype=np.float16).reshape(6, 2) + 1
    np.save(tmp_path / "all.npy", rows)
    write_features(tmp_path / "all.npy", tmp_path / "new/image.npy", np.array([5, -1, 0]), 6)
    written = np.load(tmp_path / "new/image.npy")
    assert written.dtype == np.float16
    assert written.tolist() == [[11, 12], [0, 0], [1, 2]]
    with pytest.raises(DataError, match=r"all.npy: 6 feature rows for 7 item rows"):
        write_features(tmp_path / "all.npy", tmp_path / "b.npy", np.array([5]), 7)
    assert not (tmp_path / "b.npy").exists()
