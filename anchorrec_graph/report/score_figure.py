"""Scores as bars that are split by view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from anchorrec_graph.explain.explanation import Explanation
from anchorrec_graph.graph.drawing import shorten
from anchorrec_graph.report.style import FONT, series_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SMALLEST = 0.07  # of the whole width: a narrower part has no number in it


def score_figure(explanations: Sequence[Explanation]) -> Figure:
    """One bar per user: positive parts to the right of zero, negative ones to the left."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    figure = Figure(figsize=(7.5, 0.62 * len(explanations) + 1.2), layout="constrained")
    axes = figure.subplots()
    names = list(dict.fromkeys(view.view for one in explanations for view in one.views))
    whole = max((sum(abs(view.value) for view in one.views) for one in explanations), default=1.0) or 1.0
    for row, one in enumerate(explanations):
        ends = {True: 0.0, False: 0.0}
        for view in sorted(one.views, key=lambda view: -abs(view.value)):
            look, right = series_style(names.index(view.view)), view.value >= 0
            axes.barh(row, view.value, 0.6, left=ends[right], color=look.color, hatch=look.hatch,
                      edgecolor="white", linewidth=0.8)  # fmt: skip
            if abs(view.value) > SMALLEST * whole:
                axes.text(
                    ends[right] + view.value / 2, row, f"{view.value:.2f}", ha="center", va="center",
                    size=FONT - 1, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
                )  # fmt: skip
            ends[right] += view.value
        axes.plot([one.score, one.score], [row - 0.38, row + 0.38], color="black", linewidth=2)
    labels = [f"user {one.user_id}\n{one.title}" for one in explanations]
    axes.set_yticks(
        range(len(labels)), ["\n".join(_fit(line) for line in label.split("\n")) for label in labels]
    )
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("score; the thick line is the sum of the parts")
    handles = [
        Patch(
            facecolor=series_style(index).color,
            hatch=series_style(index).hatch,
            edgecolor="white",
            label=name,
        )
        for index, name in enumerate(names)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 6))
    return figure


def _fit(line: str) -> str:
    return shorten(line, 150, FONT)
