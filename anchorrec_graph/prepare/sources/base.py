"""`Source`: the extension point for raw formats."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl
from pydantic import Field

from anchorrec_graph.prepare.rejects import Rejects
from anchorrec_graph.registry import Registry
from anchorrec_graph.settings import Settings

INTERACTION_COLUMNS = {
    "user_id": pl.String,
    "item_id": pl.String,
    "rating": pl.Float64,  # null where the row has none
    "timestamp": pl.Int64,  # unix seconds, null where the row has none
}
LABEL = {"label": pl.Int8}  # a source's own split: 0 train, 1 validation, 2 test, null where the row has none
ITEM_COLUMNS = {
    "item_id": pl.String,
    "title": pl.String,
    "description": pl.String,
    "brand": pl.String,
    "categories": pl.List(pl.String),
    "price": pl.Float64,
    "image": pl.String,  # path or URL
}
BLOCK = 200_000  # rows of a frame that a source yields


class Source(Settings, ABC):
    """A raw format. A subclass adds a `name` literal and its files, and yields frames in file order.

    Malformed rows go to `rejects` and are left out; a file that cannot be read at all raises. What a
    source yields is neither filtered nor deduplicated: `prepare` does that.
    """

    name: str

    @abstractmethod
    def interaction_files(self) -> tuple[Path, ...]:
        """The files of interactions, in the order in which they are read."""

    @abstractmethod
    def read_interactions(self, path: Path, rejects: Rejects) -> Iterator[pl.DataFrame]:
        """Frames of at most `BLOCK` rows with the columns of INTERACTION_COLUMNS and, optionally, LABEL.

        Labels are kept if all rows of all files have one; if only some have, `prepare` refuses them.

        Raises:
            DataError: the file is missing, truncated, wrongly encoded, or lacks a column.
        """

    @abstractmethod
    def item_files(self) -> tuple[Path, ...]:
        """The files of item metadata, if there are any."""

    @abstractmethod
    def read_items(self, path: Path, rejects: Rejects) -> Iterator[pl.DataFrame]:
        """Frames with `item_id`, those of ITEM_COLUMNS that the format has, and any columns beside them.

        Raises:
            DataError: the file is missing, truncated, wrongly encoded, or lacks a column.
        """

    def feature_files(self) -> Mapping[str, Path]:
        """Modality -> `.npy` of rows in the order of the item files, where the format brings features."""
        return {}


class ListedFiles(Source, ABC):
    """A source whose files are named one by one."""

    files: tuple[Path, ...] = Field(min_length=1)  # of interactions
    items: tuple[Path, ...] = ()  # of metadata

    def interaction_files(self) -> tuple[Path, ...]:
        return self.files

    def item_files(self) -> tuple[Path, ...]:
        return self.items


SOURCES: Registry[type[Source]] = Registry("source")
