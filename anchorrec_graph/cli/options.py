"""Options that several verbs share, and how they print."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

ConfigPath = Annotated[Path, typer.Option("--config", "-c", help="A YAML file, see configs/.")]
Overrides = Annotated[
    list[str] | None, typer.Option("-o", "--override", help="key=value, for example -o train.epochs=50.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but the result.")]
RunPath = Annotated[Path, typer.Argument(help="A run folder, as printed by `anchorrec train`.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Which seed of the run; default its first.")]


def print_json(value: Any) -> None:
    print(json.dumps(value, allow_nan=False))


def print_table(title: str, columns: list[str], rows: list[list[object]]) -> None:
    """A table for people. Numbers are right-aligned, floats with four decimals."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(format_cell(cell) for cell in row))
    Console().print(table)


def format_cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def metric_rows(columns: Mapping[str, Mapping[str, float]]) -> list[list[object]]:
    """One row per metric, one cell per column of the table."""
    names = next(iter(columns.values()))
    return [[name, *(column[name] for column in columns.values())] for name in names]
