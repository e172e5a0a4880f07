"""Sources `amazon2014`, `amazon2018` and `amazon2023`: Amazon reviews and metadata as published.

2014 and 2018: jmcauley.ucsd.edu and nijianmo.github.io; 2023: amazon-reviews-2023.github.io. Files may be
gzip or not. A price that is not one number is null.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import polars as pl

from anchorrec_graph.prepare.rejects import Rejects
from anchorrec_graph.prepare.sources import items as item
from anchorrec_graph.prepare.sources.base import SOURCES, ListedFiles
from anchorrec_graph.prepare.sources.csv_rows import CSV, csv_rows
from anchorrec_graph.prepare.sources.interactions import interactions
from anchorrec_graph.prepare.sources.json_rows import json_records, json_rows
from anchorrec_graph.prepare.sources.rows import Fields

REVIEWS = Fields(
    {
        "user_id": ("reviewerID",),
        "item_id": ("asin",),
        "rating": ("overall",),
        "timestamp": ("unixReviewTime",),
    }
)
REVIEWS_2023 = Fields(
    {
        "user_id": ("user_id",),
        "item_id": ("parent_asin", "asin"),
        "rating": ("rating",),
        "timestamp": ("timestamp",),
    }
)
METADATA, METADATA_2023 = Fields({"item_id": ("asin",)}), Fields({"item_id": ("parent_asin", "asin")})
LARGE_FIRST = ("large", "hi_res", "thumb")


class Amazon2014(ListedFiles):
    """Reviews as JSON lines (reviewerID, asin, overall, unixReviewTime) and metadata.

    Lines in Python's notation, as metadata was first published, are parsed and never evaluated.
    """

    name: Literal["amazon2014"] = "amazon2014"

    def read_interactions(self, path: Path, rejects: Rejects) -> Iterator[pl.DataFrame]:
        for rows in json_rows(path, REVIEWS, rejects, loose=True):
            yield from interactions(rows, path, rejects)

    def read_items(self, path: Path, rejects: Rejects) -> Iterator[pl.DataFrame]:
        records = json_records(path, METADATA, rejects, loose=True)
        yield from item.item_frames(records, path, rejects, _item_2014)


class Amazon2018(ListedFiles):
    """Reviews and metadata as JSON lines: as 2014, with `category`, prices as text and lists of images."""

    name: Literal["amazon2018"] = "amazon2018"

    def read_interactions(self, path: Path, rejects: Rejects) -> Iterator[pl.DataFrame]:
        for rows in json_rows(path, REVIEWS, rejects):
            yield from interactions(rows, path, rejects)

    def read_items(self, path: Path, rejects: Rejects) -> Iterator[pl.DataFrame]:
        records = json_records(path, METADATA, rejects)
        yield from item.item_frames(records, path, rejects, _item_2018)


class Amazon2023(ListedFiles):
    """Reviews as JSON lines or, by the suffix .csv or .csv.gz, as CSV; metadata as JSON lines.

    The item is `parent_asin`, or `asin` where that is missing; times are milliseconds in the files.
    `features` is kept as a list beside the columns that all sources have.
    """

    name: Literal["amazon2023"] = "amazon2023"

    def read_interactions(self, path: Path, rejects: Rejects) -> Iterator[pl.DataFrame]:
        if path.name.removesuffix(".gz").endswith(".csv"):
            blocks = csv_rows(path, CSV, lambda columns: REVIEWS_2023.choose(path, columns), rejects)
        else:
            blocks = json_rows(path, REVIEWS_2023, rejects)
        for rows in blocks:
            yield from interactions(rows, path, rejects, "ms")

    def read_items(self, path: Path, rejects: Rejects) -> Iterator[pl.DataFrame]:
        records = json_records(path, METADATA_2023, rejects)
        extra = {"features": pl.List(pl.String)}
        yield from item.item_frames(records, path, rejects, _item_2023, extra)


def _item_2014(record: Mapping[str, Any]) -> item.Item:
    return {
        **_common(record),
        "brand": item.words(record.get("brand"), "brand"),
        "image": item.first(record.get("imUrl")),
    }


def _item_2018(record: Mapping[str, Any]) -> item.Item:
    images = [item.first(record.get(name)) for name in ("imageURLHighRes", "imageURL", "imUrl")]
    return {
        **_common(record),
        "brand": item.words(record.get("brand"), "brand"),
        "image": next((image for image in images if image), None),
    }


def _item_2023(record: Mapping[str, Any]) -> item.Item:
    general = item.labels(record.get("main_category"), "main_category")
    return {
        **_common(record),
        "item_id": item.item_id(record.get("parent_asin") or record.get("asin")),
        "categories": item.labels(record.get("categories"), "categories") or general,
        "brand": item.words(record.get("store"), "store"),
        "image": _image_2023(record.get("images")),
        "features": item.labels(record.get("features"), "features"),
    }


def _common(record: Mapping[str, Any]) -> dict[str, Any]:
    categories = record.get("categories") or record.get("category")
    return {
        "item_id": item.item_id(record.get("asin") or record.get("parent_asin")),
        "title": item.words(record.get("title"), "title"),
        "description": item.words(record.get("description"), "description"),
        "brand": None,
        "categories": item.labels(categories, "categories"),
        "price": item.price(record.get("price")),
        "image": None,
    }


def _image_2023(images: Any) -> str | None:
    """The first image's `large`; images are a list of objects, or an object of lists."""
    if isinstance(images, list):
        images = next((image for image in images if isinstance(image, dict)), None)
    if not isinstance(images, dict):
        return item.first(images)
    return next((found for found in (item.first(images.get(size)) for size in LARGE_FIRST) if found), None)


for _source in (Amazon2014, Amazon2018, Amazon2023):
    SOURCES.register(_source)(_source)
