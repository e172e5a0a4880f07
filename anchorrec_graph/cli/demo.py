"""anchorrec demo"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anchorrec_graph.cli.options import Quiet, interruptible, print_table
from anchorrec_graph.cli.recommend import print_recommendations
from anchorrec_graph.config import load_config
from anchorrec_graph.data.ids import Ids
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.serve.catalog import Catalog
from anchorrec_graph.train.fit import fit
from anchorrec_graph.train.progress import display_for

MODELS = ("anchorrec", "lightgcn", "popularity")
METRICS = ("Recall@20", "NDCG@20", "Hit@20", "Coverage@20", "Novelty@20")


def demo(
    configs: Annotated[Path, typer.Option(metavar="FOLDER", help="The folder of configurations.")] = Path(
        "configs"
    ),
    runs: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where the runs go; finished ones there are used again.")
    ] = Path("runs/demo"),
    user: Annotated[
        str, typer.Option("--user", "-u", metavar="ID", help="Whom to recommend films to.")
    ] = "1",
    quiet: Quiet = False,
) -> None:
    """Train three models on the built-in films, and compare.

    They are AnchorRec, LightGCN and popularity; AnchorRec then recommends films to one user.
    """
    if not configs.is_dir():
        raise ConfigError(f"{configs}: no such folder; run the demo in a checkout, or name it with --configs")
    settings = {name: load_config(configs / name / "movielens.yaml") for name in MODELS}
    rows: list[list[object]] = []
    folders: dict[str, Path] = {}
    for name, config in settings.items():
        with interruptible():
            data = config.dataset.load()
            Ids("user", data["user"].ids).row(user)  # refuses an unknown one before the training
            folder = runs / f"{name}-{config.hash}"
            result = fit(config, data, folder, (folder / "config.yaml").exists(), display_for(quiet))
        folders[name] = folder
        rows.append([name, *(result.test.get(metric) for metric in METRICS)])
    print_table("test, full ranking, one seed", ["model", *METRICS], rows)
    table = Catalog.from_run(folders["anchorrec"]).recommend([user], k=10)
    print_recommendations(f"AnchorRec for user {user}, and the share of each view in the score", table)
    print(f"run folder: {folders['anchorrec']}")
