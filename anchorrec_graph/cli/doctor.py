"""anchorrec doctor"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anchorrec_graph.cli.options import AsJson, Overrides, Quiet, print_json, print_table
from anchorrec_graph.config import load_config
from anchorrec_graph.train.environment import environment
from anchorrec_graph.train.memory import forecast

MIB = 2**20


def doctor(
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Also forecast this run's memory.")] = None,
    override: Overrides = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Print versions, cores, the optional parts found, and the memory that a run will need."""
    report = environment()
    if config is not None:
        settings = load_config(config, override or ())
        report["memory_mib"] = {
            part: round(size / MIB, 1) for part, size in forecast(settings, settings.dataset.load()).items()
        }
    if as_json:
        print_json(report)
        return
    packages = report["packages"].items()
    print_table("packages", ["name", "version"], [[name, found or "not installed"] for name, found in packages])
    if not quiet:
        print_table("machine", ["what", "value"], [[name, str(value)] for name, value in report["machine"].items()])
    if config is not None:
        print_table(f"memory forecast for {config}", ["part", "MiB"], [list(p) for p in report["memory_mib"].items()])
