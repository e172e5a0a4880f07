"""anchorrec doctor"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

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
from anchorrec_graph.train.plan import plan as make_plan
from anchorrec_graph.train.plan import verdict
from anchorrec_graph.train.shop import Shop, keys, read_shop

MIB = 2**20


def show_plan(shop: Shop, as_json: bool) -> None:
    found = make_plan(shop)
    stages, told = found.stages, verdict(shop, found.stages)
    if as_json:
        rest = {"settings": found.settings, "steps_per_epoch": found.steps, "warning": found.warning}
        print_json({"stages": [stage._asdict() for stage in stages], "verdict": told, **rest})
        return
    title = (
        f"{shop.items:.3g} items, {shop.users:.3g} users, {shop.interactions:.3g} interactions on "
        f"{_count(shop.machines, 'machine')} of {_count(shop.cores, 'core')} and {shop.memory_gib:g} GiB"
    )
    rows: list[list[object]] = [
        [stage.name, _time(stage.seconds), f"{stage.memory_gib:.1f}", stage.engine] for stage in stages
    ]
    print_table(title, ["stage", "time", "GiB per process", "by"], rows)
    print("settings, beside those of configs/anchorrec/planted.yaml:")
    print(" ".join(f"-o {shlex.quote(setting)}" for setting in found.settings))
    print(f"an epoch has {_count(found.steps, 'optimiser step')}")
    print("\n".join(line for line in (found.warning, told) if line))


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _time(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _refuse_with_plan(config: Path | None, override: list[str] | None, quiet: bool) -> None:
    given = [name for name, value in (("--config", config), ("-o", override), ("-q", quiet)) if value]
    if given:
        raise ConfigError(
            f"leave {' and '.join(given)} out: --plan reads no configuration and prints its result only; "
            f"give sizes as KEY=VALUE, of {keys()}"
        )


def doctor(
    sizes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...", help="With --plan: items=1e6 users=1e6 interactions=1e7 ..."
        ),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help=f"Memory and time by stage of {keys()}.")] = False,
    config: OptionalConfigPath = None,
    override: Overrides = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show versions and machine, and forecast memory.

    With --config: how much memory that run will need. With --plan: memory and time by stage of a shop of
    any size, of which items, users and interactions must be given.
    """
    if plan:
        _refuse_with_plan(config, override, quiet)
        show_plan(read_shop(sizes or ()), as_json)
        return
    if sizes:
        raise ConfigError(f"'{sizes[0]}': sizes belong to --plan")
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
