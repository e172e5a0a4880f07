"""What the figures show, and that their labels can be read."""

from __future__ import annotations

import math
import sys
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import networkx as nx
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.path import Path as Outline
from matplotlib.text import Text
from matplotlib.transforms import Affine2D

from anchorrec_graph.errors import AnchorRecError, ConfigError, DataError
from anchorrec_graph.graph.drawing import (
    MAX_NODES,
    PALETTE,
    degree_figure,
    ego_figure,
    save_figure,
    shorten,
    text_width,
)
from anchorrec_graph.graph.topology import ego_network, to_networkx_items

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


def item_graph(num_items: int, k: int, seed: int) -> nx.DiGraph:
    generator = torch.Generator().manual_seed(seed)
    weight, neighbour = torch.rand(num_items, num_items, generator=generator).fill_diagonal_(0).topk(k)
    item = torch.arange(num_items).repeat_interleave(k)
    titles = [f"Item {i}: {'Wide Words ' * (i % 7)}(${i}_)" for i in range(num_items)]
    return to_networkx_items(torch.stack([item, neighbour.flatten()]), weight.flatten(), num_items, titles)


def small_graph(**weights: float) -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_weighted_edges_from((edge[0], edge[1], weight) for edge, weight in weights.items())
    return graph


def arrows(figure: Figure) -> list[FancyArrowPatch]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, FancyArrowPatch)]


def outline(text: Text) -> Outline:
    """The box of a rotated label on the page, in pixels."""
    anchor, angle = text.get_transform().transform(text.get_position()), text.get_rotation()
    text.set_bbox(None)
    text.set_rotation(0)
    (left, bottom), (right, top) = text.get_window_extent().get_points()
    text.set_rotation(angle)
    corners = [(left, bottom), (right, bottom), (right, top), (left, top), (left, bottom)]
    return Outline(Affine2D().rotate_deg_around(*anchor, angle).transform(corners))


@pytest.mark.parametrize(("k", "radius"), [(3, 1), (12, 1), (8, 2)])
def test_no_two_labels_overlap_and_all_are_on_the_page(k: int, radius: int) -> None:
    graphs = {
        name: ego_network(item_graph(90, k, seed), 5, radius) for name, seed in [("image", 1), ("text", 2)]
    }
    figure = ego_figure(graphs, 5)
    figure.draw_without_rendering()
    boxes = [outline(text) for text in figure.axes[0].texts]
    assert len(boxes) == len(nx.compose_all(graphs.values())) - 1
    for one, two in combinations(boxes, 2):
        assert not one.intersects_path(two, filled=True)
    dots = [figure.axes[0].transData.transform(line.get_xydata()) for line in figure.axes[0].lines]
    for box in boxes:
        assert not any(box.contains_points(dot).any() for dot in dots if len(dot))
    others = [figure.texts[0].get_window_extent(), figure.legends[0].get_window_extent()]
    page = figure.bbox
    for corners in [box.vertices for box in boxes] + [box.get_points() for box in others]:
        assert corners.min() >= 0
        assert (corners <= page.size).all()
    for box in boxes:
        assert not any(box.intersects_bbox(other, filled=True) for other in others)


def test_each_graph_has_its_colour_and_a_legend_with_its_weights() -> None:
    figure = ego_figure({"image": small_graph(ab=0.2, ac=0.6), "text": small_graph(ab=0.9, ad=0.9)}, "a")
    colours = [to_hex(arrow.get_edgecolor()).upper() for arrow in arrows(figure)]
    assert colours == [PALETTE[0]] * 2 + [PALETTE[1]] * 2
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["image (weight 0.20 to 0.60)", "text (weight 0.90 to 0.90)"]
    assert sorted(text.get_text() for text in figure.axes[0].texts) == ["b", "c", "d"]
    assert figure.texts[0].get_text() == "Nearest to: a"


def test_edge_width_grows_linearly_with_weight_and_self_loops_are_left_out() -> None:
    figure = ego_figure({"image": small_graph(aa=1.0, ab=0.2, ac=0.4, ad=0.6)}, "a")
    thin, middle, thick = (arrow.get_linewidth() for arrow in arrows(figure))
    assert thin < thick
    assert middle == pytest.approx((thin + thick) / 2)


def test_edges_between_neighbours_are_paler() -> None:
    figure = ego_figure({"image": small_graph(ab=0.5, bc=0.5)}, "a")
    own, other = arrows(figure)
    assert own.get_alpha() > other.get_alpha()
    assert own.get_linewidth() > other.get_linewidth()


def test_an_item_without_neighbours_is_drawn_alone() -> None:
    graph = nx.DiGraph()
    graph.add_node(3, title="Alone")
    figure = ego_figure({"image": graph}, 3)
    assert not figure.axes[0].texts
    assert figure.legends[0].get_texts()[0].get_text() == "image (no edges)"


def test_ego_figure_refuses_what_cannot_be_read() -> None:
    star = nx.DiGraph((0, leaf) for leaf in range(1, MAX_NODES + 1))
    with pytest.raises(DataError, match="smaller radius"):
        ego_figure({"image": star}, 0)
    with pytest.raises(DataError, match="0 graphs to draw"):
        ego_figure({}, 0)
    with pytest.raises(DataError, match="7 graphs to draw; colours tell 1 to 6 apart"):
        ego_figure({str(i): star for i in range(7)}, 0)
    with pytest.raises(DataError, match="'z' is not a node of the text graph"):
        ego_figure({"text": small_graph(ab=1.0)}, "z")


def test_degree_bars_count_nodes_in_doubling_bins() -> None:
    few, many = torch.tensor([0, 0, 1, 2, 3, 4, 7, 8]), torch.tensor([1, 1, 1, 15])
    figure = degree_figure({"image": few, "text": many}, "lists that an item is in")
    axes = figure.axes[0]
    heights = [[bar.get_height() for bar in bars] for bars in axes.containers]
    assert heights == [[2, 1, 2, 2, 1], [0, 3, 0, 0, 1]]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1", "2-3", "4-7", "8-15"]
    assert axes.get_xlabel() == "lists that an item is in"
    assert figure.legends[0].get_texts()[0].get_text() == "image: median 2.5, largest 8, 2 with none"


def test_degree_figure_of_a_graph_without_edges_and_of_a_long_tail() -> None:
    assert [bar.get_height() for bar in degree_figure({"users": torch.zeros(4).long()}).axes[0].patches] == [
        4
    ]
    figure = degree_figure({"users": torch.tensor([1, 200_000])})
    figure.draw_without_rendering()
    ticks = figure.axes[0].get_xticklabels()
    for left, right in combinations(ticks, 2):
        assert not outline(left).intersects_path(outline(right), filled=True)


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_saved_figures_are_equal_byte_for_byte(tmp_path: Path, suffix: str) -> None:
    written = []
    for name in ("one", "two"):
        path = tmp_path / "new" / f"{name}{suffix}"
        save_figure(ego_figure({"image": ego_network(item_graph(20, 3, 0), 0, 1)}, 0), path)
        written.append(path.read_bytes())
    assert written[0] == written[1]
    if suffix == ".png":
        assert written[0].startswith(PNG_MAGIC)


def test_svg_keeps_titles_as_text_without_reading_them_as_formulas(tmp_path: Path) -> None:
    graph = nx.DiGraph([(0, 1)])
    nx.set_node_attributes(graph, {0: "A & B\n<3>", 1: r"$5 off_$ \alpha" + "\x07"}, "title")
    save_figure(ego_figure({"image": graph}, 0), tmp_path / "ego.svg")
    texts = [
        node.text for node in ElementTree.parse(tmp_path / "ego.svg").iter() if node.tag.endswith("text")
    ]
    assert {"Nearest to: A & B <3>", r"$5 off_$ \alpha"} <= set(texts)


def test_other_file_types_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"written as \.svg or \.png"):
        save_figure(degree_figure({"users": torch.ones(2).long()}), tmp_path / "figure.bmp")


def test_a_missing_matplotlib_is_named_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for draw in (lambda: ego_figure({}, 0), lambda: degree_figure({})):
        with pytest.raises(AnchorRecError, match=r"pip install anchorrec_graph\[report\]"):
            draw()


def test_shorten_fits_the_width_and_keeps_what_fits() -> None:
    assert shorten("Toy  Story\n(1995)", 200, 8) == "Toy Story (1995)"
    for width in (20, 60, 150):
        short = shorten("The Adventures of " * 40, width, 8)
        assert short.endswith("…")
        assert width - 15 < text_width(short, 8) <= width


def test_palette_stays_apart_for_colour_blind_readers() -> None:
    """Distance of all pairs as a deuteranope sees them (Vienot, Brettel and Mollon 1999), in linear RGB."""
    to_deuteranope = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])
    rgb = np.array([[int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for colour in PALETTE])
    seen = np.clip(rgb**2.2 @ to_deuteranope.T, 0, 1) ** (1 / 2.2)
    for one, two in combinations(seen, 2):
        assert math.dist(one, two) > 0.15
