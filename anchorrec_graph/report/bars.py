"""Panels of horizontal bars with a marker for where each began and lines to read it against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from anchorrec_graph.graph.drawing import PALETTE, shorten
from anchorrec_graph.report.style import FONT, GREY, Line, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AFTER = Style(PALETTE[0], "o", "-", "")
REFERENCES: dict[str, tuple[Line, str]] = {"random": (":", "black"), "oracle": ("--", PALETTE[1])}
LABEL_WIDTH = 130.0  # points
BAR = 0.24  # inches


class Bar(NamedTuple):
    """None for what there is not."""

    label: str
    after: float | None
    before: float | None = None
    sd: float | None = None  # of `after`, over seeds


class Panel(NamedTuple):
    title: str
    bars: list[Bar]
    references: Mapping[str, float]  # "random", "oracle" -> where its line stands


def bar_figure(rows: Sequence[Sequence[Panel]], names: Sequence[str], looks: Sequence[Style] = ()) -> Figure:
    """Rows of equally many panels; the bars of a panel run from top to bottom.

    Args:
        names: one for each row, written above it; "" for none.
        looks: of the bars of every panel, in order; default all alike.
    """
    from matplotlib.figure import Figure

    heights = [max(len(panel.bars) for panel in row) * BAR + 0.75 for row in rows]
    across = len(rows[0])
    figure = Figure(figsize=(max(7.0, 2.6 * across), sum(heights) + 0.4), layout="constrained")
    parts = figure.subfigures(len(rows), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, row, name in zip(parts, rows, names, strict=True):
        if name:
            part.suptitle(shorten(name, 400, FONT + 1), x=0.01, ha="left", weight="bold", size=FONT + 1)
        for axes, panel in zip(part.subplots(1, across, squeeze=False)[0], row, strict=True):
            _draw(axes, panel, looks)
    figure.legend(handles=_legend(rows, bool(looks)), loc="outside lower center", ncols=4)
    return figure


def _draw(axes: Axes, panel: Panel, looks: Sequence[Style]) -> None:
    if not panel.bars:
        axes.set_axis_off()
        return
    for place, bar in enumerate(panel.bars):
        look = looks[place] if looks else AFTER
        if bar.after is None:
            axes.text(0.08, place, "none", va="center", color="#555555", transform=axes.get_yaxis_transform())
            continue
        axes.barh(place, bar.after, 0.62, color=look.color, hatch=look.hatch, edgecolor="white",
                  linewidth=0, xerr=bar.sd, error_kw={"capsize": 2, "elinewidth": 1})  # fmt: skip
        if bar.before is not None:
            axes.plot(bar.before, place, marker="D", markersize=5, color="white", markeredgecolor="black",
                      linestyle="", zorder=4)  # fmt: skip
    for name, value in panel.references.items():
        line, color = REFERENCES[name]
        axes.axvline(value, linestyle=line, color=color, linewidth=1.3, zorder=3)
    axes.axvline(0, color=GREY, linewidth=0.8, zorder=2)  # thin, so that a dotted line at zero is seen
    axes.set_xlim(left=min(axes.get_xlim()[0], -0.03 * axes.get_xlim()[1]))
    axes.spines["left"].set_visible(False)
    axes.set_yticks(range(len(panel.bars)), [shorten(bar.label, LABEL_WIDTH, FONT) for bar in panel.bars])
    axes.set_ylim(len(panel.bars) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.locator_params(axis="x", nbins=4)
    axes.set_title(panel.title, loc="left", size=FONT)
    axes.tick_params(axis="y", length=0)


def _legend(rows: Sequence[Sequence[Panel]], coloured: bool) -> list[object]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    panels = [panel for row in rows for panel in row]
    handles: list[object] = [Patch(color="#999999" if coloured else AFTER.color, label="after training")]
    if any(bar.before is not None for panel in panels for bar in panel.bars):
        handles.append(
            Line2D([], [], marker="D", markersize=5, color="white", markeredgecolor="black", linestyle="",
                   label="before training")
        )  # fmt: skip
    for name, (line, color) in REFERENCES.items():
        if any(name in panel.references for panel in panels):
            handles.append(Line2D([], [], linestyle=line, color=color, label=name))
    return handles
