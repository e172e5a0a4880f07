"""Options that several verbs share, and how they print."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from anchorrec_graph.cluster.connection import Cluster, connected
from anchorrec_graph.text import printable

CONFIG = typer.Option("--config", "-c", metavar="FILE", help="Settings as YAML, see configs/.")
ConfigPath = Annotated[Path, CONFIG]
OptionalConfigPath = Annotated[Path | None, CONFIG]
Overrides = Annotated[
    list[str] | None,
    typer.Option("-o", "--override", metavar="KEY=VALUE", help="Change a setting: -o train.epochs=50."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but the result.")]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, as printed by anchorrec train.")]
CatalogPath = Annotated[Path, typer.Argument(metavar="RUN_OR_EXPORT", help="A run folder, or an export.")]
Filter = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        "-f",
        metavar="COLUMN=VALUE",
        help="Of the item table; repeat a column for alternatives.",
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option("--ray", metavar="ADDRESS", help="Run on a Ray cluster: local starts one; auto; HOST:PORT."),
]
RayCores = Annotated[int, typer.Option(min=1, metavar="N", help="With --ray: cores of each task.")]
EverySeed = Annotated[int | None, typer.Option(help="One seed of the runs; default all.", metavar="N")]
Seed = Annotated[int | None, typer.Option(help="Which seed of the run; default its first.", metavar="N")]


@contextmanager
def interruptible() -> Iterator[None]:
    """On Ctrl-C say in one line what to do next, and exit with 130."""
    try:
        yield
    except KeyboardInterrupt as stop:
        print(one_line("; ".join(["interrupted", *getattr(stop, "__notes__", ())])), file=sys.stderr)
        raise typer.Exit(130) from stop


@contextmanager
def on_cluster(address: str | None, cpus: int, at_once: int | None = None) -> Iterator[Cluster | None]:
    """The cluster of --ray ADDRESS; None without it."""
    if address is None:
        yield None
    else:
        with connected(address, cpus, at_once) as cluster:
            yield cluster


def print_json(value: Any) -> None:
    print(json.dumps(_finite(value), allow_nan=False, default=str))


def _finite(value: Any) -> Any:
    """The value with None for NaN and infinity, which JSON has not."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_table(title: str, columns: list[str], rows: list[list[object]]) -> None:
    """A table for people. Numbers are right-aligned, floats with four decimals, None is `-`."""
    table = Table()
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], int | float | None) for row in rows)
        table.add_column(Text(column), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(format_cell(cell)) for cell in row))  # Text: a title may look like markup
    print(one_line(title))
    Console().print(table)


def format_cell(value: object) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else one_line(str(value))


def one_line(text: str) -> str:
    """Text without line breaks and terminal control codes, which data may contain."""
    return " ".join(printable(text).split())


def say(line: str) -> None:
    """Tell of progress, on standard error."""
    print(one_line(line), file=sys.stderr, flush=True)


def silent(line: str) -> None:
    """`say` where --quiet was given."""


def metric_rows(columns: Mapping[str, Mapping[str, float]]) -> list[list[object]]:
    """One row per metric, one cell per column of the table."""
    names = next(iter(columns.values()))
    return [[name, *(column[name] for column in columns.values())] for name in names]
