"""Rows that could not be read: counted by file and reason, and the first few of each kept to look at."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

SAMPLES, WIDTH = 20, 500  # rows kept of each file and reason, and characters kept of each


class Reject(NamedTuple):
    """One malformed row."""

    file: str
    row: int  # 1 is the first row after the header, or the first line of a file without one
    reason: str
    text: str  # its beginning


class Rejects:
    """Collects the malformed rows of a run. `reason` is one of few short texts, without the row's content."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()  # (file, reason) -> rows
        self.samples: list[Reject] = []

    def add(self, path: Path, row: int, reason: str, text: str) -> None:
        """Count a row, and keep it if few of its kind are kept."""
        key = (str(path), reason)
        self.counts[key] += 1
        if self.counts[key] <= SAMPLES:
            self.samples.append(Reject(str(path), row, reason, text[:WIDTH]))

    @property
    def total(self) -> int:
        """Rows rejected so far."""
        return self.counts.total()
