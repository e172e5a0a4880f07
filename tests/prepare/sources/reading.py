"""Read a whole source, for the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from anchorrec_graph.prepare.rejects import Rejects
from anchorrec_graph.prepare.sources import SOURCES
from anchorrec_graph.prepare.sources.base import INTERACTION_COLUMNS


class Read(NamedTuple):
    interactions: list[tuple[Any, ...]]  # user, item, rating, time
    labels: list[int | None]  # none at all where the source has none
    items: list[dict[str, Any]]
    rejects: list[tuple[str, int, str]]  # file name, row, reason


def read(**settings: Any) -> Read:
    """Interactions, items and rejects of a source."""
    source, rejects = SOURCES.parse(settings), Rejects()
    frames = [
        frame for path in source.interaction_files() for frame in source.read_interactions(path, rejects)
    ]
    rows = [row for frame in frames for row in frame.select(list(INTERACTION_COLUMNS)).iter_rows()]
    labels = [label for frame in frames if "label" in frame for label in frame["label"]]
    items = [
        item
        for path in source.item_files()
        for frame in source.read_items(path, rejects)
        for item in frame.to_dicts()
    ]
    samples = [(Path(reject.file).name, reject.row, reject.reason) for reject in rejects.samples]
    return Read(rows, labels, items, samples)


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def frame_of(columns: dict[str, list[str | None]]) -> pl.DataFrame:
    return pl.DataFrame({name: pl.Series(values, dtype=pl.String) for name, values in columns.items()})
