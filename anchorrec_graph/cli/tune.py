"""anchorrec tune"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from anchorrec_graph.cli.options import (
    AsJson,
    Overrides,
    Quiet,
    RayAddress,
    RayCores,
    interruptible,
    on_cluster,
    print_json,
    print_table,
    say,
    silent,
)
from anchorrec_graph.config import Config, load_config
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.tune import search
from anchorrec_graph.tune.report import Report, why_no_figure, write_report
from anchorrec_graph.tune.search import TuneResult
from anchorrec_graph.tune.space import Space, setting_of


def tune(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="Settings as YAML; the first trial.")],
    trials: Annotated[
        int, typer.Option(min=1, metavar="N", help="Trials of the study in the end, by all processes.")
    ] = 30,
    space: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What to tune; default search.yaml beside CONFIG.")
    ] = None,
    storage: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="SQLite; default runs/tune/<model>-<dataset>.sqlite."),
    ] = None,
    override: Overrides = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The best settings; default <study>-best.yaml beside the storage."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="With --ray: trials at once; default what its cores allow."),
    ] = None,
    ray: RayAddress = None,
    ray_cpus: RayCores = 1,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Search for better settings on validation.

    Test is never read. The same command goes on after a crash or kill, and may run in several processes.
    Trials and their importance are written as <study>-trials.csv and -importance.svg beside the storage.
    """
    if jobs is not None and ray is None:
        raise ConfigError(
            "--jobs: only with --ray; else start the command once more for each further process"
        )
    if out is not None and out.is_dir():
        raise ConfigError(f"--out {out}: is a folder; name a file for the best settings")
    settings = load_config(config, override or ())
    dimensions = Space.load(space or config.with_name("search.yaml"))
    if storage is None:
        storage = Path("runs/tune") / f"{settings.model.name}-{settings.dataset.name}.sqlite"
    show = silent if quiet else say
    with interruptible(), on_cluster(ray, ray_cpus, jobs) as cluster:
        data = settings.dataset.load()
        found = search.tune(settings, data, dimensions, trials, storage, show, cluster)
    report, rows = write_report(found, storage, out), _rows(found, settings, dimensions)
    if as_json:
        print_json(_summary(found, report, rows))
        return
    title = f"{found.study}: validation {found.metric} {found.best_value:.4f} in trial {found.best_trial}"
    if found.start_value is not None:
        title += f", {found.start_value:.4f} before"
    cells = [[key, cell[0], json.dumps(cell[1]), json.dumps(cell[2])] for key, cell in rows.items()]
    print_table(title, ["setting", "importance", "before", "best"], cells)
    for path in report:
        if path is not None:
            print(f"written: {path}")
    if report.importance is None:
        print(f"no figure of importance: {why_no_figure(found)}")


def _summary(found: TuneResult, report: Report, rows: dict[str, list[object]]) -> dict[str, object]:
    files = {name: None if path is None else str(path) for name, path in report._asdict().items()}
    return {
        "study": found.study,
        "metric": found.metric,
        "value": found.best_value,
        "trial": found.best_trial,
        "start_value": found.start_value,
        "trials": dict(found.trials["state"].value_counts().iter_rows()),
        "settings": {key: best for key, (_, _, best) in rows.items()},
        "importance": found.importance,
        "files": files,
        "no_figure": why_no_figure(found),
    }


def _rows(found: TuneResult, config: Config, space: Space) -> dict[str, list[object]]:
    """Importance, value before and best value by tuned key; the most important first."""
    keys = sorted(space.dimensions, key=lambda key: -found.importance.get(key, 0.0))
    return {
        key: [found.importance.get(key), setting_of(config, key), setting_of(found.best_config, key)]
        for key in keys
    }
