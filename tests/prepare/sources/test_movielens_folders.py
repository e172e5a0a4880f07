"""MovieLens folders of three ages."""

from __future__ import annotations

from pathlib import Path

import pytest
from reading import read, write

from anchorrec_graph.errors import DataError

RATINGS = "1,1,4.0,964982703\n2,1,x,964981247\n2,3,0.5,964981247\n"
ROWS = [("1", "1", 4.0, 964982703), ("2", "3", 0.5, 964981247)]


@pytest.mark.parametrize("header", ["userId,movieId", "user_id,item_id"])
def test_latest(tmp_path: Path, header: str) -> None:
    item = header.split(",")[1]
    write(tmp_path / "ratings.csv", f"{header},rating,timestamp\n{RATINGS}")
    write(
        tmp_path / "movies.csv",
        (
            f"{item},title,genres\n1,Toy Story (1995),Comedy|War\n"
            '3,"Net, The (1996) ",(no genres listed)\n4,Babylon 5,Drama\n'
        ),
    )
    found = read(name="movielens", files=[tmp_path])
    assert found.interactions == ROWS
    assert found.rejects == [("ratings.csv", 2, "rating is no finite number")]
    assert found.items == [
        {"item_id": "1", "title": "Toy Story (1995)", "year": 1995, "categories": ["Comedy", "War"]},
        {"item_id": "3", "title": "Net, The (1996) ", "year": 1996, "categories": []},
        {"item_id": "4", "title": "Babylon 5", "year": None, "categories": ["Drama"]},
    ]
    write(tmp_path / "links.csv", f"{item},imdbId,tmdbId\n1,0114709,862\n3,0113497,\n")
    write(tmp_path / "tags.csv", 'userId,movieId,tag,timestamp\n2,1,fun,1\n3,1,"a, b",1\n4,1,fun,2\n')
    one, two, three = read(name="movielens", files=[tmp_path]).items
    assert (one["imdb_id"], one["tmdb_id"], one["tags"]) == ("0114709", "862", ["fun", "a, b"])
    assert (two["imdb_id"], two["tmdb_id"], two["tags"]) == ("0113497", None, [])
    assert (three["imdb_id"], three["tags"]) == (None, [])


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_dat_files(tmp_path: Path, encoding: str) -> None:
    write(tmp_path / "ratings.dat", RATINGS.replace(",", "::"))
    write(tmp_path / "movies.dat", "1::Amélie: x (2001)::Comedy|War\n".encode(encoding))
    found = read(name="movielens", files=[tmp_path])
    assert found.interactions == ROWS
    assert found.rejects[0][1] == 2
    assert found.items == [
        {"item_id": "1", "title": "Amélie: x (2001)", "year": 2001, "categories": ["Comedy", "War"]}
    ]


def test_100k(tmp_path: Path) -> None:
    write(tmp_path / "u.data", RATINGS.replace(",", "\t"))
    flags = ["0"] * 19
    flags[1] = flags[18] = "1"  # unknown is 0
    write(tmp_path / "u.item", f"1|Amélie (2001)|01-Jan-2001||http://a|{'|'.join(flags)}\n".encode("latin-1"))
    found = read(name="movielens", files=[tmp_path])
    assert found.interactions == ROWS
    assert found.items == [
        {
            "item_id": "1",
            "title": "Amélie (2001)",
            "year": 2001,
            "categories": ["Action", "Western"],
            "release_date": "01-Jan-2001",
            "imdb_url": "http://a",
        }
    ]


def test_other_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has none of ratings.csv, ratings.dat, u.data"):
        read(name="movielens", files=[tmp_path])
    with pytest.raises(DataError, match="no such folder"):
        read(name="movielens", files=[tmp_path / "none"])
    write(tmp_path / "ratings.csv", "userId,movie,rating,timestamp\n")
    with pytest.raises(
        DataError, match=r"ratings.csv: no column 'movieId' or 'item_id'; it has: userId, movie,"
    ):
        read(name="movielens", files=[tmp_path])
    write(tmp_path / "ratings.csv", "userId,movieId,rating,timestamp\n1,1,1,1\n")
    assert read(name="movielens", files=[tmp_path]).items == []  # without movies.csv
