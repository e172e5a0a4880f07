"""Delimited text as rows of text fields.

A block without quotes goes through polars after its rows' fields were counted; one with quotes through
the csv module, which is as exact and a few times slower. Both give the same rows.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from anchorrec_graph.errors import DataError
from anchorrec_graph.prepare.rejects import Rejects
from anchorrec_graph.prepare.sources.lines import Block, line_texts, read_blocks
from anchorrec_graph.prepare.sources.quoted import parse_quoted
from anchorrec_graph.prepare.sources.rows import Rows
from anchorrec_graph.text import printable

DOUBLE_COLON = "\x1f"  # stands for `::` while a block is read


class Dialect(NamedTuple):
    """How a table is written."""

    separator: str  # one character, or `::`
    quoted: bool = True  # fields may stand in double quotes, and then hold separators and line ends
    columns: tuple[str, ...] | None = None  # None: they are in the first line
    legacy: bool = False  # latin-1 where it is not UTF-8


CSV, TSV = Dialect(","), Dialect("\t", quoted=False)

Choose = Callable[[tuple[str, ...]], Mapping[str, str]]  # columns of the file -> our name -> column


class _Layout(NamedTuple):
    path: Path
    dialect: Dialect
    separator: str
    width: int
    picked: Mapping[str, int]  # our name -> place of the field
    header: int  # lines before the first row
    rejects: Rejects


def csv_rows(path: Path, dialect: Dialect, choose: Choose, rejects: Rejects) -> Iterator[Rows]:
    """The chosen columns of a table, block by block.

    Empty lines are passed over. A row with more or fewer fields than columns, or with quotes that are not
    closed, is rejected. `row` counts lines after the header.

    Raises:
        DataError: the file cannot be read or is empty, or a column occurs twice.
    """
    header = int(dialect.columns is None)
    layout, carry = None, Block(1, b"")
    for block, last in _with_last(read_blocks(path, rejects, header, dialect.legacy)):
        if dialect.separator == "::":
            block = block._replace(data=block.data.replace(b"::", DOUBLE_COLON.encode()))
        if layout is None:
            layout, block = _layout(path, dialect, choose, rejects, block)
        if carry.data and carry.first + carry.data.count(b"\n") != block.first:  # a line between was too long
            rows, carry = _quoted(carry, layout, last=True)
            if len(rows.frame):
                yield rows
        if carry.data:
            block = Block(carry.first, carry.data + block.data)
        if dialect.quoted and (b'"' in block.data or b"\r" in block.data):
            rows, carry = _quoted(block, layout, last)
        else:
            rows, carry = _plain(block, layout), Block(1, b"")
        if len(rows.frame):
            yield rows


def _with_last(blocks: Iterator[Block]) -> Iterator[tuple[Block, bool]]:
    held = next(blocks, None)
    while held is not None:
        coming = next(blocks, None)
        yield held, coming is None
        held = coming


def _layout(
    path: Path, dialect: Dialect, choose: Choose, rejects: Rejects, block: Block
) -> tuple[_Layout, Block]:
    """Read the header, if there is one, off the first block."""
    separator = DOUBLE_COLON if dialect.separator == "::" else dialect.separator
    columns = dialect.columns
    if columns is None:
        line, _, rest = block.data.partition(b"\n")
        columns = _header(path, line.decode(), separator, dialect.quoted)
        block = Block(2, rest)
    place = {column: number for number, column in enumerate(columns)}
    picked = {ours: place[column] for ours, column in choose(columns).items()}
    return _Layout(path, dialect, separator, len(columns), picked, int(block.first == 2), rejects), block


def _header(path: Path, line: str, separator: str, quoted: bool) -> tuple[str, ...]:
    fields = line.split(separator)
    if quoted:
        try:
            fields = next(csv.reader([line], delimiter=separator, strict=True), [""])
        except csv.Error as error:
            raise DataError(f"{path}: the header line has misplaced quotes ({error}); correct it") from error
    columns = tuple(field.strip() for field in fields)
    seen: set[str] = set()
    for column in columns:
        if column in seen:
            raise DataError(f"{path}: the column '{printable(column[:60])}' occurs twice; keep one")
        seen.add(column)
    return columns


def _plain(block: Block, layout: _Layout) -> Rows:
    """Rows without quotes: a row is a line, a field what stands between separators."""
    data = block.data
    codes = np.frombuffer(data, dtype=np.uint8)
    ends = np.flatnonzero(codes == ord("\n"))
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    places = np.flatnonzero(codes == ord(layout.separator))
    fields = np.diff(np.searchsorted(places, ends), prepend=0) + 1
    filled = ends > starts
    good = np.flatnonzero(filled & (fields == layout.width))

    shown = line_texts(data)

    def text(position: int) -> str:
        return _shown(shown(position), layout)

    first = block.first - layout.header
    for position in np.flatnonzero(filled & (fields != layout.width)).tolist():
        reason = "too many fields" if fields[position] > layout.width else "too few fields"
        layout.rejects.add(layout.path, first + position, reason, text(position))
    if len(good) < len(ends):
        kept = zip(starts[good].tolist(), (ends[good] + 1).tolist(), strict=True)
        data_read = b"".join([data[start:end] for start, end in kept])
    else:
        data_read = data
    frame = _split(data_read, layout)
    return Rows(frame, good + first, lambda row: text(int(good[row])))


def _split(data: bytes, layout: _Layout) -> pl.DataFrame:
    """Lines that all have the table's number of fields, as its chosen columns; empty fields are null."""
    places = sorted(set(layout.picked.values()))
    if not data:
        return pl.DataFrame(schema=dict.fromkeys(layout.picked, pl.String))
    # a header of our own: polars skips blanks and byte order marks at the start
    header = layout.separator.join(f"c{place}" for place in range(layout.width)) + "\n"
    frame = pl.read_csv(
        header.encode() + data,
        separator=layout.separator,
        quote_char=None,
        infer_schema=False,
        columns=[f"c{place}" for place in places],
    )
    return pl.DataFrame([frame[f"c{place}"].alias(ours) for ours, place in layout.picked.items()])


def _quoted(block: Block, layout: _Layout, last: bool) -> tuple[Rows, Block]:
    """Rows with quotes, and the lines of a row that goes on in the next block."""
    lines = list(io.StringIO(block.data.decode(), newline="\n"))
    parsed = parse_quoted(lines, layout.separator, layout.width, last)
    first = block.first - layout.header
    for position, reason in parsed.faults:
        layout.rejects.add(layout.path, first + position, reason, _shown(lines[position], layout))
    frame = pl.DataFrame(
        [
            pl.Series(
                ours, [field or None for field in parsed.fields[place :: layout.width]], dtype=pl.String
            )
            for ours, place in layout.picked.items()
        ]
    )
    numbers = np.array(parsed.starts, dtype=np.int64) + first
    carry = Block(block.first + parsed.used, "".join(lines[parsed.used :]).encode())
    return Rows(frame, numbers, lambda row: _shown(lines[parsed.starts[row]], layout)), carry


def _shown(line: str, layout: _Layout) -> str:
    """A row as it stands in the file."""
    return line.rstrip("\n").replace(layout.separator, layout.dialect.separator)
