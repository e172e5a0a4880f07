"""anchorrec train"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anchorrec_graph.cli.options import (
    AsJson,
    OptionalConfigPath,
    Overrides,
    Quiet,
    interruptible,
    metric_rows,
    print_json,
    print_table,
)
from anchorrec_graph.config import Config, load_config
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.train.fit import FitResult, fit, summary
from anchorrec_graph.train.progress import display_for
from anchorrec_graph.train.ranks import joined
from anchorrec_graph.train.run import RunFolder


def train(
    config: OptionalConfigPath = None,
    override: Overrides = None,
    run_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="A new folder for the run, or after a restart by torchrun the one begun; "
            "default runs/<model>-<dataset>-<time>.",
        ),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Continue the run in this folder, instead of --config.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train a model, or go on with a run.

    Every seed of the configuration is trained; the epoch is chosen on validation, and tested once.
    Several processes share the batches of each step: torchrun --nproc-per-node N -m anchorrec_graph train ...
    """
    with interruptible(), joined() as ranks:
        if resume is not None and (config or override or run_dir):
            raise ConfigError("--resume goes on with the run's own settings; leave out -c, -o and --run-dir")
        settings = _settings(config, override, resume)
        data = settings.dataset.load()
        result = fit(settings, data, resume or run_dir, resume is not None, display_for(quiet), ranks)
    if not ranks.is_first:
        return
    if as_json:
        print_json({"run": str(result.folder), **summary(result), "per_seed": result.seeds})
    else:
        print_result(result, f"{settings.model.name} on {settings.dataset.name}")


def _settings(config: Path | None, override: list[str] | None, resume: Path | None) -> Config:
    if resume is not None:
        return RunFolder.open(resume).config
    if config is None:
        raise ConfigError("name --config FILE to start a run, or --resume RUN to continue one")
    return load_config(config, override or ())


def print_result(result: FitResult, title: str) -> None:
    columns = {"validation": result.validation, "test": result.test}
    if result.spread:
        title += f", mean over {len(result.seeds)} seeds"
        columns["test sd"] = result.spread
    print_table(title, ["metric", *columns], metric_rows(columns))
    print(f"run folder: {result.folder}")
