"""anchorrec recommend"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from anchorrec_graph.cli.options import AsJson, Quiet, RunPath, Seed, print_json, print_table
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.files import replacing
from anchorrec_graph.serve.catalog import Catalog

WRITERS = {".parquet": pl.DataFrame.write_parquet, ".csv": pl.DataFrame.write_csv}


def recommend(
    run: RunPath,
    user: Annotated[list[str] | None, typer.Option("--user", "-u", help="A user id; may be repeated.")] = None,
    k: Annotated[int, typer.Option("-k", help="How many items a user gets.")] = 10,
    filters: Annotated[
        list[str] | None, typer.Option("--filter", "-f", help="column=value; repeat a column for alternatives.")
    ] = None,
    seen: Annotated[bool, typer.Option(help="Also recommend items that the user already has.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write .parquet or .csv; without --user for all users.")] = None,
    seed: Seed = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Recommend items to users, with the part of each view in every score."""
    if not user and out is None:
        raise ConfigError("name at least one --user, or --out FILE for all users")
    if out is not None and out.suffix not in WRITERS:
        raise ConfigError(f"--out {out}: the file must end in .parquet or .csv")
    table = Catalog.from_run(run, seed).recommend(user or None, k, not seen, parse_filters(filters or []))
    if out is not None:
        with replacing(out) as temporary:
            WRITERS[out.suffix](table, temporary)
        if not quiet:
            print(f"{len(table)} recommendations written to {out}")
    elif as_json:
        print_json(table.to_dicts())
    else:
        for (user_id,), rows in table.group_by("user_id", maintain_order=True):
            print_recommendations(f"for user {user_id}", rows)


def parse_filters(filters: list[str]) -> dict[str, list[str]]:
    """`["genres=Comedy", "genres=Drama"]` -> `{"genres": ["Comedy", "Drama"]}`."""
    parsed: dict[str, list[str]] = {}
    for text in filters:
        column, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"filter '{text}': expected column=value, for example genres=Comedy")
        parsed.setdefault(column, []).append(value)
    return parsed


def print_recommendations(title: str, table: pl.DataFrame) -> None:
    """Rank, item, score, and the share of each view in the score in percent."""
    parts = [column for column in table.columns if column.endswith("_part")]
    named = "title" if "title" in table.columns else "item_id"
    shares = {column.removesuffix("_part"): (pl.col(column) / pl.col("score") * 100) for column in parts}
    shown = table.select("rank", named, "score", **shares)
    rows: list[list[object]] = [
        [rank, name, score, *(f"{share:.0f} %" for share in rest)] for rank, name, score, *rest in shown.rows()
    ]
    print_table(title, [str(column) for column in shown.columns], rows)
