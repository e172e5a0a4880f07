"""What every reader hands on: rows of raw fields, and which of a file's columns are read as what."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from anchorrec_graph.errors import DataError
from anchorrec_graph.text import printable

SHOWN = 20  # column names in a message
GATHERED = 32  # blocks made one


class Rows(NamedTuple):
    """n rows of text columns; null where a field is empty or absent."""

    frame: pl.DataFrame  # [n], all String
    number: NDArray[np.int64]  # [n] as in `Reject.row`
    text: Callable[[int], str]  # position 0..n-1 -> the row as it stands in the file


def gathered(small: Iterable[Rows]) -> Iterator[Rows]:
    """The same rows in fewer blocks: a frame costs as much as hundreds of rows."""
    held: list[Rows] = []
    for rows in small:
        held.append(rows)
        if len(held) == GATHERED:
            yield _joined(held)
            held = []
    if held:
        yield _joined(held)


def _joined(held: list[Rows]) -> Rows:
    starts = list(accumulate((len(rows.number) for rows in held), initial=0))

    def text(position: int) -> str:
        place = bisect_right(starts, position) - 1
        return held[place].text(position - starts[place])

    frame = pl.concat([rows.frame for rows in held])
    return Rows(frame, np.concatenate([rows.number for rows in held]), text)


class Records(NamedTuple):
    """n rows of raw values by column."""

    values: Sequence[Mapping[str, Any]]  # [n]
    number: NDArray[np.int64]
    text: Callable[[int], str]


class Fields(NamedTuple):
    """Which columns are wanted: our name -> the names that it may have in the file, the preferred first."""

    names: Mapping[str, tuple[str, ...]]
    optional: Collection[str] = ()  # ours, that a file may lack
    hint: str = "is this the right source? `table` reads any layout"

    def choose(self, path: Path, columns: Collection[str]) -> dict[str, str]:
        """Our name -> column of the file, without optional ones that are absent.

        Raises:
            DataError: a wanted column is absent.
        """
        chosen = {}
        for ours, names in self.names.items():
            found = [name for name in names if name in columns]
            if found:
                chosen[ours] = found[0]
            elif ours not in self.optional:
                raise DataError(
                    f"{path}: no column {_quoted(names)}; it has: {_listed(columns)}; {self.hint}"
                )
        return chosen


def _quoted(names: tuple[str, ...]) -> str:
    return " or ".join(f"'{printable(name)}'" for name in names)


def _listed(columns: Collection[str]) -> str:
    shown = ", ".join(printable(name[:60]) for name in list(columns)[:SHOWN])
    return (shown or "none") + (f" and {len(columns) - SHOWN} more" if len(columns) > SHOWN else "")
