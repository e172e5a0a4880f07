"""anchorrec convert"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anchorrec_graph.cli.options import AsJson, Quiet, interruptible, print_json, say
from anchorrec_graph.convert.pipeline import FORMATS, README
from anchorrec_graph.convert.pipeline import convert as run_convert


def convert(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder made by anchorrec prepare.")],
    to: Annotated[str, typer.Option("--to", metavar="FORMAT", help=f"{' or '.join(FORMATS)}.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to make.")],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a folder that anchorrec convert made.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write a prepared folder in the format of MMRec or RecBole.

    The stored split, features and metadata come along; DIR/README.txt says how to load them. The way back
    is anchorrec prepare mmrec DIR, or anchorrec prepare recbole DIR/NAME.
    """
    with interruptible():
        notes = run_convert(folder, to, out, overwrite)
    if as_json:
        print_json({"folder": str(out), "notes": notes})
        return
    for note in () if quiet else notes:
        say(note)
    print(f"written: {out}; how to load it: {README} in the folder")
