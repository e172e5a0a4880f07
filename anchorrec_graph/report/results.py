"""The main table: means over seeds, intervals over users, paired tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from anchorrec_graph.audit.bootstrap import RESAMPLES, interval, resamples
from anchorrec_graph.compare.formats import TESTED
from anchorrec_graph.compare.layout import results_grid, tests_grid
from anchorrec_graph.compare.table import LEVEL, user_means
from anchorrec_graph.report.blocks import Block, FigureBlock, Paragraph, Section, TableBlock, table
from anchorrec_graph.report.sources import Sources
from anchorrec_graph.report.style import series_style


class Interval(NamedTuple):
    mean: float
    lower: float
    upper: float


def results_section(sources: Sources) -> Section:
    comparison, task = sources.comparison, sources.task
    several = len(sources.runs) > 1
    intervals = user_intervals(sources)
    blocks: list[Block] = [
        Paragraph(
            f"Test, full ranking over {task.pairs.items:,} items for the {task.num_test_users:,} users with "
            f"test pairs; taken out of the ranking: {' and '.join(task.evaluate.mask) or 'nothing'}. "
            "The best epoch was chosen on validation; test was read once."
        ),
        TableBlock("Test metrics, mean ± sample standard deviation over seeds", results_grid(comparison)),
    ]
    if several:
        blocks.append(
            Paragraph(
                f"Best bold, second underlined. ≈: not told apart from {comparison.reference}, by the paired "
                f"t-test or Wilcoxon's test on per-user values averaged over seeds (p ≥ {LEVEL}, "
                "Holm-corrected over the runs for each metric)."
            )
        )
    if any(len(run.seeds) == 1 for run in sources.runs):
        blocks.append(Paragraph("A run without ± has one seed: its spread over seeds is not known."))
    if intervals:
        blocks += _interval_blocks(intervals, several)
    if several:
        blocks.append(TableBlock(TESTED, tests_grid(comparison)))
    return Section("results", "Results", blocks)


def user_intervals(sources: Sources) -> dict[str, dict[str, Interval]]:
    """Metric -> run -> its mean over users (each averaged over seeds) and 95 % interval."""
    metrics: dict[str, dict[str, Interval]] = {}
    for run in sources.runs:
        users = user_means(run.results, sources.comparison.metrics).drop("user")
        if users.width:
            values = users.to_numpy()
            draws = np.concatenate([counts @ values / len(values) for counts in resamples(len(values))])
            for name, mean, drawn in zip(users.columns, values.mean(axis=0), draws.T, strict=True):
                lower, upper = interval(drawn) or (mean, mean)
                metrics.setdefault(name, {})[run.label] = Interval(float(mean), lower, upper)
    return metrics


def _interval_blocks(metrics: Mapping[str, Mapping[str, Interval]], several: bool) -> list[Block]:
    labels = list(next(iter(metrics.values())))
    rows = [
        [
            label,
            *(
                f"{of[label].mean:.4f} [{of[label].lower:.4f}, {of[label].upper:.4f}]"
                for of in metrics.values()
            ),
        ]
        for label in labels
    ]
    caption = f"Mean over users and 95 % bootstrap interval ({RESAMPLES:,} resamples of the users)"
    blocks: list[Block] = [table(caption, ["run", *metrics], rows)]
    if several:
        blocks.append(_interval_figure(metrics, labels))
        blocks.append(
            Paragraph(
                "Intervals of two runs may overlap although the paired tests below tell them apart: "
                "the tests compare the same users."
            )
        )
    return blocks


def _interval_figure(metrics: Mapping[str, Mapping[str, Interval]], labels: list[str]) -> FigureBlock:
    from matplotlib.figure import Figure

    height = 0.9 + 0.3 * len(labels)
    figure = Figure(figsize=(1.6 * len(metrics) + 1.2, height), layout="constrained")
    panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for axes, (metric, of) in zip(panels, metrics.items(), strict=True):
        for row, label in enumerate(labels):
            mean, lower, upper = of[label]
            look = series_style(row)
            axes.errorbar(
                mean, row, xerr=np.array([[mean - lower], [upper - mean]]), color=look.color,
                marker=look.marker, markersize=6, linewidth=1.6, capsize=3,
            )  # fmt: skip
        axes.set_title(metric)
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
        axes.locator_params(axis="x", nbins=3)
    panels[0].set_yticks(range(len(labels)), labels)
    said = "; ".join(
        f"{metric}: " + ", ".join(f"{label} {of[label].mean:.3f}" for label in labels)
        for metric, of in metrics.items()
    )
    return FigureBlock(
        "intervals", figure, f"Mean of each metric with its interval. {said}.",
        "Mean over users and 95 % bootstrap interval of every run, one panel per metric.",
    )  # fmt: skip
