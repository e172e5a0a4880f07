"""The sections as one HTML file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

from anchorrec_graph.compare.layout import Grid
from anchorrec_graph.report.blocks import Block, Section

if TYPE_CHECKING:
    from jinja2 import Template
    from matplotlib.figure import Figure


WIDE = 9.0  # inches; paper has seven between its margins
NUMBER = re.compile(r"[-+\[(]?\d[\d.,]*( |$|%)")


def render(title: str, intro: str, sections: Sequence[Section], figures: dict[str, str]) -> str:
    """The page. Every text is escaped: titles and labels come from data.

    Args:
        figures: name of a figure -> its HTML (`figures.embed`).
    """
    from markupsafe import Markup

    marked = {name: Markup(html) for name, html in figures.items()}
    return _template().render(title=title, intro=intro, sections=sections, figures=marked).lstrip()


def is_text(grid: Grid, column: int) -> bool:
    """Whether a column holds words: those are set left, and numbers right."""
    cells = [row[column].text for row in grid.rows]
    return any(cell and cell != "-" and not NUMBER.match(cell) for cell in cells)


def is_wide(figure: Figure) -> bool:
    """Whether upright paper would make small print of a figure that fills a page set across."""
    width, height = figure.get_size_inches()
    return bool(width > WIDE and height > width / 2)


def kind_of(block: Block) -> str:
    return type(block).__name__


def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    text = (files("anchorrec_graph.report") / "page.html").read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    helpers = {"is_text": is_text, "is_wide": is_wide, "kind_of": kind_of}
    return environment.from_string(text, globals=helpers)
