"""anchorrec diagnose"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from anchorrec_graph.cli.options import AsJson, EverySeed, Quiet, print_json
from anchorrec_graph.diagnose.formats import as_json as everything
from anchorrec_graph.diagnose.formats import check_suffix, write
from anchorrec_graph.diagnose.runs import diagnose_runs
from anchorrec_graph.diagnose.screen import text
from anchorrec_graph.text import printable


def diagnose(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN", help="Run folders, as printed by anchorrec train.")
    ],
    stage: Annotated[
        Literal["before", "after", "both"], typer.Option(help="The model before training, after it, or both.")
    ] = "both",
    epochs: Annotated[
        bool, typer.Option("--epochs", help="Also every epoch kept by train.snapshot_every.")
    ] = False,
    split: Annotated[
        Literal["validation", "test"], typer.Option(help="Held-out pairs that scores are measured on.")
    ] = "validation",
    k: Annotated[int, typer.Option("-k", min=1, metavar="N", help="Neighbours of an item.")] = 10,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write every number to .json, .csv, .parquet or .md."),
    ] = None,
    seed: EverySeed = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure what models do with their modalities.

    Do items keep the neighbours that their features give? Do views lie on top of each other? Which views
    are the scores made of? The screen shows the most telling numbers, --out FILE holds all, also by
    popularity quartile.
    """
    if out is not None:
        check_suffix(out)
    diagnoses = diagnose_runs(runs, stage=stage, epochs=epochs, split=split, k=k, seed=seed)
    if out is not None:
        write(diagnoses, out)
    if as_json:
        print_json(everything(diagnoses))
    elif not quiet:
        end = "Every number, also by popularity: --out FILE" if out is None else f"Every number: {out}"
        for line in [*text(diagnoses).splitlines(), end]:
            print(printable(line))
