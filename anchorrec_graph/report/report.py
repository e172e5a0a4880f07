"""`write_report`: runs in, one HTML file and a folder of figures out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from anchorrec_graph.files import replacing
from anchorrec_graph.report.audit import audit_section
from anchorrec_graph.report.blocks import FigureBlock, Section
from anchorrec_graph.report.curves import curves_section
from anchorrec_graph.report.dataset import dataset_section
from anchorrec_graph.report.diagnosis import diagnosis_sections
from anchorrec_graph.report.examples import examples_section
from anchorrec_graph.report.figures import embed
from anchorrec_graph.report.libraries import require_report
from anchorrec_graph.report.maps import maps_section
from anchorrec_graph.report.origin import origin_section
from anchorrec_graph.report.page import render
from anchorrec_graph.report.results import results_section
from anchorrec_graph.report.sample import choose_cast
from anchorrec_graph.report.slices import slices_section
from anchorrec_graph.report.sources import Sources, read_sources
from anchorrec_graph.report.style import page_style
from anchorrec_graph.report.thumbnails import check_folder

Say = Callable[[str], None]  # gets a line per section


def write_report(
    runs: Sequence[str | Path],
    out: str | Path,
    *,
    figures: str | Path | None = None,
    color: str | None = None,
    highlight: Sequence[str] = (),
    images: str | Path | None = None,
    say: Say = lambda line: None,  # noqa: ARG005
) -> Path:
    """One page about one run, or about several that it compares; needs no network and holds no script.

    Args:
        runs: finished run folders, each also as `LABEL=FOLDER`; the others are tested against the first.
        out: the HTML file.
        figures: the folder for the figures as SVG and PNG; default `<out without suffix>-figures`.
        color: the column of the item table that colours the maps; default see `item_categories`.
        highlight: ids of the items that are numbered in the maps; default the most popular ones.
        images: a folder with `<item id>.jpg` or `.png`, shown in the examples.
        say: told what is being done.

    Raises:
        ConfigError: a missing library, runs with different metrics or masks, a label twice.
        DataError: runs with different interactions or splits, an unknown column or item.
        RunError: a run that is missing, not finished, damaged or of other data.
    """
    require_report()
    out = Path(out)
    folder = Path(figures) if figures is not None else out.with_name(f"{out.stem}-figures")
    thumbnails = None if images is None else Path(images)
    check_folder(thumbnails)
    sources = read_sources([str(run) for run in runs])
    cast = choose_cast(sources.task.data, color, highlight)
    makers: dict[str, Callable[[], list[Section]]] = {
        "runs": lambda: [origin_section(sources)],
        "data set": lambda: [dataset_section(sources)],
        "results": lambda: [results_section(sources)],
        "slices": lambda: [slices_section(sources)],
        "learning curves": lambda: [curves_section(sources)],
        "maps": lambda: [maps_section(sources, cast)],
        "diagnosis": lambda: diagnosis_sections(sources),
        "examples": lambda: [examples_section(sources, thumbnails)],
        "audit": lambda: [audit_section(sources, cast.kinds)],
    }
    sections: list[Section] = []
    embedded: dict[str, str] = {}
    for number, (name, make) in enumerate(makers.items(), start=1):
        say(f"[{number}/{len(makers)}] {name}")
        with page_style():
            made = make()
        drawn = [block for section in made for block in section.blocks if isinstance(block, FigureBlock)]
        embedded |= {block.name: embed(block, folder) for block in drawn}
        sections += made
    title, intro = _heading(sources)
    with replacing(out) as temporary:
        temporary.write_text(render(title, intro, sections, embedded), encoding="utf-8")
    return out


def _heading(sources: Sources) -> tuple[str, str]:
    labels = [run.label for run in sources.runs]
    name = sources.task.data.manifest["name"]
    if len(labels) == 1:
        return f"{labels[0]} on {name}", f"A report on one trained model: {labels[0]} on the data set {name}."
    return (
        f"{len(labels)} models on {name}",
        f"A report that compares {', '.join(labels)} on the data set {name}; "
        f"tests of significance are against {labels[0]}.",
    )
