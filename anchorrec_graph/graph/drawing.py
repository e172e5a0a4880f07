"""Figures of graphs: the ego network of an item, and a histogram of degrees (extra `report`)."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import networkx as nx
import torch
from torch import Tensor

from anchorrec_graph.errors import AnchorRecError, ConfigError, DataError
from anchorrec_graph.files import replacing
from anchorrec_graph.graph.radial import RadialLayout, radial_layout
from anchorrec_graph.graph.topology import degree_summary
from anchorrec_graph.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito 2008, "Color Universal Design", without black and yellow, which is faint on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
FIGURE_TYPES = (".svg", ".png")
MAX_NODES = 400

# In points. An axes unit is a point too, so that the layout knows how much room a label has.
FONT_SIZE, TITLE_SIZE, LINE_HEIGHT = 8.0, 11.0, 11.0
LABEL_WIDTH, LABEL_GAP = 150.0, 7.0
MIN_RING, MARGIN, LEGEND_ROW = 130.0, 10.0, 14.0


def ego_figure(graphs: Mapping[str, nx.DiGraph], item: Hashable) -> Figure:
    """The ego network of `item` in one or more graphs laid over each other, one colour per graph.

    Neighbours stand on rings by their distance in the union of the graphs, the same node at
    the same place for all graphs. Edge width grows linearly from the least to the largest
    `weight` of its graph; edges that do not start at `item` are paler and half as wide.
    Labels are the node attribute `title`, shortened to fit; the figure grows with their number.

    Args:
        graphs: modality -> ego network (`topology.ego_network`), edges item -> neighbour.
        item: the node in the centre.

    Raises:
        AnchorRecError: matplotlib is not installed.
        DataError: there are no graphs or more than `PALETTE` has colours, one lacks `item`,
            or together they have more than `MAX_NODES` nodes.
    """
    require_matplotlib()
    _check_series(len(graphs))
    for name, graph in graphs.items():
        if item not in graph:
            raise DataError(f"{item!r} is not a node of the {name} graph")
    union = nx.compose_all(graphs.values())
    if len(union) > MAX_NODES:
        raise DataError(
            f"the neighbourhood of {item!r} has {len(union)} nodes, and above {MAX_NODES} no figure "
            "can be read; take a smaller radius"
        )
    layout = radial_layout(union, item, LINE_HEIGHT, MIN_RING)
    labels = {node: _label(union, node, layout) for node in layout.depth if node != item}
    figure, axes = _ego_canvas(layout, labels, len(graphs))
    for index, (name, graph) in enumerate(graphs.items()):
        _draw_edges(axes, layout, graph, item, name, index)
    _draw_nodes(axes, layout, labels)
    width, height = figure.get_size_inches() * 72
    title = shorten(f"Nearest to: {_title(union, item)}", width - 2 * MARGIN, TITLE_SIZE)
    figure.text(0.5, 1 - MARGIN / height, title, size=TITLE_SIZE, ha="center", va="top", parse_math=False)
    figure.legend(loc="lower center", frameon=False, fontsize=FONT_SIZE, labelspacing=0.3)
    return figure


def degree_figure(degrees: Mapping[str, Tensor], xlabel: str = "degree") -> Figure:
    """Histogram of degrees in bins 0, 1, 2-3, 4-7, ... with a logarithmic count axis.

    Doubling bins show the long tail of hubs and, unlike a logarithmic degree axis, the
    isolated nodes.

    Args:
        degrees: series name -> degrees [n] (`topology.degrees`).
        xlabel: what the degrees count.

    Raises:
        AnchorRecError: matplotlib is not installed.
        DataError: there are no series or more than `PALETTE` has colours, or one is empty.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    _check_series(len(degrees))
    summaries = {name: degree_summary(degree) for name, degree in degrees.items()}
    num_bins = 1 + max(summary.maximum for summary in summaries.values()).bit_length()
    lower = torch.cat([torch.zeros(1, dtype=torch.long), 2 ** torch.arange(num_bins - 1)])
    figure = Figure(figsize=(max(5.0, 0.6 * num_bins), 3.5), layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / len(degrees)
    for index, (name, degree) in enumerate(degrees.items()):
        bins = torch.bucketize(degree.cpu(), lower, right=True) - 1
        at = torch.arange(num_bins) + (index + 0.5) * width - 0.4
        summary = summaries[name]
        label = f"{name}: median {summary.median:g}, largest {summary.maximum}, {summary.isolated} with none"
        counts = torch.bincount(bins, minlength=num_bins)
        axes.bar(at.tolist(), counts.tolist(), width, color=PALETTE[index], label=label)
    last = [2 * int(low) - 1 for low in lower]
    names = [f"{low}-{high}" if high > low else f"{low}" for low, high in zip(lower, last, strict=True)]
    axes.set_xticks(range(num_bins), names, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_minor_formatter("")
    axes.set_ylim(0.5, max(10.0, axes.get_ylim()[1]))  # a bin of one node still has a bar
    axes.set_xlabel(xlabel)
    axes.set_ylabel("nodes")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper left", frameon=False, fontsize=FONT_SIZE)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write `figure` as .svg or .png, the same bytes for the same figure; makes missing folders.

    Text in an SVG stays text, so that titles can be searched and any script is shown.

    Raises:
        ConfigError: another file type.
    """
    from matplotlib import rc_context

    if path.suffix not in FIGURE_TYPES:
        raise ConfigError(f"cannot draw '{path}'; a figure is written as .svg or .png")
    metadata = {"Date": None} if path.suffix == ".svg" else None
    style = rc_context({"svg.fonttype": "none", "svg.hashsalt": "anchorrec_graph"})
    with style, replacing(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], dpi=150, metadata=metadata)


def require_matplotlib() -> None:
    """Refuse to go on without matplotlib.

    Raises:
        AnchorRecError: it is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise AnchorRecError("figures need matplotlib, which is missing: pip install anchorrec_graph[report]")


def text_width(line: str, size: float) -> float:
    """Width in points of one line of plain text at font size `size`."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    return float(text_to_path.get_text_width_height_descent(line, FontProperties(size=size), False)[0])


def shorten(text: str, width: float, size: float) -> str:
    """`text` on one line, cut with an ellipsis to at most `width` points at font size `size`."""
    # Hardly a letter is narrower than a fifth of the font size: a long blurb need not be measured.
    whole = " ".join(printable(text).split())
    line = whole[: int(5 * width / size)]
    if line == whole and text_width(line, size) <= width:
        return line
    while line and text_width(line + "…", size) > width:
        line = line[:-1].rstrip()
    return line + "…"


def _check_series(count: int) -> None:
    if not 1 <= count <= len(PALETTE):
        raise DataError(f"{count} graphs to draw; colours tell 1 to {len(PALETTE)} apart")


def _title(graph: nx.Graph, node: Hashable) -> str:
    return str(graph.nodes[node].get("title") or node)


def _label(graph: nx.Graph, node: Hashable, layout: RadialLayout) -> str:
    """The title of `node`, short enough to end before the ring of its children if it has any."""
    room = layout.ring - 2 * LABEL_GAP if node in layout.parents else LABEL_WIDTH
    return shorten(_title(graph, node), min(room, LABEL_WIDTH), FONT_SIZE)


def _ego_canvas(layout: RadialLayout, labels: Mapping[Hashable, str], num_graphs: int) -> tuple[Figure, Axes]:
    """A figure whose axes show the labels' points around the root, a title above, a legend below."""
    from matplotlib.figure import Figure

    ends = [(-MIN_RING, -MIN_RING), (MIN_RING, MIN_RING)]
    for node, label in labels.items():
        reach = layout.depth[node] * layout.ring + LABEL_GAP + text_width(label, FONT_SIZE) + MARGIN
        ends.append((reach * math.cos(layout.angle[node]), reach * math.sin(layout.angle[node])))
    left, bottom = (min(axis) for axis in zip(*ends, strict=True))
    right, top = (max(axis) for axis in zip(*ends, strict=True))
    foot = LEGEND_ROW * num_graphs + MARGIN
    width, height = right - left, top - bottom + TITLE_SIZE + 2 * MARGIN + foot
    figure = Figure(figsize=(width / 72, height / 72))
    axes = figure.add_axes((0, foot / height, 1, (top - bottom) / height))
    axes.set_axis_off()
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    return figure, axes


def _draw_edges(
    axes: Axes, layout: RadialLayout, graph: nx.DiGraph, item: Hashable, name: str, index: int
) -> None:
    """Arrows of one graph, bent by its index so that equal edges of two graphs lie side by side."""
    from matplotlib.patches import FancyArrowPatch

    edges = [
        (tail, head, float(weight))
        for tail, head, weight in graph.edges(data="weight", default=1.0)
        if tail != head and tail in layout.depth and head in layout.depth
    ]
    weights = [weight for _, _, weight in edges] or [math.nan]
    least, largest = min(weights), max(weights)
    for tail, head, weight in edges:
        share = (weight - least) / (largest - least) if largest > least else 0.5
        arrow = FancyArrowPatch(
            layout.position(tail),
            layout.position(head),
            connectionstyle=f"arc3,rad={0.07 * (index + 1)}",
            arrowstyle="-|>",
            mutation_scale=7 if tail == item else 4,
            shrinkA=5,
            shrinkB=5,
            linewidth=(0.5 + 2.5 * share) * (1.0 if tail == item else 0.5),
            color=PALETTE[index],
            alpha=0.85 if tail == item else 0.35,
            zorder=2 if tail == item else 1,
        )
        axes.add_patch(arrow)
    span = f"weight {least:.2f} to {largest:.2f}" if edges else "no edges"
    axes.plot([], [], color=PALETTE[index], linewidth=2, label=f"{name} ({span})")


def _draw_nodes(axes: Axes, layout: RadialLayout, labels: Mapping[Hashable, str]) -> None:
    """Dots, and labels that run outwards and never upside down."""
    axes.plot(0, 0, "o", color="black", markersize=9, zorder=3)
    for node, label in labels.items():
        x, y = layout.position(node)
        axes.plot(x, y, "o", color="#555555", markersize=5, zorder=3)
        angle = layout.angle[node]
        leftwards = math.cos(angle) < 0
        axes.text(
            x + LABEL_GAP * math.cos(angle),
            y + LABEL_GAP * math.sin(angle),
            label,
            size=FONT_SIZE,
            rotation=math.degrees(angle) + (180 if leftwards else 0),
            rotation_mode="anchor",
            ha="right" if leftwards else "left",
            va="center",
            parse_math=False,
            bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 0.5},
            zorder=4,
        )
