"""Results by user activity and item popularity."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from anchorrec_graph.evaluate.evaluator import Evaluator
from anchorrec_graph.evaluate.slices import slice_metrics
from anchorrec_graph.report.blocks import FigureBlock, Paragraph, Section, TableBlock, table
from anchorrec_graph.report.sources import Source, Sources
from anchorrec_graph.report.style import series_style

SHOWN = 2  # metrics


class Slice(NamedTuple):
    users: int
    values: list[float]  # one per seed; none for a slice without users


def slices_section(sources: Sources) -> Section:
    metrics = per_user_metrics(sources)
    found = {run.label: run_slices(run, metrics) for run in sources.runs}
    tables = [_table(metric, found) for metric in metrics]
    about = (
        "Activity q1 to q4: quartiles of the users by training interactions, q1 the fewest. Head items: the "
        "fifth with the most training users; tail items: the rest; cold items: no training user. "
        "For a slice of items only its own held-out items count."
    )
    return Section("slices", "Results by slice", [Paragraph(about), _figure(metrics[0], found), *tables])


def per_user_metrics(sources: Sources) -> list[str]:
    """The first shown metrics that users have values of, or else the one that chose the epochs."""
    columns = sources.runs[0].results[0].per_user.columns
    shown = [name for name in sources.comparison.metrics if name in columns]
    return shown[:SHOWN] or [sources.runs[0].config.train.metric]


def run_slices(run: Source, metrics: list[str]) -> dict[str, dict[str, Slice]]:
    """Slice -> metric -> its values on test."""
    evaluator = Evaluator(run.config.evaluate, run.data)
    tables = []
    for seed in run.seeds:
        result = evaluator.evaluate(run.embeddings(seed), "test")
        tables.append(slice_metrics(result, run.data, metrics))
    return {name: _slice(tables, place, metrics) for place, name in enumerate(tables[0]["slice"])}


def _slice(tables: list[pl.DataFrame], place: int, metrics: list[str]) -> dict[str, Slice]:
    users = int(tables[0]["users"][place])
    return {
        metric: Slice(users, [float(of[metric][place]) for of in tables] if users else [])
        for metric in metrics
    }


def _table(metric: str, found: Mapping[str, Mapping[str, Mapping[str, Slice]]]) -> TableBlock:
    first = next(iter(found.values()))
    rows = [
        [name, f"{of[metric].users:,}", *(_text(found[label][name][metric]) for label in found)]
        for name, of in first.items()
    ]
    return table(f"Test {metric} by slice", ["slice", "users", *found], rows)


def _text(cell: Slice) -> str:
    if not cell.values:
        return "-"
    spread = f" ± {statistics.stdev(cell.values):.4f}" if len(cell.values) > 1 else ""
    return f"{statistics.fmean(cell.values):.4f}{spread}"


def _figure(metric: str, found: Mapping[str, Mapping[str, Mapping[str, Slice]]]) -> FigureBlock:
    from matplotlib.figure import Figure

    names = [name for name, of in next(iter(found.values())).items() if of[metric].users]
    figure = Figure(figsize=(max(7.0, 0.95 * len(names)), 3.4), layout="constrained")
    axes = figure.subplots()
    for index, (label, of) in enumerate(found.items()):
        look = series_style(index)
        at = [
            place + min(0.12, 0.8 / len(found)) * (index - (len(found) - 1) / 2)
            for place in range(len(names))
        ]
        values = [of[name][metric].values for name in names]
        means = [statistics.fmean(seeds) for seeds in values]
        spread = [statistics.stdev(seeds) if len(seeds) > 1 else 0.0 for seeds in values]
        axes.errorbar(at, means, yerr=spread, color=look.color, marker=look.marker, linestyle="", capsize=2,
                      markersize=6, label=label)  # fmt: skip
    axes.set_xticks(range(len(names)), [name.replace(" ", "\n") for name in names])
    axes.set_ylabel(f"test {metric}")
    axes.set_ylim(bottom=-0.02 * axes.get_ylim()[1])  # room for a marker at zero
    axes.grid(axis="x", visible=False)
    if len(found) > 1:
        figure.legend(loc="outside right upper")
    said = "; ".join(
        f"{name}: "
        + ", ".join(f"{label} {statistics.fmean(of[name][metric].values):.3f}" for label, of in found.items())
        for name in names
    )
    return FigureBlock(
        "slices", figure, f"Test {metric} by slice. {said}.",
        f"Test {metric} by slice, mean over seeds; bars: the standard deviation over seeds, where there are "
        "several.",
    )  # fmt: skip
