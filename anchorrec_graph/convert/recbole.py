"""RecBole's format: atomic files, whose columns are `field:kind` and separated by tabs.

RecBole reads them with pandas, to which a double quote at the start of a value opens a quotation and a text
such as `NA` is missing. Ids of either kind are refused. Other values that begin with a quote get a space
before it, which `anchorrec prepare` takes off; those that read as missing stay as they are.
"""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl

from anchorrec_graph.convert.shop import Shop, Written, write_float32
from anchorrec_graph.errors import DataError
from anchorrec_graph.files import replacing
from anchorrec_graph.prepare.sources.recbole import PARTS
from anchorrec_graph.text import printable

MISSING = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A",
    "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
]  # fmt: skip  # what pandas takes for a missing value
BREAKS = "[\t\n\r\0]"
BLANK = r"[\s\x1c-\x1f]"  # where Python's split cuts: to polars alone \s is less
BAD_ID = r'[\t\n\r\x00]|^[ \x0b\x0c]|[ \x0b\x0c]$|^"'
FIELD = r'[^\s:"\0]([^:"\t\n\r\0]*[^\s:"\0])?'  # names that every reader takes alike
SEQUENCES = ("title", "description")  # texts of words


def write_recbole(shop: Shop, folder: Path) -> Written:
    """Write <name>/ into `folder`, which RecBole reads with `data_path` and `dataset`.

    <name>.inter    user_id:token, item_id:token and, if known, rating:float, timestamp:float
    <name>.train.inter, <name>.valid.inter, <name>.test.inter    the same rows by their labels, if stored
    <name>.item     item_id:token and metadata, items in order
    <modality>.npy  float32, row i for the i-th line of <name>.item

    Raises:
        DataError: an id that the format cannot hold.
    """
    ids = {"user": shop.users, "item": shop.items["item_id"]}
    for kind, values in ids.items():
        _check_ids(kind, values)
    place, rows = folder / shop.name, shop.rows
    columns = [ids[kind].gather(rows[kind]).alias(f"{kind}_id:token") for kind in ids]
    columns += [rows[name].alias(f"{name}:float") for name in ("rating", "timestamp") if name in rows.columns]
    table = pl.DataFrame(columns)
    _write(table, place / f"{shop.name}.inter")
    has_split = "label" in rows.columns
    for label, part in enumerate(PARTS if has_split else ()):
        _write(table.filter(rows["label"] == label), place / f"{shop.name}.{part}.inter")
    items, notes = _items(shop.items)
    _write(items, place / f"{shop.name}.item")
    for modality, matrix in shop.features.items():
        write_float32(matrix, place / f"{modality}.npy")
    without = rows["rating"].null_count() if "rating" in rows.columns else 0
    if without:
        notes.append(f"rating: empty in {without} of {len(rows)} rows, where RecBole takes the mean")
    return Written(_use(shop.name, has_split), notes)


def _check_ids(kind: str, ids: pl.Series) -> None:
    bad = ids.filter(ids.str.contains(BAD_ID) | ids.is_in(MISSING))
    if len(bad):
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise DataError(
            f"the {kind} id '{printable(bad[0])}'{more} cannot stand in RecBole's files: it holds a tab or "
            "line break, has blanks around it, begins with a double quote, or means missing; rename it"
        )


def _items(items: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """The item table with `field:kind` columns, and notes on what was changed or left out."""
    columns = [items["item_id"].alias("item_id:token")]
    notes = []
    for column in items.drop("item_id"):
        kind = _kind(column)
        if kind is None or not re.fullmatch(FIELD, column.name):
            notes.append(f"items: column '{printable(column.name)}' left out, as no field:kind can hold it")
            continue
        text = _one_text(column, notes) if column.dtype == pl.List else column.cast(pl.String)
        columns.append(_one_line(text, notes).alias(f"{column.name}:{kind}"))
    return pl.DataFrame(columns), notes


def _kind(column: pl.Series) -> str | None:
    dtype = column.dtype
    inner = dtype.inner if isinstance(dtype, pl.List) else dtype
    base = "float" if inner.is_numeric() else "token" if inner in (pl.String, pl.Boolean) else None
    if base is None:
        return None
    return f"{base}_seq" if inner is not dtype or column.name in SEQUENCES else base


def _one_text(column: pl.Series, notes: list[str]) -> pl.Series:
    """Lists as texts separated by spaces; spaces in their entries become underscores."""
    entries = column.cast(pl.List(pl.String))
    joined = entries.list.eval(pl.element().str.replace_all(f"{BLANK}+", "_")).list.drop_nulls()
    changed = entries.explode().str.contains(BLANK).sum()
    if changed:
        notes.append(f"items: column '{column.name}': spaces in {changed} entries became _")
    return joined.list.join(" ")


def _one_line(text: pl.Series, notes: list[str]) -> pl.Series:
    changed = text.str.contains(BREAKS).sum()
    if changed:
        notes.append(f"items: column '{text.name}': tabs or line breaks in {changed} values became spaces")
        text = text.str.replace_all(BREAKS, " ")
    return text.str.replace('^"', ' "')


def _write(table: pl.DataFrame, path: Path) -> None:
    with replacing(path) as temporary:
        table.write_csv(temporary, separator="\t", quote_style="never")


def _use(name: str, has_split: bool) -> str:
    split = f"benchmark_filename: [{', '.join(PARTS)}]\n" if has_split else ""
    return (
        f"For RecBole:\ndata_path: THIS FOLDER\ndataset: {name}\n{split}"
        f"Row i of {name}/<modality>.npy (numpy.load) is the i-th item of {name}/{name}.item, from 0;\n"
        "RecBole numbers items anew: dataset.token2id('item_id', id) is the number of an item_id.\n"
        f"Back: anchorrec prepare recbole THIS FOLDER/{name} --out OUT -o keep_items=true\n"
    )
