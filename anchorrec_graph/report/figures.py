"""Figures on disk and in the page."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from xml.etree import ElementTree

from anchorrec_graph.graph.drawing import save_figure
from anchorrec_graph.report.blocks import FigureBlock
from anchorrec_graph.report.style import page_style

LARGEST_SVG = 1_000_000  # bytes; a larger drawing stands in the page as pixels
# What the page recolours in dark mode: its custom property for each colour that is no series.
INKS = {"#000000": "ink", "#ffffff": "paper", "#555555": "soft", "#bbbbbb": "frame", "#e3e3e3": "grid"}
SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"


def embed(block: FigureBlock, folder: Path) -> str:
    """Write `<name>.svg` and `<name>.png` into `folder`; returns the HTML that shows the figure.

    Drawings stand in the page as they are, so that their text can be searched.
    """
    vector, pixels = folder / f"{block.name}.svg", folder / f"{block.name}.png"
    with page_style():
        for path in (vector, pixels):
            save_figure(block.figure, path)
    if vector.stat().st_size > LARGEST_SVG:
        return _image(data_uri(pixels.read_bytes(), "image/png"), block.alt)
    return inline_svg(vector.read_text(encoding="utf-8"), block.name, block.alt)


def data_uri(content: bytes, mime: str) -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"


def inline_svg(text: str, name: str, alt: str) -> str:
    """The `<svg>` element of a file, without metadata, with ids that no other figure of the page has.

    Black, white and the greys of grids become custom properties of the page, with the colour itself for pages
    without them.
    """
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    root = ElementTree.fromstring(text)
    for parent in [*root.iter()]:
        for child in parent.findall(f"{{{SVG}}}metadata"):
            parent.remove(child)
        for key, value in parent.attrib.items():
            if key == "id":
                value = f"{name}-{value}"
            elif key == f"{{{XLINK}}}href":
                value = re.sub("^#", f"#{name}-", value)
            elif key == "style":
                value = re.sub(r"(?<=: )#[0-9a-f]{6}\b", _ink, value)
            parent.set(key, re.sub(r"url\(#", f"url(#{name}-", value))
    root.set("role", "img")
    root.set("aria-label", alt)
    return ElementTree.tostring(root, encoding="unicode")


def _ink(color: re.Match[str]) -> str:
    name = INKS.get(color[0])
    return f"var(--{name}, {color[0]})" if name else color[0]


def _image(source: str, alt: str) -> str:
    image = ElementTree.Element("img", {"src": source, "alt": alt})
    return ElementTree.tostring(image, encoding="unicode", method="html")
