"""Tiny runs on items whose titles try to break out of a page, and a reader of pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest
from tiny_runs import tiny_config

from anchorrec_graph.data import planted
from anchorrec_graph.train.fit import fit

HOSTILE = "<script>alert(1)</script>\"'&$x_{2$ 電影"
VOID = {"meta", "img", "link", "br", "input"}


class Runs(NamedTuple):
    anchorrec: Path
    lightgcn: Path
    popularity: Path


@contextmanager
def hostile_shop() -> Iterator[None]:
    """While it lasts, every planted item has a title that would break a careless page."""
    made = planted._items_table

    def table(truth: planted.PlantedTruth) -> pl.DataFrame:
        return made(truth).with_columns(title=HOSTILE + pl.col("title"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planted, "_items_table", table)
        yield


def train(folder: Path, *overrides: str) -> Path:
    folder.mkdir(parents=True)
    config = tiny_config(folder, "train.epochs=2", *overrides)
    return fit(config, config.dataset.load(), folder / "run").folder


class Page(HTMLParser):
    """Every element with its attributes; fails on tags that are not closed in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, text: str) -> None:
        self.text += text

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]
