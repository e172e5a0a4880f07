"""anchorrec export"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anchorrec_graph.cli.options import AsJson, Quiet, RunPath, Seed, print_json
from anchorrec_graph.serve.contents import run_contents
from anchorrec_graph.serve.export import save_export


def export(
    run: RunPath,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="A new folder.")],
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Also the score as an ONNX graph (extra export).")
    ] = False,
    seed: Seed = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write what serving needs.

    Plain files without the data or anything to train: safetensors, Parquet, a model card, and the SHA-256
    of each, which is checked whenever the export is read. recommend, similar, update, forget and serve
    take an export in place of a run.
    """
    manifest = save_export(run_contents(run, seed), out, onnx)
    if as_json:
        print_json({"out": str(out), **manifest})
    elif not quiet:
        size = sum(path.stat().st_size for path in out.iterdir()) / 2**20
        print(f"{manifest['card']['name']}: {len(manifest['files'])} files, {size:.1f} MiB, written to {out}")
        print(f"try: anchorrec serve {out}")
