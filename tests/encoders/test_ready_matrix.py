from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from encoding_world import stored_rows, write_items

from anchorrec_graph.encoders.ready_matrix import import_matrix
from anchorrec_graph.errors import DataError

ROWS = np.array([[1, 2], [3, 4], [0, 0], [5, 6]], dtype=np.float32)


def run(folder: Path, ids: str, rows: Any = ROWS, items: str = "a b c d", **options: Any) -> dict[str, Any]:
    table = write_items(folder, item_id=items.split())
    np.save(folder / "x.npy", rows)
    (folder / "ids.txt").write_text("\n".join(ids.split()) + "\n")
    return import_matrix(folder, "audio", table, folder / "x.npy", folder / "ids.txt", **options)


def test_rows_go_to_their_items_in_any_order(tmp_path: Path) -> None:
    sidecar = run(tmp_path, "d x c a", policy="zero")
    assert stored_rows(tmp_path, "audio").tolist() == [[5, 6], [0, 0], [0, 0], [1, 2]]
    assert sidecar["unused"] == 1
    assert sidecar["missing"]["reasons"] == {"no row": 1, "zero row": 1}
    run(tmp_path, "d x c a")
    assert stored_rows(tmp_path, "audio").tolist() == [[5, 6], [3, 4], [3, 4], [1, 2]]
    with pytest.raises(DataError, match=r"item 'b' \(row 2\): no row"):
        run(tmp_path, "d x c a", policy="refuse")


@pytest.mark.parametrize(
    ("ids", "rows", "message"),
    [
        ("a b c", ROWS, r"ids\.txt: 3 ids for 4 rows"),
        ("a b b d", ROWS, r"ids\.txt: 'b' occurs more than once"),
        ("a b c d", ROWS.astype(np.float64) * 1e6, r"x\.npy: row 1: .* does not fit float16"),
        ("b a c d", np.where(ROWS == 4, np.nan, ROWS), r"x\.npy: row 2: the row holds NaN"),
        ("a b c d", ROWS.astype(int), "must be floating numbers"),
        ("w x y z", ROWS, "no item has an input"),
    ],
)
def test_matrices_that_do_not_fit(tmp_path: Path, ids: str, rows: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        run(tmp_path, ids, rows)
    assert not (tmp_path / "features" / "audio.npy").exists()


def test_a_pickle_is_not_loaded(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="pickled Python objects, which are never loaded"):
        run(tmp_path, "a", np.array([{}], dtype=object))


def test_ids_that_cannot_be_read(tmp_path: Path) -> None:
    run(tmp_path, "a b c d")
    items = write_items(tmp_path, item_id=["a"])
    with pytest.raises(DataError, match="no such file; give one item id per line"):
        import_matrix(tmp_path, "audio", items, tmp_path / "x.npy", tmp_path / "no.txt")
    (tmp_path / "ids.txt").write_bytes(b"\xff")
    with pytest.raises(DataError, match="cannot be read as UTF-8"):
        import_matrix(tmp_path, "audio", items, tmp_path / "x.npy", tmp_path / "ids.txt")
