"""How much more, or less, a group of items is recommended than users chose it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from anchorrec_graph.audit import Audit
from anchorrec_graph.audit.columns import ALL
from anchorrec_graph.graph.drawing import shorten
from anchorrec_graph.report.blocks import FigureBlock
from anchorrec_graph.report.style import FONT, series_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_GROUPS = 8  # of a panel


def lift_figure(audit: Audit) -> FigureBlock | None:
    """One panel per grouping of items, one marker per run; None without groups."""
    from matplotlib.figure import Figure

    lifts = audit.groups.filter(
        pl.col("value").is_not_null(), pl.col("group") != ALL, of="items", measure="lift", without=""
    )
    groupings = lifts["by"].unique(maintain_order=True).to_list()
    if not groupings:
        return None
    models = list(audit.about.seeds)
    groups = {by: lifts.filter(by=by)["group"].unique(maintain_order=True).to_list() for by in groupings}
    groups = {by: names[:MOST_GROUPS] for by, names in groups.items()}
    tallest = max(map(len, groups.values()))
    height = tallest * (0.12 + 0.07 * len(models)) + 1.2
    figure = Figure(figsize=(3.6 * max(len(groupings), 2), height), layout="constrained")
    for axes, by in zip(figure.subplots(1, len(groupings), squeeze=False)[0], groupings, strict=True):
        for index, model in enumerate(models):
            _points(axes, lifts.filter(by=by, model=model), groups[by], model, (index, len(models)))
        axes.axvline(1, color="black", linewidth=1, linestyle="--")
        axes.set_yticks(range(len(groups[by])), [shorten(name, 110, FONT) for name in groups[by]])
        axes.set_ylim(len(groups[by]) - 0.5, -0.5)
        axes.set_xlim(left=-0.03 * axes.get_xlim()[1])  # room for a marker at zero
        axes.set_title(f"items by {shorten(by, 150, FONT)}")
        axes.set_xlabel("lift")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    if len(models) > 1:
        figure.legend(handles, labels, loc="outside lower center", ncols=min(len(models), 5))
    cells = lifts.filter(pl.col("group").is_in([name for names in groups.values() for name in names]))
    said = ", ".join(
        f"{row['model']} {row['by']} {row['group']} {row['value']:.2f}" for row in cells.iter_rows(named=True)
    )
    return FigureBlock(
        "lift", figure, f"Lift of groups of items. {said}.",
        "Lift: a group's share of the places in lists over its share of the training pairs, with 95 % "
        "bootstrap interval over users. 1 (dashed): recommended as often as users chose it. Of "
        "popularity, q1 is the quarter of the items with the fewest training users.",
    )  # fmt: skip


def _points(
    axes: Axes, table: pl.DataFrame, groups: list[str], model: str, place_of: tuple[int, int]
) -> None:
    """One model's markers; `place_of`: the how manieth of how many it is."""
    index, count = place_of
    look = series_style(index)
    shift = 0.6 * ((index + 0.5) / count - 0.5)
    rows = {row["group"]: row for row in table.iter_rows(named=True)}
    shown = [(place, rows[name]) for place, name in enumerate(groups) if name in rows]
    value = np.array([row["value"] for _, row in shown])
    low, high = (
        np.array([row[end] if row[end] is not None else row["value"] for _, row in shown])
        for end in ("low", "high")
    )
    axes.errorbar(
        value, [place + shift for place, _ in shown], xerr=np.stack([value - low, high - value]).clip(min=0),
        color=look.color, marker=look.marker, markersize=5, linestyle="", capsize=2, label=model,
    )  # fmt: skip
