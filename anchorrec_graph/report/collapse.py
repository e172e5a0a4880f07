"""The collapse panel: what is left of each modality's structure, where the views lie, how wide they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anchorrec_graph.diagnose.diagnosis import DEFAULT_K
from anchorrec_graph.diagnose.items import ALL, QUARTILES
from anchorrec_graph.diagnose.screen import spoken
from anchorrec_graph.diagnose.spaces import FINAL, ORACLE, RANDOM, native_name, view_name
from anchorrec_graph.diagnose.summary import Means, Place
from anchorrec_graph.models.base import HISTORY
from anchorrec_graph.report.bars import Bar, Panel, bar_figure
from anchorrec_graph.report.blocks import Block, FigureBlock, Paragraph
from anchorrec_graph.report.style import FONT, line_style, series_style

Runs = Mapping[str, Means]


def collapse_blocks(means: Runs) -> list[Block]:
    """One figure of every run's spaces, one that compares runs, and one by popularity of the items."""
    native = modalities(means)
    if not native:
        return [Paragraph("The data have no features, so there is no structure to keep.")]
    shown = {label: of for label, of in means.items() if spaces(of, "overlap")}
    without = [label for label in means if label not in shown]
    blocks: list[Block] = []
    if without:
        blocks.append(Paragraph(f"Without item spaces, and so not drawn: {', '.join(without)}."))
    if len(shown) > 1:
        blocks.append(_comparison(shown, native))
    blocks += [_run_figure(index, label, of, native) for index, (label, of) in enumerate(shown.items())]
    if shown:
        blocks.append(_quartile_figure(shown, native))
    return blocks


def modalities(means: Runs) -> list[str]:
    found = dict.fromkeys(p.against for of in means.values() for _, p in of if p.measure == "overlap")
    return [name.removeprefix("native/") for name in found]


def spaces(means: Means, measure: str) -> list[str]:
    """The model's own spaces, in its order, the sum of the views last, if it is the sum of several."""
    names = dict.fromkeys(p.space for _, p in means if p.measure == measure and p.group == ALL)
    own = [name for name in names if name == FINAL or name.startswith("view/")]
    learned = [name for name in own if name not in (FINAL, view_name(HISTORY))]
    return sorted((n for n in own if n != FINAL or len(learned) != 1), key=lambda name: name == FINAL)


def bar(label: str, means: Means, place: Place) -> Bar:
    after, before = means.get(("after", place)), means.get(("before", place))
    if after is None:
        return Bar(label, None)
    return Bar(label, after.value, None if before is None else before.value, after.sd)


def references(means: Means, measure: str, against: str) -> dict[str, float]:
    found = {name: means.get(("after", Place(measure, name, against, ALL))) for name in (RANDOM, ORACLE)}
    return {name: mean.value for name, mean in found.items() if mean is not None}


def overlap_panel(title: str, names: Mapping[str, tuple[Means, str]], modality: str) -> Panel:
    """Bars label -> (a run, one of its spaces): the neighbours shared with the modality's features."""
    against = native_name(modality)
    bars = [bar(label, of, Place("overlap", space, against, ALL)) for label, (of, space) in names.items()]
    lines: dict[str, float] = {}
    for of, _ in names.values():
        lines = lines or references(of, "overlap", against)
    return Panel(title, bars, lines)


def rank_panel(title: str, names: Mapping[str, tuple[Means, str]]) -> Panel:
    bars = [bar(label, of, Place("effective rank", space, "", ALL)) for label, (of, space) in names.items()]
    known = [references(of, "effective rank", "").get(RANDOM) for of, _ in names.values()]
    line = {RANDOM: max(value for value in known if value is not None)} if any(known) else {}
    return Panel(title, bars, line)


def _run_figure(index: int, label: str, means: Means, native: Sequence[str]) -> FigureBlock:
    own = {spoken(name): (means, name) for name in spaces(means, "overlap")}
    panels = [overlap_panel(f"neighbours shared with\n{m} features", own, m) for m in native]
    pairs = [p for s, p in means if s == "after" and p.measure == "paired distance" and p.group == ALL]
    between = [p for p in pairs if p.space.startswith("view/")]
    if between:
        lines = {name: _mean_of(means, [p for p in pairs if p.space == name]) for name in (RANDOM, ORACLE)}
        names = [f"{_short(p.space)} | {_short(p.against)}" for p in between]
        bars = [bar(name, means, p) for name, p in zip(names, between, strict=True)]
        panels.append(Panel("same place in two views\n(paired distance)", bars, lines))
    narrow = {spoken(n): (means, n) for n in spaces(means, "effective rank") if n != view_name(HISTORY)}
    panels.append(rank_panel("directions in use\n(effective rank)", narrow))
    across = 2 if len(panels) == 4 else 3  # more would be small print on paper
    panels += [Panel("", [], {})] * (-len(panels) % across)
    rows = [panels[start : start + across] for start in range(0, len(panels), across)]
    return FigureBlock(
        f"collapse-{index + 1}", bar_figure(rows, [label, *[""] * (len(rows) - 1)]),
        f"Structure, position and dimension of {label}. {_said(panels)}",
        f"{label}. Shared neighbours: of the {DEFAULT_K} nearest, 0 as by chance, 1 all. Paired distance: 0 "
        "an item is no nearer to itself in the other view than to other items, 1 both views put it at the "
        "same place: they have collapsed onto each other. Effective rank: how many directions a space uses; "
        "towards 0 it collapses to a point. Bars: after training, with the sd over seeds where there are "
        "several.",
    )  # fmt: skip


def _comparison(means: Runs, native: Sequence[str]) -> FigureBlock:
    final = {label: (of, FINAL) for label, of in means.items()}
    rows = []
    for m in native:
        own = {label: (of, view_name(m)) for label, of in means.items()}
        rows.append([overlap_panel("final space", final, m), overlap_panel(f"{m} view", own, m)])
    panels = [panel for row in rows for panel in row]
    looks = [series_style(index) for index in range(len(means))]
    figure = bar_figure(rows, [f"Neighbours shared with the {m} features" for m in native], looks)
    return FigureBlock(
        "collapse-runs", figure, f"Neighbours that spaces share with the features. {_said(panels)}",
        f"Of the {DEFAULT_K} nearest items in the features, the share that is also nearest in the final "
        "space (left) and in the modality's own view (right); 0 as by chance, 1 all. none: the model has "
        "no such view.",
    )  # fmt: skip


def _quartile_figure(means: Runs, native: Sequence[str]) -> FigureBlock:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(7.0, 2.8 * len(native)), 1.7 * len(means) + 0.7), layout="constrained")
    panels = figure.subplots(len(means), len(native), squeeze=False, sharex=True, sharey=True)
    labels = {FINAL: 0, **{view_name(m): 1 + place for place, m in enumerate(native)}, RANDOM: -1}
    for row, (label, of) in zip(panels, means.items(), strict=True):
        for axes, m in zip(row, native, strict=True):
            for space in (FINAL, view_name(m), RANDOM):
                values = [of.get(("after", Place("overlap", space, native_name(m), q))) for q in QUARTILES]
                heights = [float("nan") if mean is None else mean.value for mean in values]
                if any(mean is not None for mean in values):
                    look = series_style(labels[space])
                    dark = space == RANDOM
                    axes.plot(
                        QUARTILES, heights, label=spoken(space), linewidth=1.4, markersize=5,
                        color="black" if dark else look.color, marker="" if dark else look.marker,
                        linestyle=":" if dark else line_style(labels[space]),
                    )  # fmt: skip
            axes.set_title(f"{label} | {m} features")
            axes.locator_params(axis="y", nbins=4)
    for axes in panels[-1]:
        axes.set_xlabel("items by popularity")
    figure.supylabel("shared neighbours", size=FONT)
    handles = {
        name: handle
        for axes in panels.ravel()
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4)
    return FigureBlock(
        "collapse-quartiles", figure, "Neighbours shared with the features by popularity of the item.",
        f"Shared neighbours after training, of the {DEFAULT_K} nearest, by popularity of the item: quartiles "
        "of the items by training users, q1 the fewest. 0 as by chance, 1 all.",
    )  # fmt: skip


def _mean_of(means: Means, places: Sequence[Place]) -> float:
    values = [means["after", place].value for place in places]
    return sum(values) / len(values) if values else float("nan")


def _short(space: str) -> str:
    return space.removeprefix("view/")


def _said(panels: Sequence[Panel]) -> str:
    """The numbers of a figure in words."""
    parts = []
    for panel in panels:
        bars = [f"{one.label} {one.after:.2f}" for one in panel.bars if one.after is not None]
        if panel.title:
            parts.append(f"{' '.join(panel.title.split())}: {', '.join(bars) or 'none'}")
    return "; ".join(parts) + "."
