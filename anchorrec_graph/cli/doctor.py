"""anchorrec doctor"""

from __future__ import annotations

from anchorrec_graph.cli.options import (
    AsJson,
    OptionalConfigPath,
    Overrides,
    Quiet,
    print_json,
    print_table,
)
from anchorrec_graph.config import load_config
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.graph.cache import cache_dir
from anchorrec_graph.train.environment import environment
from anchorrec_graph.train.memory import forecast

MIB = 2**20


def doctor(
    config: OptionalConfigPath = None,
    override: Overrides = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show versions and machine, and forecast memory.

    With --config: how much memory that run will need.
    """
    if override and config is None:
        raise ConfigError("-o changes a configuration; name it with --config FILE")
    report = environment()
    report["machine"]["cache"] = str(cache_dir())
    if config is not None:
        settings = load_config(config, override or ())
        parts = forecast(settings, settings.dataset.load())
        report["memory_mib"] = {part: round(size / MIB, 1) for part, size in parts.items()}
    if as_json:
        print_json(report)
        return
    packages = report["packages"].items()
    print_table(
        "packages", ["name", "version"], [[name, found or "not installed"] for name, found in packages]
    )
    if not quiet:
        rows = [[name.replace("_gib", ", GiB"), str(value)] for name, value in report["machine"].items()]
        print_table("machine", ["what", "value"], [*rows, ["python", report["python"]]])
    if config is not None:
        title = f"memory forecast for {config}, without other programs"
        print_table(title, ["part", "MiB"], [[p, round(size)] for p, size in report["memory_mib"].items()])
