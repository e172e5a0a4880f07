"""What a page is made of: sections of paragraphs, commands, tables, figures and examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from anchorrec_graph.compare.layout import Grid, Text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Paragraph(NamedTuple):
    text: str


class Code(NamedTuple):
    """A command or file, shown as it is."""

    text: str


class TableBlock(NamedTuple):
    """A grid below a caption; the first column names the rows."""

    caption: str
    grid: Grid


class FigureBlock(NamedTuple):
    """A figure, the file name that it gets, and what it shows for those who cannot see it."""

    name: str
    figure: Figure
    alt: str
    caption: str


class Picture(NamedTuple):
    """An item of an example: its title, and its image as a data URI where there is one."""

    title: str
    image: str | None
    note: str


class Gallery(NamedTuple):
    """Items beside each other."""

    caption: str
    pictures: list[Picture]


class Heading(NamedTuple):
    """The title of a part of a section."""

    text: str


Block = Paragraph | Code | TableBlock | FigureBlock | Gallery | Heading


class Section(NamedTuple):
    """A chapter of the page; `name` is its anchor."""

    name: str
    title: str
    blocks: list[Block]


def table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> TableBlock:
    """A table of plain texts."""
    return TableBlock(caption, Grid(list(columns), [[Text(cell) for cell in row] for row in rows]))
