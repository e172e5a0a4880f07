"""Encoders that workers import by the name of this module."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from anchorrec_graph.encoders.base import FileEncoder, TextEncoder, Unreadable
from anchorrec_graph.errors import ConfigError


class Letters(TextEncoder):
    """Length, vowels and a constant of each text."""

    name: Literal["letters"] = "letters"
    packages: ClassVar[tuple[str, ...]] = ("torch",)

    def load(self) -> None: ...

    def identity(self) -> str:
        return "a"

    def encode(self, batch: Sequence[str]) -> NDArray[np.float32]:
        if any("unreadable" in text for text in batch):
            raise Unreadable("says so")
        rows = [[len(text), sum(text.count(vowel) for vowel in "aeiou"), 1] for text in batch]
        return np.array(rows, dtype=np.float32)


class Other(Letters):
    """Whose weights are not the same in any two processes."""

    def identity(self) -> str:
        return str(os.getpid())


class Absent(Letters):
    """Whose model lies in one process alone."""

    def load(self) -> None:
        raise ConfigError("no such model")


class Loud(Letters):
    """Short texts come last and have rows that do not fit float16."""

    def encode(self, batch: Sequence[str]) -> NDArray[np.float32]:
        rows = super().encode(batch)
        rows[:, 2] = [1e6 if text == "fire" else 1 for text in batch]
        return rows


class Buggy(Letters):
    def encode(self, batch: Sequence[str]) -> NDArray[np.float32]:
        raise KeyError("a bug")


class Content(FileEncoder):
    """Length and first byte of each file, and whether its name is the one that it had."""

    name: Literal["content"] = "content"

    def load(self) -> None: ...

    def identity(self) -> str:
        return ""

    def check(self, source: Path) -> None: ...

    def read(self, source: Path) -> Path:
        if not source.read_bytes():
            raise Unreadable("empty file")
        return source

    def encode(self, batch: Sequence[Path]) -> NDArray[np.float32]:
        rows = [[len(p.read_bytes()), p.read_bytes()[0], p.name.endswith(".sound")] for p in batch]
        return np.array(rows, dtype=np.float32)
