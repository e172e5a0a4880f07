"""Learning curves: every loss term and the validation metric by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from anchorrec_graph.report.blocks import Block, FigureBlock, Paragraph, Section
from anchorrec_graph.report.sources import Source, Sources
from anchorrec_graph.report.style import line_style, series_style
from anchorrec_graph.train.history import read_history

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Curve = list[tuple[int, float]]  # epoch, value
COLUMNS = 4
ABOUT = (
    "What training lowers, the terms of the loss, and what chose the epoch, the metric on validation. Where "
    "validation falls while the loss still does, the model learns the training pairs by heart."
)


def curves_section(sources: Sources) -> Section:
    blocks: list[Block] = []
    trained = {run.label: histories(run) for run in sources.runs}
    without = [label for label, of in trained.items() if not of]
    if without:
        blocks.append(Paragraph(f"Without epochs, and so without curves: {', '.join(without)}."))
    for index, run in enumerate(sources.runs):
        if trained[run.label]:
            blocks.append(_run_figure(index, run, trained[run.label]))
    learned = [run for run in sources.runs if trained[run.label]]
    if len(learned) > 1 and len({run.config.train.metric for run in learned}) == 1:
        blocks.insert(0, _validation_figure(sources.runs, trained))
    if learned:
        blocks.insert(0, Paragraph(ABOUT))
    return Section("curves", "Learning curves", blocks)


def histories(run: Source) -> dict[int, list[dict[str, Any]]]:
    """Seed -> its records, without seeds that have none."""
    found = {seed: read_history(run.folder.seed(seed).history) for seed in run.seeds}
    return {seed: records for seed, records in found.items() if records}


def term_curves(records: Sequence[Mapping[str, Any]], metric: str) -> dict[str, Curve]:
    """Loss term, or `validation <metric>` -> its values; epochs without one are left out."""
    curves: dict[str, Curve] = {}
    for record in records:
        for name, value in record["terms"].items():
            curves.setdefault(name, []).append((record["epoch"], value))
        if metric in record["validation"]:
            curves.setdefault(f"validation {metric}", []).append(
                (record["epoch"], record["validation"][metric])
            )
    return curves


def _run_figure(index: int, run: Source, records: Mapping[int, list[dict[str, Any]]]) -> FigureBlock:
    from matplotlib.figure import Figure

    best = {seed: _best_epoch(run, seed) for seed in records}
    curves = {seed: term_curves(of, run.config.train.metric) for seed, of in records.items()}
    names = list(dict.fromkeys(name for of in curves.values() for name in of))
    columns = min(COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    figure = Figure(figsize=(max(1.9 * columns, 4.8), 1.9 * rows + 0.5), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, name in zip(panels, names, strict=False):
        for place, (seed, of) in enumerate(curves.items()):
            _line(axes, of.get(name, []), best[seed], index, line_style(place), f"seed {seed}")
        axes.set_title(name)
        _epoch_axis(axes)
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 5))
    epochs = ", ".join(f"{epoch} (seed {seed})" for seed, epoch in best.items())
    return FigureBlock(
        f"curves-{index + 1}", figure, f"Learning curves of {run.label}: {', '.join(names)}, by epoch.",
        f"{run.label}: each loss term as it enters the loss, weight applied, mean over an epoch; and the "
        f"metric that chooses the epoch. One line per seed; the marker is the best epoch: {epochs}. "
        "Panels have scales of their own.",
    )  # fmt: skip


def _validation_figure(
    runs: Sequence[Source], trained: Mapping[str, Mapping[int, list[dict[str, Any]]]]
) -> FigureBlock:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 3.4), layout="constrained")
    axes = figure.subplots()
    metric = next(run.config.train.metric for run in runs if trained[run.label])
    for index, run in enumerate(runs):
        for place, (seed, records) in enumerate(trained[run.label].items()):
            curve = term_curves(records, metric).get(f"validation {metric}", [])
            label = run.label if place == 0 else ""
            _line(axes, curve, _best_epoch(run, seed), index, series_style(index).line, label)
    axes.set_ylabel(f"validation {metric}")
    _epoch_axis(axes)
    figure.legend(loc="outside right upper")
    return FigureBlock(
        "curves-validation", figure, f"Validation {metric} of every run by epoch.",
        f"Validation {metric} of every run, one line per seed; the marker is the best epoch.",
    )  # fmt: skip


def _line(axes: Axes, curve: Curve, best: int, index: int, line: str, label: str) -> None:
    look = series_style(index)
    epochs, values = [epoch for epoch, _ in curve], [value for _, value in curve]
    marked = [place for place, epoch in enumerate(epochs) if epoch == best]
    axes.plot(
        epochs, values, color=look.color, linestyle=line, linewidth=1.4, label=label or "_",
        marker=look.marker, markersize=7, markevery=marked, markeredgecolor="black",
    )  # fmt: skip


def _epoch_axis(axes: Axes) -> None:
    axes.set_xlabel("epoch")
    axes.locator_params(axis="x", integer=True, nbins=4)
    axes.locator_params(axis="y", nbins=5)


def _best_epoch(run: Source, seed: int) -> int:
    return int(run.results[run.seeds.index(seed)].origin["best_epoch"])
