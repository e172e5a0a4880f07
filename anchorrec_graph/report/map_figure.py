"""The figure of maps: one panel per space and stage, the same items numbered in all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from anchorrec_graph.graph.drawing import shorten, text_width
from anchorrec_graph.report.projection import Points, Projection
from anchorrec_graph.report.style import FONT, GREY, series_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL, EDGE, LINE = 1.75, 0.3, 0.19  # inches
STROKE = 0.8  # points
MANY = 800  # dots; more are drawn smaller
NARROWEST = 7.0  # of a figure: the legend needs it
# Of small dots: green and pink are alike to a deuteranope, so one is a cross and the other is hollow.
SHAPES, HOLLOW = ("o", "s", "x", "D", "v", "P"), "D"
APART = 0.13  # of a panel's width, between two numbers


class Marks(NamedTuple):
    """What the panels share: kinds [n] of the items, and titles of the first ones, which are numbered."""

    kinds: list[str]
    shown: list[str]
    titles: list[str]


class Dot(NamedTuple):
    color: str
    marker: str
    size: float  # points squared

    def paint(self) -> dict[str, Any]:
        """What `Axes.scatter` is told."""
        if self.marker == HOLLOW:
            return {"facecolors": "none", "edgecolors": self.color, "linewidths": STROKE}
        return {"c": self.color, "linewidths": STROKE if self.marker == "x" else 0}


class Panels(NamedTuple):
    """Column titles, row titles, and the projection or the words in each cell."""

    columns: list[str]
    rows: list[str]
    cells: Mapping[tuple[str, str], Projection | str]  # (column, row)

    def upright(self) -> Panels:
        """With no more rows than columns."""
        if len(self.rows) <= len(self.columns):
            return self
        turned = {(row, column): cell for (column, row), cell in self.cells.items()}
        return Panels(self.rows, self.columns, turned)


def map_figure(panels: Panels, marks: Marks) -> Figure:
    """Dots by kind, in colour and shape; the numbered items stand in the legend below."""
    from matplotlib.figure import Figure

    panels = panels.upright()
    across, down = len(panels.columns), len(panels.rows)
    width = max(NARROWEST, EDGE + across * PANEL + 0.1)
    per_line = 3 if width > 9 else 2
    side = min((width - EDGE - 0.1) / across, 2.6)
    foot = LINE * (2.2 + math.ceil(len(marks.titles) / per_line))
    height = EDGE + down * side + foot
    figure = Figure(figsize=(width, height))
    for (column, row), cell in panels.cells.items():
        x, y = panels.columns.index(column), panels.rows.index(row)
        at = (EDGE + x * side) / width, (foot + (down - 1 - y + 0.1) * side) / height
        axes = figure.add_axes((*at, 0.95 * side / width, 0.86 * side / height))
        _panel(axes, cell, marks)
        if y == 0:
            axes.set_title(shorten(column, side * 72, FONT + 1), loc="center")
        if x == 0:
            axes.set_ylabel(row)
    _legend(figure, marks, per_line, foot / height)
    return figure


def _panel(axes: Axes, cell: Projection | str, marks: Marks) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color("#bbbbbb")
    if isinstance(cell, str):
        axes.spines[:].set_visible(False)
        axes.text(0.5, 0.5, cell, ha="center", va="center", color="#555555", transform=axes.transAxes)
        return
    points = _framed(cell.points)
    for kind, dot in _dots(marks).items():
        inside = [place for place, other in enumerate(marks.kinds) if other == kind]
        axes.scatter(
            points[inside, 0], points[inside, 1], marker=dot.marker, s=dot.size, alpha=0.8, rasterized=True,
            zorder=1, **dot.paint(),
        )  # fmt: skip
    if cell.variance is not None:
        axes.set_xlabel(f"{100 * cell.variance:.0f} % of variance", size=FONT - 1, labelpad=2)
    axes.set_xlim(-0.04, 1.04)
    axes.set_ylim(-0.04, 1.04)
    _numbers(axes, points[: len(marks.titles)])


def _framed(points: Points) -> Points:
    """Moved and scaled into the unit square, with one scale for both axes."""
    low, high = points.min(axis=0), points.max(axis=0)
    span = float((high - low).max()) or 1.0
    framed: Points = (points - (low + high) / 2) / span + 0.5
    return framed


def _dots(marks: Marks) -> dict[str, Dot]:
    """The look of every kind; whatever is not shown comes first, so that it lies below, in grey."""
    size = 6.0 if len(marks.kinds) > MANY else 11.0
    others = dict.fromkeys(sorted(set(marks.kinds) - set(marks.shown)), Dot(GREY, ".", size))
    return others | {
        kind: Dot(series_style(index).color, SHAPES[index], size) for index, kind in enumerate(marks.shown)
    }


def _numbers(axes: Axes, points: Points) -> None:
    """Numbered discs, moved apart where they would cover each other, with a line to where the item is."""
    for number, (at, point) in enumerate(zip(spread(points, APART), points, strict=True), start=1):
        axes.plot(*zip(point, at, strict=True), color="black", linewidth=0.7, zorder=3)
        axes.plot(*point, marker="o", color="black", markersize=3, zorder=3)
        axes.plot(*at, marker="o", color="white", markeredgecolor="black", markersize=9.5, zorder=4,
                  markeredgewidth=0.8)  # fmt: skip
        axes.text(
            at[0],
            at[1],
            str(number),
            ha="center",
            va="center_baseline",
            size=FONT - 2,
            weight="bold",
            zorder=5,
        )


def spread(points: Points, apart: float, rounds: int = 200) -> Points:
    """Points [n, 2] of the unit square pushed away from each other until they are `apart`, or nearly so."""
    moved = points.clip(0.0, 1.0)
    turn = np.linspace(0, 2 * np.pi, len(points), endpoint=False)
    moved = moved + 1e-3 * np.stack([np.cos(turn), np.sin(turn)], axis=1)  # equal points part, too
    for _ in range(rounds):
        gap = moved[:, None] - moved[None]
        distance = np.linalg.norm(gap, axis=2)
        np.fill_diagonal(distance, np.inf)
        push = np.maximum(0, apart - distance) / 2
        if push.max(initial=0) < apart / 100:
            break
        moved = (moved + (gap / distance[:, :, None] * push[:, :, None]).sum(axis=1)).clip(0.03, 0.97)
    return moved


def _legend(figure: Figure, marks: Marks, per_line: int, top: float) -> None:
    from matplotlib.lines import Line2D

    width, height = figure.get_size_inches()
    dots = sorted(_dots(marks).items(), key=lambda entry: entry[0] not in marks.shown)  # the rest last
    spare = 72 * (width - EDGE) - 30 * len(dots) - sum(text_width(kind, FONT) for kind, _ in dots)
    room = 72.0 * width if spare > 0 else 72 * (width - EDGE) / len(dots) - 30
    handles = [
        Line2D([], [], linestyle="", color=dot.color, marker=dot.marker, markersize=5,
               markerfacecolor="none" if dot.marker == HOLLOW else dot.color, label=shorten(kind, room, FONT))
        for kind, dot in dots
    ]  # fmt: skip
    if marks.shown:
        figure.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(EDGE / width - 0.01, top), fontsize=FONT,
            ncols=len(handles), handletextpad=0.1, columnspacing=1.0, borderpad=0.3,
        )  # fmt: skip
    column = (width - EDGE) / per_line
    for place, title in enumerate(marks.titles):
        line, across = divmod(place, per_line)
        text = shorten(f"{place + 1}  {title}", column * 72 - 8, FONT)
        y = top - LINE * (2.1 + line) / height
        figure.text((EDGE + across * column) / width, y, text, size=FONT, va="center")
