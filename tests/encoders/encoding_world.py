"""A prepared folder of a few items, and encoders that count what they are asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from anchorrec_graph.encoders.base import TextEncoder, Unreadable
from anchorrec_graph.encoders.image import ImageEncoder, squashed


class Letters(TextEncoder):
    """Length, vowels and a constant of each text."""

    name: Literal["letters"] = "letters"
    scale: float = 1.0
    weights: str = "a"
    neutral: ClassVar[frozenset[str]] = frozenset({"weights"})
    calls: ClassVar[list[list[str]]] = []

    def load(self) -> None: ...

    def identity(self) -> str:
        return self.weights

    def encode(self, batch: Sequence[str]) -> NDArray[np.float32]:
        if any("unreadable" in text for text in batch):
            raise Unreadable("says so")
        self.calls.append(list(batch))
        return np.array([self.row(text) for text in batch], dtype=np.float32)

    def row(self, text: str) -> list[float]:
        return [len(text) * self.scale, sum(text.count(vowel) for vowel in "aeiou"), 1]


class Colours(ImageEncoder):
    """The mean of each channel."""

    name: Literal["colours"] = "colours"

    def load(self) -> None: ...

    def identity(self) -> str:
        return ""

    def prepare(self, picture: Any) -> NDArray[np.uint8]:
        return squashed(picture, 4)

    def encode(self, batch: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        return np.asarray(np.stack(batch).mean(axis=(1, 2)), dtype=np.float32)


def write_items(folder: Path, **columns: Any) -> pl.DataFrame:
    """The parts of a prepared folder that features need."""
    items = pl.DataFrame(columns)
    folder.mkdir(exist_ok=True)
    items.write_parquet(folder / "items.parquet")
    counts = {"users": 1, "items": len(items), "interactions": 1}
    (folder / "manifest.json").write_text(json.dumps({"format": 1, "counts": counts, "files": {}}))
    return items


def stored_rows(folder: Path, modality: str) -> NDArray[np.float64]:
    rows = np.load(folder / "features" / f"{modality}.npy", allow_pickle=False)
    return rows.astype(np.float64)  # type: ignore[no-any-return]
