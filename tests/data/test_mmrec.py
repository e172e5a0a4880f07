"""MMRec folders: what is read, what is decided, and how every malformed file is named."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.data.checks import DataWarning
from anchorrec_graph.data.mmrec import MMRecConfig, read_items
from anchorrec_graph.errors import DataError

ROWS = [(0, 0, 5, 100, 0), (0, 2, 3, 101, 1), (1, 1, 4, 102, 0), (1, 0, 1, 103, 2), (1, 2, 2, 104, 0)]
ITEMS = [("B2", "a, b"), ("B1", "c"), ("B3", "d")]
HEADER = ("userID", "itemID", "rating", "timestamp", "x_label")


def write(folder: Path, text: str | bytes, name: str = "shop.inter") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


def table(header: tuple[str, ...] = HEADER, rows: list[tuple[object, ...]] | None = None) -> str:
    lines = [header, *(ROWS if rows is None else rows)]
    return "\n".join("\t".join(map(str, line)) for line in lines) + "\n"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    write(tmp_path, table())
    np.save(tmp_path / "image_feat.npy", np.arange(1, 7, dtype=np.float32).reshape(3, 2))
    np.save(tmp_path / "text_feat.npy", np.ones((3, 4)))
    return tmp_path


def test_reads_everything_and_the_files_own_split(shop: Path) -> None:
    data = MMRecConfig(folder=shop).load()
    edges = data[INTERACTS]
    assert edges.edge_index.tolist() == [[0, 1, 1], [0, 1, 2]]
    assert edges.val_edge_label_index.tolist() == [[0], [2]]
    assert edges.test_edge_label_index.tolist() == [[1], [0]]
    assert edges.time.tolist() == [100, 102, 104]
    assert data.modalities == ("image", "text")
    assert data["item"].image.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert data["item"].table["item_id"].to_list() == ["0", "1", "2"]
    assert data["user"].ids.tolist() == ["0", "1"]


def test_a_split_that_has_no_effect_is_said(shop: Path) -> None:
    config = MMRecConfig.model_validate({"folder": shop, "split": {"name": "random", "seed": 1}})
    with pytest.warns(DataWarning, match="dataset.split 'random' has no effect: the data bring a split of"):
        edges = config.load()[INTERACTS]
    assert edges.edge_index.tolist() == [[0, 1, 1], [0, 1, 2]]


def test_writing_to_the_tensor_never_reaches_the_file(shop: Path) -> None:
    data = MMRecConfig(folder=shop).load()
    data["item"].image.zero_()
    assert np.load(shop / "image_feat.npy")[0, 0] == 1


def test_without_labels_the_split_applies(tmp_path: Path) -> None:
    rows = [(user, (user + place) % 3, place) for user in range(3) for place in range(3)]
    write(tmp_path, table(("userID", "itemID", "timestamp"), rows))
    config = MMRecConfig.model_validate({"folder": tmp_path, "split": "leave_last"})
    assert config.load()[INTERACTS].test_edge_label_index.tolist() == [[0, 1, 2], [2, 0, 1]]


@settings(max_examples=25)
@given(st.permutations(range(5)), st.booleans(), st.booleans())
def test_column_order_spelling_and_line_ends_do_not_matter(
    order: list[int], recbole: bool, windows: bool
) -> None:
    import tempfile

    names = (
        ("user_id:token", "item_id:token", "rating:float", "timestamp:float", "x_label:float")
        if recbole
        else HEADER
    )
    text = table(
        (*(names[i] for i in order), "comment"), [(*(row[i] for i in order), "ignored") for row in ROWS]
    )
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), text.replace("\n", "\r\n") if windows else text)
        raw = MMRecConfig(folder=Path(folder)).read()
    for column, values in zip(("user", "item", "rating", "time"), zip(*ROWS, strict=True), strict=False):
        assert getattr(raw.interactions, column).tolist() == list(values)
    assert raw.label is not None
    assert raw.label.tolist() == [row[4] for row in ROWS]


def test_decimal_timestamps_must_be_whole(tmp_path: Path) -> None:
    write(tmp_path, table(("userID", "itemID", "timestamp"), [(0, 0, "978300760.0"), (0, 1, "978300761")]))
    assert MMRecConfig(folder=tmp_path).read().interactions.time.tolist() == [978300760, 978300761]
    write(tmp_path, table(("userID", "itemID", "timestamp"), [(0, 0, "1.0"), (0, 1, "1.5")]))
    with pytest.raises(DataError, match=r"shop.inter: row 2: timestamp 1.5 has a fraction"):
        MMRecConfig(folder=tmp_path).read()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "shop.inter: the file is empty"),
        (table(rows=[]), "shop.inter: no interactions"),
        (table(("userID", "rating"), [(0, 1)]), "no column 'itemID'; the header line has: userID, rating"),
        ("userID,itemID\n0,0\n", "no column 'userID'; .* separated by tabs"),
        ("userID\titemID\tuser_id:token\n0\t0\t0\n", "two columns are read as 'userID'"),
        ("userID\tuserID\titemID\n0\t0\t0\n", "column 'userID' occurs twice"),
        ("userID\titemID\n0\t0\n1.0\t1\n", "row 2: column 'userID' holds '1.0', not a whole number"),
        ("userID\titemID\n0\t0\n0\t1e2\n", "row 2: column 'itemID' holds '1e2', not a whole number"),
        ("userID\titemID\n0\tB00A\n0\tB00B\n", r"row 1: column 'itemID' holds 'B00A', .*and 1 more rows"),
        ("userID\titemID\n0\t0\n1\t\n", "row 2: column 'itemID' is empty"),
        ("userID\titemID\n0\t0\n\n1\t0\n", "row 2: column 'userID' is empty"),
        ("userID\titemID\n0\t0\n1\n", "row 2: column 'itemID' is empty"),
        ("userID\titemID\n0\t0\n0\t99999999999999999999\n", "row 2: column 'itemID' holds"),
        ("userID\titemID\n0\t0\n9999999999\t1\n", "row 2: userID 9999999999 in a file of 2 rows"),
        ("userID\titemID\n0\t0\n-1\t1\n", r"row 2: user -1 is outside 0\.\.0"),
        ("userID\titemID\n0\t0\n1\t1\n0\t0\n", "row 3: user 0 with item 0 is already in row 1"),
        ("userID\titemID\n0\t0\n0\t1\t2\n", "row 2: 3 fields where the header names 2"),
        (b"userID\titemID\n0\t0\n0\t\xff1\n", "row 2: not UTF-8"),
        ("userID\titemID\trating\n0\t0\tgood\n", "row 1: column 'rating' holds 'good', not a finite number"),
        ("userID\titemID\trating\n0\t0\tnan\n", "row 1: column 'rating' holds 'nan', not a finite number"),
        ("userID\titemID\tx_label\n0\t0\t0\n0\t1\t3\n", "row 2: split label 3 is not 0"),
    ],
)  # fmt: skip
def test_malformed_tables_are_named(tmp_path: Path, text: str | bytes, message: str) -> None:
    write(tmp_path, text)
    with pytest.raises(DataError, match=message):
        MMRecConfig(folder=tmp_path).load()


def test_the_inter_file_must_be_one_or_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"needs one .inter file, found none"):
        MMRecConfig(folder=tmp_path).read()
    write(tmp_path, table(), "a.inter")
    write(tmp_path, table(rows=ROWS[:2]), "b.inter")
    with pytest.raises(DataError, match=r"found a.inter, b.inter; name it with dataset.inter_file"):
        MMRecConfig(folder=tmp_path).read()
    assert len(MMRecConfig(folder=tmp_path, inter_file="b.inter").read().interactions.user) == 2
    with pytest.raises(DataError, match=r"c.inter: no such file"):
        MMRecConfig(folder=tmp_path, inter_file="c.inter").read()


def test_features_are_found_by_kind_or_chosen_by_name(shop: Path) -> None:
    np.save(shop / "order.npy", np.arange(3))  # not floating
    np.save(shop / "one.npy", np.ones(3))  # not a matrix
    np.save(shop / "user_graph_dict.npy", np.array({"a": 1}, dtype=object), allow_pickle=True)
    np.save(shop / "all-MiniLM-L6-v2.npy", np.ones((3, 2), dtype=np.float16))
    with pytest.warns(DataWarning) as left_out:
        assert list(MMRecConfig(folder=shop).read().features) == ["all-MiniLM-L6-v2", "image", "text"]
    assert [str(w.message).partition(":")[0] for w in left_out] == [f"{shop}/one.npy", f"{shop}/order.npy"]
    for name in ("order.npy", "one.npy"):
        (shop / name).unlink()
    chosen = MMRecConfig(folder=shop, features={"look": "image_feat.npy"}).load()
    assert chosen.modalities == ("look",)
    np.save(shop / "text.npy", np.ones((3, 2)))
    with pytest.raises(DataError, match=r"text_feat.npy: text.npy also names 'text'"):
        MMRecConfig(folder=shop).read()


def test_bad_feature_files_are_named(shop: Path) -> None:
    def load(name: str) -> None:
        MMRecConfig(folder=shop, features={"image": name}).load()

    with pytest.raises(DataError, match=r"none.npy: no such file"):
        load("none.npy")
    np.save(shop / "objects.npy", np.array([[1.0, None]], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"objects.npy: holds pickled Python objects, which are never loaded"):
        load("objects.npy")
    (shop / "raw.npy").write_bytes(pickle.dumps(np.ones((3, 2))))
    with pytest.raises(DataError, match=r"raw.npy: not a .npy file"):
        load("raw.npy")
    (shop / "empty.npy").write_bytes(b"")
    with pytest.raises(DataError, match=r"empty.npy: not a .npy file"):
        load("empty.npy")
    whole = (shop / "image_feat.npy").read_bytes()
    (shop / "cut.npy").write_bytes(whole[:-3])
    with pytest.raises(DataError, match=r"cut.npy: 149 bytes are too few for 3 rows of 2 float32"):
        load("cut.npy")
    (shop / "header.npy").write_bytes(whole[:40])
    with pytest.raises(DataError, match=r"header.npy: not a .npy file"):
        load("header.npy")
    np.save(shop / "whole.npy", np.arange(6).reshape(3, 2))
    with pytest.raises(DataError, match=r"whole.npy: features must be floating numbers"):
        load("whole.npy")
    np.save(shop / "nan.npy", np.array([[1.0], [np.nan], [1.0]]))
    with pytest.raises(DataError, match=r"nan.npy: row 2 \(item 1\) holds NaN"):
        load("nan.npy")


def test_features_decide_the_number_of_items(shop: Path) -> None:
    np.save(shop / "image_feat.npy", np.ones((5, 2), dtype=np.float32))
    with pytest.raises(DataError, match=r"text_feat.npy: 3 feature rows for 5 items"):
        MMRecConfig(folder=shop).load()
    np.save(shop / "text_feat.npy", np.ones((5, 2), dtype=np.float32))
    assert MMRecConfig(folder=shop).load()["item"].num_nodes == 5
    for name in ("image_feat.npy", "text_feat.npy"):
        np.save(shop / name, np.ones((2, 2), dtype=np.float32))
    with pytest.raises(DataError, match=r"shop.inter: row 2: item 2 is outside 0\.\.1"):
        MMRecConfig(folder=shop).load()


def test_gaps_in_user_ids_are_counted(tmp_path: Path) -> None:
    write(tmp_path, table(("userID", "itemID"), [(0, 0), (3, 0)]))
    with pytest.warns(DataWarning, match=r"shop.inter: 2 users \(1, 2\) without a training row"):
        MMRecConfig(folder=tmp_path).load()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("items.csv", 'item_id,title\nB2,"a, b"\nB1,c\nB3,d\n'),
        ("items.tsv", 'title\titem_id\na, b\tB2\nc\tB1\nd\tB3\n'),
        ("items.jsonl", "".join(f'{{"item_id": "{i}", "title": "{t}"}}\n' for i, t in ITEMS)),
        ("items.csv", 'itemID,item_id,title\n2,B3,d\n0,B2,"a, b"\n1,B1,c\n'),
    ],
)  # fmt: skip
def test_item_tables_of_every_kind(shop: Path, name: str, text: str) -> None:
    write(shop, text, name)
    items = MMRecConfig(folder=shop, items_file=name).load()["item"].table
    assert items.columns == ["item_id", "title"]
    assert items.rows() == ITEMS


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("items.csv", "item_id\na\nb\n", "items.csv: 2 items, but image_feat.npy has 3 rows"),
        ("items.csv", "itemID,t\n0,a\n2,b\n3,c\n", "items.csv: row 2: itemID 2 where 1 is missing"),
        ("items.csv", "itemID,t\n0,a\n1,b\nx,c\n", "items.csv: row 3: column 'itemID' holds 'x'"),
        ("items.csv", "item_id\na\na\nb\n", "items.csv: the item id 'a' occurs 2 times"),
        ("items.jsonl", '{"title":\n', "items.jsonl: not JSON lines"),
        ("items.xml", "<a/>", "items.xml: unknown suffix '.xml'"),
    ],
)
def test_malformed_item_tables_are_named(shop: Path, name: str, text: str, message: str) -> None:
    write(shop, text, name)
    with pytest.raises(DataError, match=message):
        MMRecConfig(folder=shop, items_file=name).load()


def test_item_table_without_ids_counts(tmp_path: Path) -> None:
    write(tmp_path, "title\na\nb\n", "items.csv")
    assert read_items(tmp_path / "items.csv").equals(
        pl.DataFrame({"item_id": ["0", "1"], "title": ["a", "b"]})
    )
