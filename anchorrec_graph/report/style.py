"""How figures look: colours that colour-blind people tell apart, each with its own marker and line."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

from anchorrec_graph.graph.drawing import PALETTE

Line = Literal["-", "--", "-.", ":"]
MARKERS = ("o", "s", "^", "D", "v", "P")
LINES: tuple[Line, ...] = ("-", "--", "-.", ":")
HATCHES = ("", "///", "...", "\\\\\\", "xxx", "---")
GREY = "#767676"
FONT = 9.0


class Style(NamedTuple):
    color: str
    marker: str
    line: Line
    hatch: str


def series_style(index: int) -> Style:
    """The look of the `index`-th series. After 24 the looks are used again."""
    turn, place = divmod(index, len(PALETTE))
    line = LINES[(turn + place) % len(LINES)]
    return Style(PALETTE[place], MARKERS[(place + turn) % len(MARKERS)], line, HATCHES[place])


def line_style(index: int) -> Line:
    """The line of the `index`-th of a few series that share a colour."""
    return LINES[index % len(LINES)]


@contextmanager
def page_style() -> Iterator[None]:
    """Settings of matplotlib within which the figures of a page are made."""
    from matplotlib import rc_context

    settings: dict[Any, Any] = {
        "font.size": FONT,
        "axes.titlesize": FONT + 1,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#e3e3e3",
        "legend.frameon": False,
        "hatch.linewidth": 0.6,
        "text.parse_math": False,  # a title may hold dollar signs
        "axes.unicode_minus": True,
    }
    with rc_context(settings), warnings.catch_warnings():
        # a title in a script that matplotlib's font lacks: browsers have one for it
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield
