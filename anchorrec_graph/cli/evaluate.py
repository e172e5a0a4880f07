"""anchorrec evaluate"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
import typer

from anchorrec_graph.cli.options import AsJson, Quiet, RunPath, Seed, metric_rows, print_json, print_table
from anchorrec_graph.evaluate.evaluator import Evaluator
from anchorrec_graph.evaluate.slices import slice_metrics
from anchorrec_graph.train.fit import load_run


def evaluate(
    run: RunPath,
    split: Annotated[Literal["validation", "test"], typer.Option(help="Which held-out pairs.")] = "test",
    slices: Annotated[bool, typer.Option(help="Also by user activity and item popularity.")] = True,
    seed: Seed = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Evaluate a trained run by full ranking."""
    trained = load_run(run, seed)
    with torch.no_grad():
        result = Evaluator(trained.config.evaluate, trained.data).evaluate(trained.model.final(), split)
    table = slice_metrics(result, trained.data, [trained.config.train.metric]) if slices else None
    if as_json:
        by_slice = {} if table is None else {"slices": table.to_dicts()}
        print_json(
            {"run": str(run), "seed": trained.seed, "split": split, "metrics": result.metrics, **by_slice}
        )
        return
    title = f"{trained.config.model.name} on {trained.config.dataset.name}, seed {trained.seed}"
    print_table(title, ["metric", split], metric_rows({split: result.metrics}))
    if table is not None and not quiet:
        print_table("slices", table.columns, [list(row) for row in table.rows()])
