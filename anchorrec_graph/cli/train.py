"""anchorrec train"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anchorrec_graph.cli.options import AsJson, Overrides, Quiet, metric_rows, print_json, print_table
from anchorrec_graph.config import load_config
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.train.fit import FitResult, fit
from anchorrec_graph.train.progress import display_for
from anchorrec_graph.train.run import RunFolder


def train(
    config: Annotated[Path | None, typer.Option("--config", "-c", help="A YAML file, see configs/.")] = None,
    override: Overrides = None,
    run_dir: Annotated[
        Path | None, typer.Option(help="A new folder for the run; default runs/<model>-<dataset>-<time>.")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Continue the run in this folder.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train every seed of a configuration, choose the epoch on validation, and test once."""
    if (config is None) == (resume is None):
        raise ConfigError("name either --config FILE to start a run, or --resume FOLDER to continue one")
    if resume is not None and (override or run_dir):
        raise ConfigError("--resume continues with the run's own settings and folder; leave out -o and --run-dir")
    settings = RunFolder.open(resume).config if resume else load_config(config or "", override or ())
    result = fit(
        settings, settings.dataset.load(), resume or run_dir, resume is not None, display_for(quiet or as_json)
    )
    if as_json:
        print_json({**result._asdict(), "folder": str(result.folder)})
    else:
        print_result(result, f"{settings.model.name} on {settings.dataset.name}")


def print_result(result: FitResult, title: str) -> None:
    columns = {"validation": result.validation, "test": result.test}
    if len(result.seeds) > 1:
        title += f", mean over {len(result.seeds)} seeds"
        columns["test sd"] = result.spread
    print_table(title, ["metric", *columns], metric_rows(columns))
    print(f"run folder: {result.folder}")
