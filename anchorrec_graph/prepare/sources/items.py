"""Metadata of items: raw values as the text, lists, prices and images of ITEM_COLUMNS."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from anchorrec_graph.errors import DataError
from anchorrec_graph.prepare.rejects import Rejects
from anchorrec_graph.prepare.sources.base import BLOCK, ITEM_COLUMNS
from anchorrec_graph.prepare.sources.interactions import BLANKS
from anchorrec_graph.prepare.sources.json_rows import Number
from anchorrec_graph.prepare.sources.rows import Records, Rows

MOST_COLUMNS = 256  # beside those of ITEM_COLUMNS
_PRICE = re.compile(r"[$€£]?\s*([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)?(\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")

Item = Mapping[str, Any]  # a value for every column of an item


class Unfit(ValueError):
    """A value that cannot be read; the message is the reason of the reject."""


def item_frames(
    records: Iterable[Records],
    path: Path,
    rejects: Rejects,
    convert: Callable[[Mapping[str, Any]], Item],
    extra: Mapping[str, Any] | None = None,
) -> Iterator[pl.DataFrame]:
    """Frames of converted records. Columns beside ITEM_COLUMNS have the dtypes of `extra`, else String.

    Raises:
        DataError: more than MOST_COLUMNS columns.
    """
    for block in records:
        items: list[Item] = []
        for position, value in enumerate(block.values):
            try:
                items.append(convert(value))
            except Unfit as error:
                rejects.add(path, int(block.number[position]), str(error), block.text(position))
        names = dict.fromkeys(name for item in items for name in item)
        if len(names) > MOST_COLUMNS + len(ITEM_COLUMNS):
            raise DataError(
                f"{path}: more than {MOST_COLUMNS} different fields; leave out what is not needed"
            )
        dtypes = {**dict.fromkeys(names, pl.String), **(extra or {}), **ITEM_COLUMNS}
        frame = pl.DataFrame(
            [pl.Series(name, [item.get(name) for item in items], dtype=dtypes[name]) for name in names]
        )
        yield from frame.iter_slices(BLOCK)


def as_records(rows: Iterable[Rows]) -> Iterator[Records]:
    """Rows of a table for `item_frames`."""
    for block in rows:
        yield Records(block.frame.to_dicts(), block.number, block.text)


def item_id(value: Any) -> str:
    """An id, without blanks around it.

    Raises:
        Unfit: it is missing, empty, not text or number, or holds a NUL or half a surrogate pair.
    """
    if value is not None and not isinstance(value, str):
        raise Unfit("item_id is neither text nor a number")
    text = str(value or "").strip(BLANKS)
    if not text:
        raise Unfit("no item_id")
    if "\0" in text:
        raise Unfit("item_id holds a NUL")
    if whole(text) != text:
        raise Unfit("item_id holds half a surrogate pair")
    return text


def whole(text: str) -> str:
    """Text that UTF-8 can hold: halves of surrogate pairs are joined, or become U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def words(value: Any, what: str) -> str | None:
    """Text, or a list of texts joined by blanks; None where there is none."""
    parts = [part for part in labels(value, what) or () if part]
    return " ".join(parts) or None


def labels(value: Any, what: str, separator: str | None = None) -> list[str] | None:
    """A list of texts, each once, in order; lists of lists are joined. Text is cut at `separator`.

    Raises:
        Unfit: something else is in it.
    """
    if value is None:
        return None
    entries = value if isinstance(value, list) else [value]
    flat = [part for entry in entries for part in (entry if isinstance(entry, list) else [entry])]
    texts = []
    for part in flat:
        if part is not None and not isinstance(part, str):
            raise Unfit(f"{what} is neither text nor a list of texts")
        if part:
            text = whole(str(part))
            texts += text.split(separator) if separator else [text]
    return list(dict.fromkeys(text for text in (text.strip(BLANKS) for text in texts) if text))


def price(value: Any) -> float | None:
    """A price such as 12.99, "$12.99" or "$1,299"; None for whatever is not one price (ranges, words)."""
    match = _PRICE.fullmatch(value.strip(BLANKS)) if isinstance(value, str) else None
    if match is None or not (match[1] or match[2]):
        return None
    number = float(match[0].lstrip("$€£").replace(",", ""))
    return number if math.isfinite(number) else None


def first(value: Any) -> str | None:
    """Text, or the first text of a list."""
    texts = [part for part in (value if isinstance(value, list) else [value]) if isinstance(part, str)]
    return next((whole(str(text)).strip(BLANKS) or None for text in texts), None)


def converted(column: str, value: Any, separator: str | None = None) -> Any:
    """A raw value as a column of ITEM_COLUMNS.

    Raises:
        Unfit: it cannot be read as that.
    """
    value = _plain(value)
    if column == "item_id":
        return item_id(value)
    if column == "categories":
        return labels(value, column, separator)
    if column == "price":
        return price(value)
    return first(value) if column == "image" else words(value, column)


def kept(value: Any) -> str | None:
    """Any other value as text: a list or object as JSON, the numbers in it as text.

    Raises:
        Unfit: it is nested too deeply.
    """
    if isinstance(value, list | dict | bool):
        try:
            return whole(json.dumps(value, ensure_ascii=False, default=str))
        except RecursionError as error:
            raise Unfit("nested too deeply") from error
    return whole(str(value)) or None if value is not None else None


def _plain(value: Any) -> Any:
    """Python's numbers as `Number`, so that values of typed files are read like those of text files."""
    if isinstance(value, list):
        return [Number(part) if type(part) in (int, float) else part for part in value]
    return Number(value) if type(value) in (int, float) else value
