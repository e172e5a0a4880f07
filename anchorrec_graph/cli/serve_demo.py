"""anchorrec serve-demo"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from anchorrec_graph.cli.options import Quiet, interruptible
from anchorrec_graph.cli.serve import require_serve, serve
from anchorrec_graph.config import load_config
from anchorrec_graph.data.planted_pictures import draw_pictures
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.serve.contents import run_contents
from anchorrec_graph.serve.export import is_export, save_export
from anchorrec_graph.train.fit import fit
from anchorrec_graph.train.progress import display_for

MODELS = ("anchorrec", "lightgcn")


def serve_demo(
    data: Annotated[
        Literal["movielens", "planted"], typer.Option(help="The built-in films, or the generated shop.")
    ] = "movielens",
    images: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Posters, named by film id; planted draws its own.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N")] = 8000,
    folder: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where models are kept; finished ones are used again.")
    ] = Path("runs/serve-demo"),
    configs: Annotated[Path, typer.Option(metavar="FOLDER", help="The folder of configurations.")] = Path(
        "configs"
    ),
    quiet: Quiet = False,
) -> None:
    """Train two models and serve them.

    AnchorRec and LightGCN side by side in the page. About two minutes the first time, seconds after that.
    Both data sets have features that no encoder here makes, so new products cannot be dropped in; with your
    own data, `anchorrec serve --encode` takes them.
    """
    require_serve()
    if not configs.is_dir():
        raise ConfigError(f"{configs}: no such folder; run this in a checkout, or name it with --configs")
    exports = []
    for model in MODELS:
        config = load_config(configs / model / f"{data}.yaml")
        export = folder / f"{model}-{data}-{config.hash}"
        exports.append(export)
        if not is_export(export):
            run = folder / "runs" / export.name
            with interruptible():
                loaded = config.dataset.load()
                fit(config, loaded, run, (run / "config.yaml").exists(), display_for(quiet))
                save_export(run_contents(run), export)
    if data == "planted":
        images = folder / "planted-pictures"
        draw_pictures(load_config(configs / "anchorrec" / "planted.yaml").dataset.load(), images)
    serve(exports[0], compare=exports[1], images=images, port=port)
