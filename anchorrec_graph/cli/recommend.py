"""anchorrec recommend"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from polars import selectors

from anchorrec_graph.cli.options import AsJson, CatalogPath, Filter, Quiet, Seed, print_json, print_table
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.files import replacing
from anchorrec_graph.serve.catalog import Catalog


def recommend(
    run: CatalogPath,
    user: Annotated[
        list[str] | None, typer.Option("--user", "-u", metavar="ID", help="A user id; may be repeated.")
    ] = None,
    history: Annotated[
        list[str] | None,
        typer.Option("--history", metavar="ID", help="An item of someone whom the model does not know."),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, metavar="N", help="How many items a user gets.")] = 10,
    filters: Filter = None,
    weight: Annotated[
        list[str] | None,
        typer.Option(metavar="VIEW=NUMBER", help="How much a view counts; 1 is as trained."),
    ] = None,
    seen: Annotated[bool, typer.Option("--seen", help="Also items that the user already has.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write .parquet or .csv; without --user for all users."),
    ] = None,
    seed: Seed = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Recommend items to users.

    The table shows the share of each view in a score; files and JSON hold its part, and the parts sum to
    the score. A share may be negative: that view speaks against the item.
    """
    if not user and not history and out is None:
        raise ConfigError("name at least one --user, items of a --history, or --out FILE for all users")
    if user and history:
        raise ConfigError("a --user has a history already; give --user or --history")
    if out is not None and out.suffix not in WRITERS:
        raise ConfigError(f"--out {out}: the file must end in {' or '.join(WRITERS)}")
    catalog, wanted = Catalog.open(run, seed), list(dict.fromkeys(user or [])) or None
    passing, weights = parse_filters(filters or []), parse_numbers("weight", weight or [])
    if history:
        table = catalog.recommend_for(history, k, not seen, passing, weights)
    else:
        table = catalog.recommend(wanted, k, not seen, passing, weights)
    if out is not None:
        with replacing(out) as temporary:
            WRITERS[out.suffix](table, temporary)
        if as_json:
            print_json({"run": str(run), "out": str(out), "recommendations": len(table)})
        elif not quiet:
            print(f"{len(table)} recommendations written to {out}")
    elif as_json:
        print_json({"run": str(run), "recommendations": table.to_dicts()})
    elif history:
        print_recommendations(f"for someone with {', '.join(history)}", table)
    else:
        for user_id in wanted or ():
            print_recommendations(f"for user {user_id}", table.filter(pl.col("user_id") == user_id))


def write_parquet(table: pl.DataFrame, path: Path) -> None:
    table.write_parquet(path)


def write_csv(table: pl.DataFrame, path: Path) -> None:
    """CSV has no lists: their values are joined by `|`."""
    lists = selectors.by_dtype(pl.List).list.eval(pl.element().cast(pl.String)).list.join("|")
    table.with_columns(lists).write_csv(path)


WRITERS: dict[str, Callable[[pl.DataFrame, Path], None]] = {".parquet": write_parquet, ".csv": write_csv}


def parse_filters(filters: list[str]) -> dict[str, list[str]]:
    """`["genres=Comedy", "genres=Drama"]` -> `{"genres": ["Comedy", "Drama"]}`."""
    parsed: dict[str, list[str]] = {}
    for text in filters:
        column, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"filter '{text}': expected column=value, for example genres=Comedy")
        parsed.setdefault(column, []).append(value)
    return parsed


def parse_numbers(option: str, texts: list[str]) -> dict[str, float]:
    """`["image=2", "text=0"]` -> `{"image": 2.0, "text": 0.0}`."""
    parsed: dict[str, float] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        try:
            parsed[name] = float(value)
        except ValueError:
            equals = ""
        if not equals:
            raise ConfigError(f"--{option} {text}: expected name=number, for example image=2")
    return parsed


def print_recommendations(title: str, table: pl.DataFrame) -> None:
    """Rank, item, score, and the share of each view in a positive score in percent."""
    if table.is_empty():
        print(f"{title}: nothing; no item passes the filters that the user does not already have")
        return
    parts = table.columns[table.columns.index("score") + 1 :]
    named = "title" if "title" in table.columns else "item_id"
    rows: list[list[object]] = []
    for rank, name, score, *values in table.select("rank", named, "score", *parts).rows():
        shares = [f"{value / score * 100:.0f} %" if score > 0 else None for value in values]
        rows.append([rank, name, score, *shares])
    views = [column.removesuffix("_part") for column in parts]
    print_table(title, ["rank", named, "score", *views], rows)
