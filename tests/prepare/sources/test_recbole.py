"""RecBole's atomic files."""

from __future__ import annotations

from pathlib import Path

import pytest
from reading import read, write

from anchorrec_graph.errors import DataError

INTER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\nu\t007\t4\t978300760.0\nv\tb\tx\t1\n"
ITEM = (
    "item_id:token\tmovie_title:token_seq\tclass:token_seq\tprice:float\tyear:float\tvec:float_seq\tbrand:token\n"
    "007\tToy  Story\tWar Comedy War\t9.5\t1995\t1.5 2\tX\n"
    "b\t\t\t\t\t\t\nc\ta\tb\t1\tnone\t1\tX\nd\ta\tb\t1\t1\tx\tX\n"
)


def test_folder(tmp_path: Path) -> None:
    write(tmp_path / "a.inter", INTER)
    write(tmp_path / "a.item", ITEM)
    found = read(name="recbole", files=[tmp_path], title_field="movie_title", categories_field="class")
    assert found.interactions == [("u", "007", 4.0, 978300760)]
    one, two = found.items
    assert one == {
        "item_id": "007",
        "title": "Toy  Story",
        "categories": ["War", "Comedy"],
        "price": 9.5,
        "year": 1995.0,
        "vec": [1.5, 2.0],
        "brand": "X",
    }
    assert two == dict.fromkeys(one) | {"item_id": "b"}
    assert found.rejects == [
        ("a.inter", 2, "rating is no finite number"),
        ("a.item", 3, "year is no number"),
        ("a.item", 4, "vec is no number"),
    ]


def test_benchmark_files_are_a_split(tmp_path: Path) -> None:
    header, row, _ = INTER.split("\n", 2)
    for part in ("train", "valid", "test"):
        write(tmp_path / f"a.{part}.inter", f"{header}\n{row}\n")
    assert read(name="recbole", files=[tmp_path]).labels == [0, 1, 2]
    (tmp_path / "a.valid.inter").unlink()
    with pytest.raises(DataError, match=r"needs three files, missing: a.valid.inter"):
        read(name="recbole", files=[tmp_path])


def test_other_fields(tmp_path: Path) -> None:
    write(tmp_path / "a.inter", "time:float\tartist:token\tuser:token\n5000\tx\tu\n")
    fields = {"user_field": "user", "item_field": "artist"}
    assert read(name="recbole", files=[tmp_path], **fields).interactions == [("u", "x", None, None)]
    found = read(name="recbole", files=[tmp_path], **fields, time_field="time", time_unit="ms")
    assert found.interactions == [("u", "x", None, 5)]
    with pytest.raises(
        DataError, match=r"a.inter: no column 'stars'; it has: time, artist, user; .* rating_field"
    ):
        read(name="recbole", files=[tmp_path], **fields, rating_field="stars")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("user_id\titem_id", "column 'user_id' is not field:kind"),
        ("user_id:token\titem_id:word", "column 'item_id:word' is not field:kind"),
        ("user_id:token\titem_id:token\titem_id:float", "the field 'item_id' occurs twice"),
    ],
)
def test_headers_are_checked(tmp_path: Path, header: str, message: str) -> None:
    write(tmp_path / "a.inter", f"{header}\n")
    with pytest.raises(DataError, match=message):
        read(name="recbole", files=[tmp_path])


def test_two_fields_for_one_column(tmp_path: Path) -> None:
    write(tmp_path / "a.inter", INTER)
    write(tmp_path / "a.item", "item_id:token\tname:token\ttitle:token\n")
    with pytest.raises(DataError, match="two columns are read as 'title'"):
        read(name="recbole", files=[tmp_path], title_field="name")


def test_the_files_must_be_one_or_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"needs one .inter file, found none"):
        read(name="recbole", files=[tmp_path])
    write(tmp_path / "a.inter", INTER)
    write(tmp_path / "b.inter", INTER)
    with pytest.raises(DataError, match=r"found a.inter, b.inter; name one with dataset"):
        read(name="recbole", files=[tmp_path])
    assert len(read(name="recbole", files=[tmp_path], dataset="b").interactions) == 1
