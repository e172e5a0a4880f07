"""Maps of every space that a run puts the items in, before training and after."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from anchorrec_graph.diagnose.spaces import FINAL, item_spaces, native_name, native_spaces, view_name
from anchorrec_graph.report.blocks import Block, FigureBlock, Heading, Paragraph, Section
from anchorrec_graph.report.map_figure import Marks, Panels, map_figure
from anchorrec_graph.report.projection import (
    ITERATIONS,
    PERPLEXITY,
    Projection,
    directions,
    neighbour_map,
    principal_components,
)
from anchorrec_graph.report.sample import Cast, sample_items
from anchorrec_graph.report.sources import Source, Sources
from anchorrec_graph.train.fit import learns, load_best

PCA_ITEMS, TSNE_ITEMS = 1000, 600  # t-SNE takes most of the time of a report
NATIVE, BEFORE, AFTER = "features", "before training", "after training"
Spaces = dict[str, Tensor]


class Method(NamedTuple):
    name: str
    title: str
    size: int
    project: Callable[[Tensor], Projection]


METHODS = (
    Method("pca", "PCA", PCA_ITEMS, lambda space: principal_components(directions(space))),
    Method("tsne", "t-SNE", TSNE_ITEMS, lambda space: neighbour_map(directions(space))),
)


def maps_section(sources: Sources, cast: Cast) -> Section:
    """Every run's spaces with its first seed."""
    blocks: list[Block] = [Paragraph(_introduction(cast))]
    native: dict[tuple[str, str], Projection] = {}  # the runs share the features
    for index, run in enumerate(sources.runs):
        stages = run_spaces(run, run.seeds[0])
        if not stages[AFTER]:
            blocks.append(Paragraph(f"{run.label} puts items in no space, so there is nothing to draw."))
            continue
        if len(sources.runs) > 1:
            blocks.append(Heading(run.label))
        for method in METHODS:
            blocks.append(_figure(index, run, stages, method, cast, native))
    return Section("maps", "Maps of the item spaces", blocks)


def run_spaces(run: Source, seed: int) -> dict[str, Spaces]:
    """Stage -> its spaces; nothing before training for a model that is not trained."""
    with torch.no_grad():
        model = run.fresh_model(seed)
        before = item_spaces(model, model.encode()) if learns(model) else {}
        load_best(model, run.folder.seed(seed))
        after = item_spaces(model, model.encode())
    return {BEFORE: _told_apart(before), AFTER: _told_apart(after)}


def _told_apart(spaces: Spaces) -> Spaces:
    """Without the sum of the views where it is nothing but one of them."""
    total = spaces.get(FINAL)
    others = [space for name, space in spaces.items() if name != FINAL]
    same = total is not None and any(o.shape == total.shape and torch.equal(o, total) for o in others)
    return {name: space for name, space in spaces.items() if not (same and name == FINAL)}


def _introduction(cast: Cast) -> str:
    kinds = "" if cast.kinds is None else f" Colour and shape tell {cast.kinds.column}."
    return (
        "Each dot is an item; rows are scaled to length 1, so that distances are those that the cosine sees. "
        "A modality's view is drawn as the model has it, not smoothed over users; views that do not enter "
        "the score are there too. final is the sum of the learned views. "
        f"The same {len(cast.numbered)} items carry the same numbers everywhere."
        f"{kinds} Only neighbourhoods can be read off a t-SNE map: its axes, sizes and distances between "
        "clusters mean nothing, and a share of variance in a PCA map near 100 % means that the space has "
        "all but collapsed to a plane."
    )


def _figure(
    index: int, run: Source, stages: Mapping[str, Spaces], method: Method, cast: Cast,
    native: dict[tuple[str, str], Projection],
) -> FigureBlock:  # fmt: skip
    numbered = [highlight.item for highlight in cast.numbered]
    items = sample_items(int(run.data["item"].num_nodes), method.size, numbered)
    panels = _panels(run, stages, method, items, native)
    titles = [highlight.title for highlight in cast.numbered]
    kinds = ["item"] * len(items) if cast.kinds is None else [cast.kinds.labels[item] for item in items]
    shown = [] if cast.kinds is None else cast.kinds.shown
    figure = map_figure(panels, Marks(kinds, shown, titles))
    legend = "; ".join(f"{number} {title}" for number, title in enumerate(titles, start=1))
    how = (
        f"perplexity {min(PERPLEXITY, (len(items) - 1) / 3):g}, {ITERATIONS} iterations, "
        "started from PCA, random state 0"
        if method.name == "tsne"
        else "shares of variance are those of the two axes"
    )
    colour = "" if cast.kinds is None else f" Colour and shape: {cast.kinds.column}."
    return FigureBlock(
        f"map-{method.name}-{index + 1}",
        figure,
        f"{method.title} maps of {run.label}: {', '.join(panels.columns)}; {', '.join(panels.rows)}.",
        f"{run.label}, seed {run.seeds[0]}: {method.title} of {len(items):,} of "
        f"{run.data['item'].num_nodes:,} items ({how}).{colour} Numbers: {legend}.",
    )


def _panels(
    run: Source, stages: Mapping[str, Spaces], method: Method, items: Tensor,
    native: dict[tuple[str, str], Projection],
) -> Panels:  # fmt: skip
    names = sorted(stages[AFTER], key=lambda name: name == FINAL)  # the sum behind its parts
    features = {view_name(name): native_name(name) for name in run.data.modalities}
    rows = [NATIVE] if any(name in features for name in names) else []
    rows += [stage for stage in (BEFORE, AFTER) if stages[stage]]
    cells: dict[tuple[str, str], Projection | str] = {}
    for name in names:
        title = name.removeprefix("view/")
        if NATIVE in rows:
            cells[title, NATIVE] = "no features\nof its own"
        if name in features:
            hashed = run.data.manifest["features"][title]["hash"]
            key = hashed, method.name
            if key not in native:
                native[key] = method.project(native_spaces(run.data)[features[name]][items])
            cells[title, NATIVE] = native[key]
        after = stages[AFTER][name]
        cells[title, AFTER] = method.project(after[items])
        if BEFORE in rows:
            before = stages[BEFORE].get(name)
            same = before is not None and before.shape == after.shape and torch.equal(before, after)
            cells[title, BEFORE] = (
                "not trained:\nas below" if before is None or same else method.project(before[items])
            )
    return Panels([name.removeprefix("view/") for name in names], rows, cells)
