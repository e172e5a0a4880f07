"""MMRec folders as a source: rows of the matrices are items."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reading import read, write

from anchorrec_graph.errors import DataError
from anchorrec_graph.prepare.sources import SOURCES

INTER = "userID\titemID\trating\ttimestamp\tx_label\n0\t2\t5\t100\t0\n01\t1\t1\t1\t0\n3\t0\t1\t1\t2\n"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    write(tmp_path / "a.inter", INTER)
    np.save(tmp_path / "image_feat.npy", np.ones((4, 2), dtype=np.float32))
    return tmp_path


def test_items_are_the_rows_of_the_matrix(shop: Path) -> None:
    found = read(name="mmrec", files=[shop])
    assert found.interactions == [("0", "2", 5.0, 100), ("3", "0", 1.0, 1)]
    assert found.labels == [0, 2]
    assert [item["item_id"] for item in found.items] == ["0", "1", "2", "3"]
    assert ("a.inter", 2, "user_id is no row number") in found.rejects
    assert SOURCES.parse({"name": "mmrec", "files": [shop]}).feature_files() == {
        "image": shop / "image_feat.npy"
    }
    chosen = SOURCES.parse({"name": "mmrec", "files": [shop], "features": {"look": "image_feat.npy"}})
    assert dict(chosen.feature_files()) == {"look": shop / "image_feat.npy"}


def test_recboles_spelling(shop: Path) -> None:
    write(shop / "a.inter", INTER.replace("userID\titemID", "user_id:token\titem_id:token"))
    assert len(read(name="mmrec", files=[shop]).interactions) == 2
    write(shop / "a.inter", "userID\titemID\tuser_id:token\n0\t0\t0\n")
    with pytest.raises(DataError, match="two columns are read as 'userid'"):
        read(name="mmrec", files=[shop])


def test_items_without_features(shop: Path) -> None:
    (shop / "image_feat.npy").unlink()
    assert [item["item_id"] for item in read(name="mmrec", files=[shop]).items] == ["0", "1", "2"]
    write(shop / "a.inter", "userID\titemID\n0\t99999999\n")
    with pytest.raises(DataError, match=r"a.inter: item 99999999 in a file of 1 rows; renumber"):
        read(name="mmrec", files=[shop])


def test_item_table(shop: Path) -> None:
    write(shop / "i.csv", "itemID,item_id,title,shelf\n1,B1,b,x\n0,B0,a,y\n2,B2,,\n3,B3,d,\n")
    items = read(name="mmrec", files=[shop], items_file="i.csv").items
    assert items[0] == {"item_id": "0", "original_id": "B0", "title": "a", "shelf": "y"}
    assert [item["original_id"] for item in items] == ["B0", "B1", "B2", "B3"]
    write(shop / "i.jsonl", '{"title": "a", "categories": ["x"]}\n' * 4)
    items = read(name="mmrec", files=[shop], items_file="i.jsonl").items
    assert items[3] == {"item_id": "3", "title": "a", "categories": ["x"]}


@pytest.mark.parametrize(("name", "text", "message"), [
    ("i.csv", "itemID,title\n0,a\n0,b\n1,c\n2,d\n", r"i.csv: itemID must number the items 0\.\.3"),
    ("i.csv", "itemID,title\n0,a\nx,b\n1,c\n2,d\n", r"i.csv: itemID must number the items 0\.\.3"),
    ("i.csv", "title\na\nb\n", r"i.csv: 2 items, but .*image_feat.npy has 4 rows"),
    ("i.csv", "title,x\na,b\nc\n", r"i.csv: row 2: too few fields"),
    ("i.jsonl", '{"title": "a"}\n{"title": {}}\n', r"i.jsonl: row 2: title is neither text nor"),
    ("i.txt", "", r"i.txt: unknown suffix '.txt'"),
])  # fmt: skip
def test_item_tables_must_be_whole(shop: Path, name: str, text: str, message: str) -> None:
    write(shop / name, text)
    with pytest.raises(DataError, match=message):
        read(name="mmrec", files=[shop], items_file=name)


def test_items_beyond_the_matrix(shop: Path) -> None:
    write(shop / "a.inter", "userID\titemID\n0\t4\n")
    with pytest.raises(DataError, match=r"a.inter: holds item 4, but there are only 4"):
        read(name="mmrec", files=[shop])
