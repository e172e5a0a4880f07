"""Small whole inputs of every source, from which test_fuzz.py makes malformed ones."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any, NamedTuple

import numpy as np
import polars as pl

PAIRS = [("u1", "i1"), ("u1", "i2"), ("u2", "i1"), ("u3", "i3"), ("u3", "i1"), ("u4", "i2")]
TIME = 1_400_000_000


class Seed(NamedTuple):
    """Settings, in which FOLDER stands for where the files are, and the files."""

    settings: dict[str, Any]
    files: dict[str, bytes]
    fixed: tuple[str, ...] = ()  # files that are left as they are


def table(separator: str, header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> bytes:
    lines = [header, *rows] if header else rows
    return "".join(separator.join(map(str, line)) + "\n" for line in lines).encode()


def json_lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def npy(rows: int) -> bytes:
    file = io.BytesIO()
    np.save(file, np.ones((rows, 2), dtype=np.float32))
    return file.getvalue()


def parquet(frame: pl.DataFrame) -> bytes:
    file = io.BytesIO()
    frame.write_parquet(file)
    return file.getvalue()


def reviews(user: str, item: str, rating: str, time: str, scale: int = 1) -> list[dict[str, Any]]:
    return [
        {user: u, item: i, rating: 4.0, time: (TIME + n) * scale, "text": "good \U0001f600, \"very\" 'good'"}
        for n, (u, i) in enumerate(PAIRS)
    ]


OLD = reviews("reviewerID", "asin", "overall", "unixReviewTime")
NEW = reviews("user_id", "parent_asin", "rating", "timestamp", 1000)
RATINGS = [(n + 1, n % 3 + 1, 3.5, TIME + n) for n in range(5)]
META_2014 = [
    {
        "asin": f"i{n}",
        "title": 'It\'s a "pen"',
        "price": 1.5,
        "imUrl": "http://a/b.jpg",
        "brand": "B",
        "categories": [["Office", "Pens"], ["Ink"]],
        "description": "blue",
        "related": {"also_bought": ["x"]},
    }
    for n in range(1, 4)
]
META_2018 = [
    {
        "asin": f"i{n}",
        "title": "pen",
        "price": "$1,299.00",
        "imageURLHighRes": ["http://a/b.jpg"],
        "category": ["Office", "Pens"],
        "description": ["blue", "red"],
        "brand": "B",
    }
    for n in range(1, 4)
]
META_2023 = [
    {
        "parent_asin": f"i{n}",
        "title": "pen",
        "price": 9.5,
        "images": [{"large": "http://a/b.jpg"}],
        "store": "S",
        "categories": [],
        "main_category": "Office",
        "description": ["blue"],
        "features": ["fine", "thin"],
    }
    for n in range(1, 4)
]
INTER = table(
    "\t",
    ("user_id:token", "item_id:token", "rating:float", "timestamp:float"),
    [(u, i, 4.0, float(TIME + n)) for n, (u, i) in enumerate(PAIRS)],
)
ITEM = table(
    "\t",
    ("item_id:token", "title:token", "categories:token_seq", "price:float", "size:float_seq"),
    [(f"i{n}", "a pen", "Office Pens", 1.5, "1.0 2.5") for n in range(1, 4)],
)
LOG = pl.DataFrame({"user": [u for u, _ in PAIRS], "item": [n % 3 for n in range(6)], "stars": [4.5] * 6})
LOG = LOG.with_columns(day=pl.lit("2014-07-23").str.to_date())
SHOP = {
    "user_column": "user",
    "item_column": "item",
    "rating_column": "stars",
    "time_column": "day",
    "time_unit": "iso",
}
LOG_ROWS = [(u, i, 4.5, "2014-07-23T10:00:00Z", '"a, ""b"""') for u, i in PAIRS]
LOG_COLUMNS = ("user", "item", "stars", "day", "note")
SHOP_ITEMS = [
    {"item": f"i{n}", "title": "pen", "categories": ["a", "b"], "size": {"x": 1}} for n in range(1, 4)
]


def _pair(name: str, reviews_file: tuple[str, bytes], items_file: tuple[str, bytes], **settings: Any) -> Seed:
    files = dict([reviews_file, items_file])
    return Seed(
        {
            "name": name,
            "files": [f"FOLDER/{reviews_file[0]}"],
            "items": [f"FOLDER/{items_file[0]}"],
            **settings,
        },
        files,
    )


def _folder(name: str, files: dict[str, bytes], fixed: tuple[str, ...] = ()) -> Seed:
    return Seed({"name": name, "files": ["FOLDER"]}, files, fixed)


SEEDS: dict[str, list[Seed]] = {
    "amazon2014": [
        _pair(
            "amazon2014",
            ("r.json", json_lines(OLD)),
            ("m.json", "".join(f"{m!r}\n" for m in META_2014).encode()),
        ),
        _pair("amazon2014", ("r.gz", gzip.compress(json_lines(OLD))), ("m.json", json_lines(META_2014))),
    ],
    "amazon2018": [
        _pair("amazon2018", ("r.json", json_lines(OLD)), ("m.json", json_lines(META_2018))),
        _pair("amazon2018", ("r.json", json_lines(OLD)), ("m.gz", gzip.compress(json_lines(META_2018)))),
    ],
    "amazon2023": [
        _pair("amazon2023", ("r.jsonl", json_lines(NEW)), ("m.jsonl", json_lines(META_2023))),
        _pair(
            "amazon2023",
            (
                "r.csv",
                table(
                    ",",
                    ("user_id", "parent_asin", "rating", "timestamp", "history"),
                    [(u, i, 4.0, (TIME + n) * 1000, "") for n, (u, i) in enumerate(PAIRS)],
                ),
            ),
            ("m.jsonl", json_lines(META_2023)),
        ),
    ],
    "mmrec": [
        _folder(
            "mmrec",
            {
                "a.inter": table(
                    "\t",
                    ("userID", "itemID", "rating", "timestamp", "x_label"),
                    [(n, n % 3, 4.0, TIME + n, 0) for n in range(5)],
                ),
                "image_feat.npy": npy(3),
            },
            ("image_feat.npy",),
        ),
        Seed(
            {"name": "mmrec", "files": ["FOLDER"], "items_file": "i.csv"},
            {
                "a.inter": table("\t", ("userID", "itemID"), [(n, n % 3) for n in range(5)]),
                "i.csv": table(
                    ",", ("itemID", "item_id", "title"), [(n, f"B{n}", '"a, b"') for n in range(3)]
                ),
            },
        ),
    ],
    "movielens": [
        _folder(
            "movielens",
            {
                "ratings.csv": table(",", ("userId", "movieId", "rating", "timestamp"), RATINGS),
                "movies.csv": table(
                    ",",
                    ("movieId", "title", "genres"),
                    [
                        (1, "Toy (1995)", "Comedy|War"),
                        (2, '"Net, The (1996)"', "Drama"),
                        (3, "No", "(no genres listed)"),
                    ],
                ),
                "links.csv": table(
                    ",", ("movieId", "imdbId", "tmdbId"), [(1, "0114709", 862), (2, "01", "")]
                ),
                "tags.csv": table(
                    ",", ("userId", "movieId", "tag", "timestamp"), [(1, 1, "fun", TIME), (2, 1, '"a, b"', 1)]
                ),
            },
        ),
        _folder(
            "movielens",
            {
                "ratings.dat": table("::", (), RATINGS),
                "movies.dat": "1::Amélie (2001)::Comedy\n2::B: C::Drama|War\n".encode("latin-1"),
            },
        ),
        _folder(
            "movielens",
            {
                "u.data": table("\t", (), RATINGS),
                "u.item": (
                    "1|Amélie (2001)|01-Jan-2001||http://a|" + "|".join("0100000000000000001") + "\n"
                ).encode("latin-1"),
            },
        ),
    ],
    "recbole": [_folder("recbole", {"a.inter": INTER, "a.item": ITEM})],
    "table": [
        _pair(
            "table", ("r.csv", table(",", LOG_COLUMNS, LOG_ROWS)), ("m.jsonl", json_lines(SHOP_ITEMS)), **SHOP
        ),
        _pair(
            "table",
            ("r.tsv.gz", gzip.compress(table("\t", LOG_COLUMNS, LOG_ROWS))),
            (
                "m.csv",
                table(",", ("item", "title", "other"), [("i1", "pen", '"two\nlines"'), ("i2", "b", "c")]),
            ),
            **SHOP,
        ),
        _pair(
            "table",
            ("r.jsonl", json_lines([dict(zip(LOG_COLUMNS, row, strict=True)) for row in LOG_ROWS])),
            (
                "m.parquet",
                parquet(pl.DataFrame({"item": ["a", "b"], "title": ["x", None], "price": [1.5, 2.0]})),
            ),
            **SHOP,
        ),
        _pair("table", ("r.parquet", parquet(LOG)), ("m.jsonl", json_lines(SHOP_ITEMS)), **SHOP),
    ],
}
