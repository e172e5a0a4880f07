"""Source `movielens`: a folder of GroupLens files, as published."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import polars as pl
from pydantic import Field

from anchorrec_graph.errors import DataError
from anchorrec_graph.prepare.rejects import Rejects
from anchorrec_graph.prepare.sources import items as item
from anchorrec_graph.prepare.sources.base import SOURCES, Source
from anchorrec_graph.prepare.sources.csv_rows import CSV, Choose, Dialect, csv_rows
from anchorrec_graph.prepare.sources.interactions import BLANKS, interactions
from anchorrec_graph.prepare.sources.rows import Fields

RATINGS = Fields(
    {
        "user_id": ("userId", "user_id"),
        "item_id": ("movieId", "item_id"),
        "rating": ("rating",),
        "timestamp": ("timestamp",),
    }
)
MOVIES = Fields({"item_id": ("movieId", "item_id"), "title": ("title",), "genres": ("genres",)})
LINKS = Fields(
    {"item_id": ("movieId", "item_id"), "imdb_id": ("imdbId",), "tmdb_id": ("tmdbId",)}, optional=("tmdb_id",)
)
TAGS = Fields({"item_id": ("movieId", "item_id"), "tag": ("tag",)})
GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
NO_GENRES = "(no genres listed)"
YEAR = re.compile(r"\((\d{4})\)\s*$", re.ASCII)
EXTRA = {"year": pl.Int32, "tags": pl.List(pl.String)}


class _Layout(NamedTuple):
    """Files of one age of MovieLens."""

    ratings: str
    movies: str
    rating_dialect: Dialect
    movie_dialect: Dialect


def _old(separator: str, columns: tuple[str, ...]) -> Dialect:
    return Dialect(separator, quoted=False, columns=columns, legacy=True)


_RATING_COLUMNS = ("user_id", "item_id", "rating", "timestamp")
LAYOUTS = (
    _Layout("ratings.csv", "movies.csv", CSV, CSV),  # latest, 20m, 25m, 32m
    _Layout(
        "ratings.dat", "movies.dat", _old("::", _RATING_COLUMNS), _old("::", ("item_id", "title", "genres"))
    ),
    _Layout(
        "u.data",
        "u.item",
        _old("\t", _RATING_COLUMNS),
        _old("|", ("item_id", "title", "release_date", "video_date", "imdb_url", *GENRES)),
    ),
)


class MovieLens(Source):
    """ratings.csv and movies.csv, or ratings.dat and movies.dat (1m, 10m), or u.data and u.item (100k).

    Items have title (with the year, as published), year, categories (the genres) and, where links.csv and
    tags.csv are in the folder, imdb_id, tmdb_id and tags (each once). Old files are latin-1 where they are
    not UTF-8.
    """

    name: Literal["movielens"] = "movielens"
    files: tuple[Path, ...] = Field(min_length=1, max_length=1)  # the folder

    def interaction_files(self) -> tuple[Path, ...]:
        return (self.files[0] / _layout(self.files[0]).ratings,)

    def read_interactions(self, path: Path, rejects: Rejects) -> Iterator[pl.DataFrame]:
        dialect = _layout(path.parent).rating_dialect
        for rows in csv_rows(path, dialect, _choose(RATINGS, path), rejects):
            yield from interactions(rows, path, rejects)

    def item_files(self) -> tuple[Path, ...]:
        path = self.files[0] / _layout(self.files[0]).movies
        return (path,) if path.exists() else ()

    def read_items(self, path: Path, rejects: Rejects) -> Iterator[pl.DataFrame]:
        layout = _layout(path.parent)
        choose = _choose_old if layout.ratings == "u.data" else _choose(MOVIES, path)
        links = _links(path.with_name("links.csv"), rejects)
        tags = _tags(path.with_name("tags.csv"), rejects)

        def movie(record: Mapping[str, Any]) -> item.Item:
            key = item.item_id(record["item_id"])
            values = _movie(record)
            if links is not None:
                values |= links.get(key, {"imdb_id": None, "tmdb_id": None})
            if tags is not None:
                values["tags"] = list(tags.get(key, ()))
            return {"item_id": key, **values}

        records = item.as_records(csv_rows(path, layout.movie_dialect, choose, rejects))
        yield from item.item_frames(records, path, rejects, movie, EXTRA)


def _layout(folder: Path) -> _Layout:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; files must name the folder of the MovieLens files")
    for layout in LAYOUTS:
        if (folder / layout.ratings).exists():
            return layout
    names = ", ".join(layout.ratings for layout in LAYOUTS)
    raise DataError(f"{folder}: has none of {names}; files must name the folder of the MovieLens files")


def _choose(fields: Fields, path: Path) -> Choose:
    return lambda columns: fields.choose(path, columns)


def _choose_old(columns: tuple[str, ...]) -> dict[str, str]:
    return {column: column for column in columns}


def _movie(record: Mapping[str, Any]) -> dict[str, Any]:
    title = record["title"]
    year = YEAR.search(title) if title else None
    values = {
        "title": title,
        "year": int(year[1]) if year else None,
        "categories": [
            genre for genre in (record.get("genres") or "").split("|") if genre not in ("", NO_GENRES)
        ],
    }
    if "imdb_url" in record:
        values["categories"] = [genre for genre in GENRES[1:] if record[genre] == "1"]
        values |= {name: record[name] for name in ("release_date", "imdb_url")}
    return values


def _links(path: Path, rejects: Rejects) -> dict[str, dict[str, str | None]] | None:
    """Film -> ids elsewhere; None without the file."""
    if not path.exists():
        return None
    found: dict[str, dict[str, str | None]] = {}
    for rows in csv_rows(path, CSV, _choose(LINKS, path), rejects):
        for record in rows.frame.to_dicts():
            if record["item_id"]:
                found[record["item_id"].strip(BLANKS)] = {
                    "imdb_id": record["imdb_id"],
                    "tmdb_id": record.get("tmdb_id"),
                }
    return found


def _tags(path: Path, rejects: Rejects) -> dict[str, dict[str, None]] | None:
    """Film -> its distinct tags in the order of the file; None without the file."""
    if not path.exists():
        return None
    found: dict[str, dict[str, None]] = {}
    for rows in csv_rows(path, CSV, _choose(TAGS, path), rejects):
        for key, tag in rows.frame.select("item_id", "tag").iter_rows():
            if key and tag:
                found.setdefault(key.strip(BLANKS), {})[tag] = None
    return found


SOURCES.register(MovieLens)(MovieLens)
