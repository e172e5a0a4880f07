"""Amazon reviews and metadata of three ages."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from reading import read, write

from anchorrec_graph.errors import DataError

REVIEWS = (
    '{"reviewerID": "A1", "asin": "007", "overall": 5.0, "unixReviewTime": 1400000000, "text": "good"}\n'
    '{"reviewerID": "A2", "asin": "B2", "overall": 1, "unixReviewTime": null}\n'
    '{"reviewerID": "A3", "asin": "", "overall": 1.0, "unixReviewTime": 1}\n'
    '{"reviewerID": ["A4"], "asin": "B", "overall": 1.0, "unixReviewTime": 1}\n'
)
ROWS = [("A1", "007", 5.0, 1_400_000_000), ("A2", "B2", 1.0, None)]


@pytest.mark.parametrize("name", ["amazon2014", "amazon2018"])
@pytest.mark.parametrize("packed", [False, True])
def test_reviews(tmp_path: Path, name: str, packed: bool) -> None:
    data = REVIEWS.encode()
    path = write(tmp_path / "r.json.gz", gzip.compress(data) if packed else data)
    found = read(name=name, files=[path])
    assert found.interactions == ROWS
    assert sorted(found.rejects) == [
        ("r.json.gz", 3, "no item_id"),
        ("r.json.gz", 4, "user_id is neither text nor a number"),
    ]


def test_metadata_of_2014_in_either_notation(tmp_path: Path) -> None:
    meta = write(
        tmp_path / "m.json",
        (
            "{'asin': '1', 'title': \"It's\", 'price': 3.17, 'imUrl': 'http://a/b.jpg', 'brand': 'C',"
            " 'categories': [['A', 'B'], ['A', 'D']], 'related': {'b': ['2']}, 'description': 'x\\ty'}\n"
            '{"asin": "2", "title": "two", "categories": [["A"]]}\n'
            "{'asin': __import__('os').system('false')}\n"
        ),
    )
    found = read(name="amazon2014", files=[write(tmp_path / "r", REVIEWS)], items=[meta])
    assert found.items == [
        {
            "item_id": "1",
            "title": "It's",
            "description": "x\ty",
            "brand": "C",
            "categories": ["A", "B", "D"],
            "price": 3.17,
            "image": "http://a/b.jpg",
        },
        {
            "item_id": "2",
            "title": "two",
            "description": None,
            "brand": None,
            "categories": ["A"],
            "price": None,
            "image": None,
        },
    ]
    assert ("m.json", 3, "not JSON") in found.rejects


def test_metadata_of_2018(tmp_path: Path) -> None:
    meta = write(
        tmp_path / "m.json",
        (
            '{"asin": "1", "title": "a", "price": "$1,012.99", "category": ["A", "B"],'
            ' "description": ["x", "y"],'
            ' "imageURL": ["small"], "imageURLHighRes": ["large"], "brand": "C"}\n'
            '{"asin": "2", "title": "b", "price": ".a-box {}", "category": [], "imageURL": ["small"]}\n'
        ),
    )
    found = read(name="amazon2018", files=[write(tmp_path / "r", REVIEWS)], items=[meta])
    one, two = found.items
    assert one == {
        "item_id": "1",
        "title": "a",
        "description": "x y",
        "brand": "C",
        "categories": ["A", "B"],
        "price": 1012.99,
        "image": "large",
    }
    assert (two["price"], two["image"]) == (None, "small")


def test_2023(tmp_path: Path) -> None:
    reviews = write(
        tmp_path / "r.jsonl",
        (
            '{"user_id": "A", "parent_asin": "P", "asin": "C", "rating": 4.0, "timestamp": 1588687728923}\n'
            '{"user_id": "B", "asin": "C", "rating": 3.0, "timestamp": 1588687728000}\n'
        ),
    )
    table = write(
        tmp_path / "r.csv", "user_id,parent_asin,rating,timestamp,history\nA,P,4.0,1588687728923,X Y\n"
    )
    meta = write(
        tmp_path / "m.jsonl",
        (
            '{"parent_asin": "P", "title": "t", "store": "S", "price": 9.5, "main_category": "M",'
            ' "categories": [],'
            ' "features": ["f", "g"], "description": ["d"],'
            ' "images": [{"thumb": "s", "large": "l", "hi_res": null}]}\n'
            '{"parent_asin": "Q", "title": null, "price": "from 1.00", "categories": ["K"],'
            ' "main_category": "M",'
            ' "images": {"hi_res": ["h"], "large": [null]}}\n'
        ),
    )
    found = read(name="amazon2023", files=[reviews, table], items=[meta])
    assert found.interactions == [
        ("A", "P", 4.0, 1588687728),
        ("B", "C", 3.0, 1588687728),
        ("A", "P", 4.0, 1588687728),
    ]
    one, two = found.items
    assert one == {
        "item_id": "P",
        "title": "t",
        "description": "d",
        "brand": "S",
        "categories": ["M"],
        "price": 9.5,
        "image": "l",
        "features": ["f", "g"],
    }
    assert (two["categories"], two["price"], two["image"], two["features"]) == (["K"], None, "h", None)
    old = write(tmp_path / "old.csv", "user_id,asin,rating,timestamp\nA,C,4.0,1000\n")
    assert read(name="amazon2023", files=[old]).interactions == [("A", "C", 4.0, 1)]


def test_another_layout_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "r.json", '{"user_id": "A", "parent_asin": "B"}\n')
    with pytest.raises(
        DataError, match=r"r.json: no column 'reviewerID'; it has: user_id, parent_asin; .* `table`"
    ):
        read(name="amazon2018", files=[path])
