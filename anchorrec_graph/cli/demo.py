"""anchorrec demo"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from anchorrec_graph.cli.options import Quiet, print_table
from anchorrec_graph.cli.recommend import print_recommendations
from anchorrec_graph.config import load_config
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.serve.catalog import Catalog
from anchorrec_graph.train.fit import fit
from anchorrec_graph.train.progress import display_for

MODELS = ("anchorrec", "lightgcn", "popularity")
METRICS = ("Recall@20", "NDCG@20", "Hit@20", "Coverage@20", "Novelty@20")


def demo(
    configs: Annotated[Path, typer.Option(help="The folder of configurations.")] = Path("configs"),
    runs: Annotated[Path, typer.Option(help="Where the runs go; an older demo there is replaced.")] = Path(
        "runs/demo"
    ),
    user: Annotated[str, typer.Option("--user", "-u", help="Whom to recommend films to.")] = "1",
    quiet: Quiet = False,
) -> None:
    """Train AnchorRec, LightGCN and popularity on the built-in films, compare them, and recommend."""
    if not configs.is_dir():
        raise ConfigError(f"{configs}: no such folder; run the demo in a checkout, or name it with --configs")
    rows: list[list[object]] = []
    for name in MODELS:
        config = load_config(configs / name / "movielens.yaml")
        shutil.rmtree(runs / name, ignore_errors=True)
        result = fit(config, config.dataset.load(), runs / name, display=display_for(quiet))
        rows.append([name, *(result.test[metric] for metric in METRICS)])
    print_table("test, full ranking, one seed", ["model", *METRICS], rows)
    table = Catalog.from_run(runs / "anchorrec").recommend([user], k=10)
    print_recommendations(f"AnchorRec for user {user}, and the share of each view in the score", table)
    print(f"run folder: {runs / 'anchorrec'}")
