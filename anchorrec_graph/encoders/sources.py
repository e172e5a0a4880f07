"""What is encoded for each item: a text made from columns, or a file found in a folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from anchorrec_graph.data.prepared import ITEMS, read_manifest
from anchorrec_graph.errors import ConfigError, DataError
from anchorrec_graph.settings import check_names
from anchorrec_graph.text import first_line

LEAVES = "leaves the folder"
TEXT_COLUMNS = ("title", "brand", "categories", "description")


class Sources(NamedTuple):
    """One text or path per item, None where there is none, and why."""

    values: list[Any]
    missing: dict[int, str]  # row -> reason, for every None
    recipe: dict[str, Any]  # how they were made, for the sidecar


def read_items(folder: Path) -> pl.DataFrame:
    """The item table of a prepared folder.

    Raises:
        DataError: no prepared folder, or the table is damaged.
    """
    read_manifest(folder)
    path = folder / ITEMS
    try:
        items = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = first_line(error)
        raise DataError(f"{path}: no whole Parquet file ({reason}); prepare the data again") from error
    if items.schema.get("item_id") != pl.String or items["item_id"].null_count() or not len(items):
        raise DataError(
            f"{path}: needs rows and a text column 'item_id' without gaps; prepare the data again"
        )
    return items


def texts(items: pl.DataFrame, columns: Sequence[str] | None) -> Sources:
    """The stripped values of columns joined by spaces, in that order; empty ones are left out.

    Lists are joined by spaces first. Without `columns`, those of TEXT_COLUMNS that the table has.

    Raises:
        ConfigError: a column that the table lacks, or that is no text, list of texts or number.
    """
    chosen = [name for name in TEXT_COLUMNS if name in items.columns] if columns is None else list(columns)
    if not chosen:
        raise ConfigError(f"--columns: none given, and {ITEMS} has none of {', '.join(TEXT_COLUMNS)}")
    parts = [_as_text(items, name) for name in chosen]
    joined = items.select(text=pl.concat_str(parts, separator=" ", ignore_nulls=True))["text"].to_list()
    values = [text or None for text in joined]
    missing = {row: "empty text" for row, text in enumerate(values) if text is None}
    return Sources(values, missing, {"columns": chosen, "joined": "stripped, without empty ones, by a space"})


def _as_text(items: pl.DataFrame, name: str) -> pl.Expr:
    check_names("--columns", "column", [name], items.columns)
    dtype, column = items.schema[name], pl.col(name)
    if dtype == pl.List(pl.String):
        stripped = column.list.eval(pl.element().str.strip_chars())
        text = stripped.list.eval(pl.element().filter(pl.element() != "")).list.join(" ", ignore_nulls=True)
    elif dtype == pl.String or dtype.is_numeric():
        text = column.cast(pl.String).str.strip_chars()
    else:
        raise ConfigError(
            f"--columns: '{name}' is {dtype}, not text, a list of texts or a number; leave it out"
        )
    return pl.when(text != "").then(text)


def files(items: pl.DataFrame, folder: Path, column: str | None, suffixes: frozenset[str] | None) -> Sources:
    """The file of each item: `<item_id>.<suffix>` in the folder, or the path in a column, relative to it.

    A URL is not fetched: the item counts as missing.

    Raises:
        ConfigError: no such folder or column.
        DataError: two files for one item, or a path that leaves the folder.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder; give the one that holds the files")
    root = folder.resolve()
    found = _named(items, folder, suffixes) if column is None else _listed(items, folder, column)
    missing: dict[int, str] = {}
    values: list[Path | None] = []
    for row, entry in enumerate(found):
        reason = entry if isinstance(entry, str) else _absent(entry, root)
        if reason == LEAVES:
            raise DataError(
                f"{entry}: item '{items['item_id'][row]}' {LEAVES} {folder}; copy the file into it"
            )
        if reason is not None:
            missing[row] = reason
        values.append(entry if isinstance(entry, Path) and reason is None else None)
    recipe = {"files": str(folder), "column": column, "named": "item_id" if column is None else "by column"}
    return Sources(values, missing, recipe)


def _absent(path: Path, root: Path) -> str | None:
    """Why a path is of no use: None if it is a file or anything else that is there."""
    try:
        if not path.resolve().is_relative_to(root):
            return LEAVES
        return None if path.exists() else "no file"
    except (OSError, RuntimeError, ValueError):  # a name too long, links in a circle, a NUL
        return "no file"


def _named(items: pl.DataFrame, folder: Path, suffixes: frozenset[str] | None) -> list[Path | str]:
    """By listing the folder: an id never becomes part of a path."""
    by_stem: dict[str, str] = {}
    wanted = set(items["item_id"])
    with os.scandir(folder) as entries:
        for name in sorted(entry.name for entry in entries):
            stem, suffix = os.path.splitext(name)
            if stem not in wanted or (suffixes is not None and suffix.lower() not in suffixes):
                continue
            if stem in by_stem:
                raise DataError(f"{folder / name}: item '{stem}' also has {by_stem[stem]}; keep one of them")
            by_stem[stem] = name
    return [folder / by_stem[item] if item in by_stem else "no file" for item in items["item_id"]]


def _listed(items: pl.DataFrame, folder: Path, column: str) -> list[Path | str]:
    check_names("--columns", "column", [column], items.columns)
    if items.schema[column] != pl.String:
        raise ConfigError(f"--columns: '{column}' is {items.schema[column]}, not text; it must hold paths")
    return [_path(folder, value) for value in items[column]]


def _path(folder: Path, value: str | None) -> Path | str:
    if not value or not value.strip():
        return "no path"
    if "://" in value or value.startswith("data:"):
        return "URL, not fetched"
    return folder / value
