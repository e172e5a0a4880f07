"""JSON lines as objects, and as rows of text fields."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from anchorrec_graph.errors import DataError
from anchorrec_graph.prepare.rejects import Rejects
from anchorrec_graph.prepare.sources.lines import CHUNK, Block, line_texts, read_blocks
from anchorrec_graph.prepare.sources.literal import literal_to_json
from anchorrec_graph.prepare.sources.rows import Fields, Records, Rows, gathered

SMALL = 1 << 18  # bytes of a block of rows
IDS = {"user_id", "item_id"}  # absent from the first objects, they are taken to be absent from all
ENOUGH = 100  # lines, none of which is an object, to tell that a file is something else


class Number(str):
    """A JSON number as it is written, so that an id `1.0` stays `1.0` and no number is too large."""

    __slots__ = ()


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


_decode = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=_refuse).decode


def json_records(path: Path, fields: Fields, rejects: Rejects, loose: bool = False) -> Iterator[Records]:
    """The objects of a file of one JSON object per line, block by block; numbers are `Number`.

    Empty lines are passed over; lines that are not an object are rejected. Of a key that an object has
    twice the last counts. With `loose`, Python's notation of the same values is read too (never run).

    Raises:
        DataError: the file cannot be read or is empty; none of its first lines is an object, or none of
            its first objects has the ids; none of all objects has another wanted field.
    """
    for taken in _blocks(path, fields, rejects, loose, list.append, CHUNK):
        yield Records(taken.values, taken.number, taken.text)


def json_rows(path: Path, fields: Fields, rejects: Rejects, loose: bool = False) -> Iterator[Rows]:
    """The wanted fields of JSON lines as text; rows where one is neither text nor a number are rejected.

    Where a field has several names, the first that is not null counts.

    Raises:
        DataError: see `json_records`.
    """
    return gathered(_small_rows(path, fields, rejects, loose))


def _small_rows(path: Path, fields: Fields, rejects: Rejects, loose: bool) -> Iterator[Rows]:
    """Rows of blocks that fit the processor's cache, in which Python's objects are twice as fast."""
    keys = [name for names in fields.names.values() for name in names]

    def take(values: list[Any], record: dict[str, Any]) -> None:
        values.extend([record.get(key) for key in keys])

    for taken in _blocks(path, fields, rejects, loose, take, SMALL):
        by_key = {key: taken.values[place :: len(keys)] for place, key in enumerate(keys)}
        columns = {
            ours: _first_given([by_key[name] for name in names]) for ours, names in fields.names.items()
        }
        faults: dict[int, str] = {}
        for ours, values in columns.items():
            faults = {**_not_text(ours, values), **faults}
        for position, reason in sorted(faults.items()):
            rejects.add(path, int(taken.number[position]), reason, taken.text(position))
        number, text = taken.number, taken.text
        if faults:
            good = [position for position in range(len(number)) if position not in faults]
            columns = {ours: [values[position] for position in good] for ours, values in columns.items()}
            number, text = number[good], _picked(text, good)
        frame = pl.DataFrame([pl.Series(ours, values, dtype=pl.String) for ours, values in columns.items()])
        yield Rows(frame, number, text)


class _Taken(NamedTuple):
    """What was taken of the n objects of a block."""

    values: list[Any]
    number: NDArray[np.int64]  # [n]
    text: Callable[[int], str]


# Adds what is wanted of an object to a list. Lists and dicts of many rows at once would keep Python's
# garbage collector busier than all else, so rows of text go into one flat list.
_Take = Callable[[list[Any], dict[str, Any]], None]


def _blocks(
    path: Path, fields: Fields, rejects: Rejects, loose: bool, take: _Take, chunk: int
) -> Iterator[_Taken]:
    unseen = [ours for ours in fields.names if ours not in fields.optional]
    shown: dict[str, Any] | None = None  # keys of the first objects
    lines = 0
    for block in read_blocks(path, rejects, chunk=chunk):
        taken = _objects(path, block, rejects, loose, take)
        lines += block.data.count(b"\n")
        if shown is None and not len(taken.number) and lines >= ENOUGH:
            break
        if not len(taken.number):
            continue
        if unseen:
            keys = dict.fromkeys(_objects(path, block, Rejects(), loose, list.extend).values)
            unseen = [ours for ours in unseen if not any(name in keys for name in fields.names[ours])]
        else:
            keys = {}
        shown = keys if shown is None else shown
        if IDS.intersection(unseen):
            break
        yield taken
    if shown is None:
        raise DataError(f"{path}: none of its first lines is a JSON object; are these JSON lines?")
    if unseen:
        fields._replace(names={ours: fields.names[ours] for ours in unseen}).choose(path, shown)


def _objects(path: Path, block: Block, rejects: Rejects, loose: bool, take: _Take) -> _Taken:
    values: list[Any] = []
    places: list[int] = []
    for place, line in enumerate(block.data.decode().split("\n")):
        if not line or line.isspace():
            continue
        try:
            value = _decode(line) if not loose else _parsed(line)
        except RecursionError:
            rejects.add(path, block.first + place, "nested too deeply", line)
            continue
        except ValueError:
            rejects.add(path, block.first + place, "not JSON", line)
            continue
        if isinstance(value, dict):
            take(values, value)
            places.append(place)
        else:
            rejects.add(path, block.first + place, "not an object", line)
    number = np.array(places, dtype=np.int64)
    return _Taken(values, number + block.first, _picked(line_texts(block.data), number))


def _parsed(line: str) -> Any:
    """A line of JSON or, failing that, of Python's notation."""
    try:
        plain = "\\" not in line and '"' not in line  # then every apostrophe begins or ends a text
        return _decode(line.replace("'", '"') if plain else line)
    except ValueError:
        return _decode(literal_to_json(line))


def _first_given(columns: list[Sequence[Any]]) -> Sequence[Any]:
    """The first value of each row that is not null."""
    first, *others = columns
    for other in others:
        if None in first:
            first = [b if a is None else a for a, b in zip(first, other, strict=True)]
    return first


def _not_text(ours: str, values: Sequence[Any]) -> Mapping[int, str]:
    """Positions of values that are no text, and the reason."""
    if set(map(type, values)) <= {str, Number, type(None)}:
        try:
            "".join(filter(None, values)).encode()
            return {}
        except UnicodeEncodeError:
            pass
    faults = {}
    for position, value in enumerate(values):
        if value is not None and not isinstance(value, str):
            faults[position] = f"{ours} is neither text nor a number"
        elif value and any("\ud800" <= letter <= "\udfff" for letter in value):
            faults[position] = f"{ours} holds half a surrogate pair"
    return faults


def _picked(text: Callable[[int], str], places: Sequence[int] | NDArray[np.int64]) -> Callable[[int], str]:
    """The texts at some places. It holds no rows: they would keep the memory of a block from being reused."""
    return lambda position: text(int(places[position]))
