"""The page on paper, on a dark screen, and for readers who see fewer colours."""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hostile import Page
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from anchorrec_graph.graph.drawing import PALETTE
from anchorrec_graph.report.bars import Bar, Panel, bar_figure
from anchorrec_graph.report.figures import INKS, inline_svg
from anchorrec_graph.report.map_figure import Marks, Panels, map_figure
from anchorrec_graph.report.page import is_wide
from anchorrec_graph.report.projection import Projection
from anchorrec_graph.report.style import GREY

Rules = dict[str, dict[str, str]]  # selector -> property -> value
DARK = "@media screen and (prefers-color-scheme: dark)"
PRINT = "@media print"
MEDIA = r"(@media[^{]*)\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}"  # its rules hold up to two levels
SVG = "{http://www.w3.org/2000/svg}"


def stylesheet(page: Path) -> dict[str, Rules]:
    """Media query, "" for none -> its rules."""
    (style,) = re.findall(r"<head>.*<style>(.*?)</style>", page.read_text(encoding="utf-8"), re.DOTALL)
    found: dict[str, Rules] = defaultdict(lambda: defaultdict(dict))
    for media, body in re.findall(MEDIA, style):
        _add(found[media.strip()], body)
    _add(found[""], re.sub(MEDIA, "", style))
    return found


def _add(rules: Rules, text: str) -> None:
    for selectors, declarations in re.findall(r"([^{};]+)\{([^{}]*)\}", text):
        pairs = [part.split(":", 1) for part in declarations.split(";") if ":" in part]
        for selector in selectors.split(","):
            rules[selector.strip()] |= {name.strip(): value.strip() for name, value in pairs}


@pytest.fixture(scope="module")
def styles(page: Path) -> dict[str, Rules]:
    return stylesheet(page)


def luminance(color: str) -> float:
    """Of WCAG 2."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(color)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, two: str) -> float:
    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)


def test_paper_loses_nothing_and_cuts_nothing_in_two(styles: dict[str, Rules]) -> None:
    rules = styles[PRINT]
    for selector in (".scroll", "pre"):
        assert rules[selector]["overflow"] == "visible"
    for selector in ("figure", "tr", "pre", "caption", ".gallery li"):
        assert rules[selector]["break-inside"] == "avoid"
    for selector in ("h2", "h3", "caption", "thead", ".caption"):
        assert rules[selector]["break-after"] == "avoid"
    assert rules["td"]["white-space"] == "normal"  # or a table of many runs runs off the paper
    assert rules[":root"]["font-size"] == "10pt"  # rem follows: captions are not larger than the text
    assert rules["figure.wide"]["page"] == "wide"


def test_paper_is_never_dark(styles: dict[str, Rules]) -> None:
    assert set(styles) == {"", PRINT, DARK, "@media screen and (max-width: 48rem)"}
    assert styles[""][":root"]["color-scheme"] == "light"
    assert styles[DARK][":root"]["color-scheme"] == "dark"


def test_every_colour_has_a_dark_one(page: Path, styles: dict[str, Rules]) -> None:
    light, dark = ({k: v for k, v in styles[media][":root"].items() if "--" in k} for media in ("", DARK))
    assert set(light) == set(dark)
    assert set(re.findall(r"var\(--(\w+)", page.read_text(encoding="utf-8"))) == {k[2:] for k in light}
    for media, rules in styles.items():
        for selector, declarations in rules.items():
            values = " ".join(value for name, value in declarations.items() if not name.startswith("--"))
            assert not re.search(r"#[0-9a-f]{3}|rgb|white|black", values), (media, selector)


@pytest.mark.parametrize("media", ["", DARK])
def test_text_and_marks_stand_out(styles: dict[str, Rules], media: str) -> None:
    colors = styles[media][":root"]
    for name in ("--ink", "--soft", "--link"):
        assert contrast(colors[name], colors["--paper"]) > 7
    assert contrast(colors["--ink"], colors["--sunk"]) > 7
    assert contrast(colors["--edge"], colors["--paper"]) > 3
    least = 3 if media == DARK else 2.2  # amber and light blue on white; each has its own shape and hatch
    assert all(contrast(color, colors["--paper"]) > least for color in (*PALETTE, GREY))


def test_figures_follow_the_page_but_not_on_disk(page: Path, styles: dict[str, Rules]) -> None:
    text = page.read_text(encoding="utf-8")
    for color, name in INKS.items():
        assert not re.search(f"(fill|stroke): {color}", text)
        assert f"var(--{name}, {color})" in text
        assert f"--{name}" in styles[""][":root"]
    assert styles[""]["figure svg"]["fill"] == "var(--ink)"  # of text, which has no colour of its own
    for saved in (page.parent / "figures").glob("*.svg"):
        assert "var(" not in saved.read_text(encoding="utf-8")


def test_only_inks_become_properties() -> None:
    svg = f'<svg xmlns="{SVG[1:-1]}"><path style="fill: #ffffff; stroke: #0072b2"/></svg>'
    assert 'style="fill: var(--paper, #ffffff); stroke: #0072b2"' in inline_svg(svg, "a", "b")


def test_figures_say_what_they_show(page: Path) -> None:
    folder = page.parent / "figures"
    words = {
        path.stem: [mark.text or "" for mark in ElementTree.parse(path).iter(f"{SVG}text")]
        for path in folder.glob("*.svg")
    }
    assert all(len(texts) > 5 for texts in words.values())
    assert "shared neighbours" in words["collapse-quartiles"]
    assert "items by popularity" in words["collapse-quartiles"]
    assert {"epoch", "seed 0", "seed 1"} <= set(words["curves-1"])
    assert "lift" in words["lift"]
    assert any(text.startswith("score") for text in words["examples"])


def test_figures_fit_paper_without_small_print(page: Path) -> None:
    """Letters of 9 points stay above 7 where they are set upright; maps lie across."""
    classes = {str(attrs["id"]): attrs.get("class") for attrs in Page(page).all("figure")}
    for path in (page.parent / "figures").glob("*.svg"):
        points = float(ElementTree.parse(path).getroot().attrib["width"].removesuffix("pt"))
        assert points <= 8.5 * 72 or classes[f"figure-{path.stem}"] == "wide", path.stem


def test_only_large_figures_lie_across() -> None:
    assert is_wide(Figure(figsize=(10.9, 6.2)))
    assert not is_wide(Figure(figsize=(10.9, 2.5)))
    assert not is_wide(Figure(figsize=(7.0, 7.0)))


def test_captions_are_not_cut_by_narrow_tables(page: Path, styles: dict[str, Rules]) -> None:
    assert page.read_text(encoding="utf-8").count("<caption><span>") == len(Page(page).all("caption"))
    assert styles[""]["caption"]["contain"] == "inline-size"
    assert styles[""]["caption span"]["width"] == "max-content"


def test_kinds_that_look_alike_differ_in_fill() -> None:
    """As a deuteranope sees them (Vienot, Brettel and Mollon 1999): those of near colour have other dots."""
    kinds = list("abcdefg")
    points = np.random.default_rng(0).random((7, 2))
    panels = Panels(["x"], ["y"], {("x", "y"): Projection(points, None)})
    figure = map_figure(panels, Marks(kinds, kinds[:6], []))
    dots = figure.axes[0].collections
    assert len(dots) == 7
    looks = []
    for dot in dots:
        filled = len(dot.get_facecolor()) > 0
        color = (dot.get_facecolor() if filled else dot.get_edgecolor())[0][:3]
        stroked = bool(dot.get_linewidth()[0] > 0)
        looks.append((seen(color), filled, stroked, dot.get_paths()[0].vertices.tobytes()))
    for one, two in combinations(looks, 2):
        assert one[3] != two[3]
        if np.linalg.norm(one[0] - two[0]) < 0.25:
            assert one[1:3] != two[1:3] or (one[2], two[2]) == (False, False)
    green, pink = looks[3], looks[4]
    assert np.linalg.norm(green[0] - pink[0]) < 0.25
    assert green[1:3] != pink[1:3]


def seen(color: np.ndarray) -> np.ndarray:
    to_deuteranope = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])
    return np.clip(to_deuteranope @ color**2.2, 0, 1) ** (1 / 2.2)


def test_a_line_at_zero_is_seen() -> None:
    """Not below a spine, nor below a thick black line."""
    (axes,) = bar_figure([[Panel("", [Bar("a", 0.5)], {"random": 0.0})]], [""]).axes
    assert axes.get_xlim()[0] < 0
    assert not axes.spines["left"].get_visible()
    dotted, zero = (line for line in axes.lines if list(line.get_xdata()) == [0, 0])
    assert (dotted.get_linestyle(), zero.get_color()) == (":", GREY)
    assert dotted.get_zorder() > zero.get_zorder()
