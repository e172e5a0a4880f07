"""anchorrec report"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anchorrec_graph.cli.options import Quiet, interruptible, say, silent
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.report import write_report


def report(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN", help="Run folders, each FOLDER or LABEL=FOLDER; several are compared."),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The page, .html.")] = Path("report.html"),
    figures: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Figures as SVG and PNG; default beside the page."),
    ] = None,
    color: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Of the item table, for the maps; default a fitting one."),
    ] = None,
    highlight: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID", help="An item numbered in the maps; may be repeated. Default: popular ones."
        ),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Images of items, <item id>.jpg or .png.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Write one HTML page about finished runs.

    It has the data, results, learning curves, maps of the item spaces, diagnosis, explained examples and an
    audit; it needs no network and holds no script. The first run is what the others are tested against.
    """
    if out.suffix not in (".html", ".htm"):
        raise ConfigError(f"--out {out}: the file must end in .html")
    with interruptible():
        written = write_report(
            runs, out, figures=figures, color=color, highlight=highlight or (), images=images,
            say=silent if quiet else say,
        )  # fmt: skip
    print(f"report: {written}")
