"""anchorrec similar"""

from __future__ import annotations

from typing import Annotated

import polars as pl
import typer

from anchorrec_graph.cli.options import AsJson, CatalogPath, Filter, Seed, print_json, print_table
from anchorrec_graph.cli.recommend import parse_filters, parse_numbers
from anchorrec_graph.serve.catalog import Catalog
from anchorrec_graph.serve.similar import FINAL, By


def similar(
    run: CatalogPath,
    item: Annotated[list[str], typer.Option("--item", "-i", metavar="ID", help="May be repeated.")],
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=SHARE]",
            help="image, text, a view, or final (default); repeat with shares for a mixture.",
        ),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, metavar="N", help="How many.")] = 10,
    across: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Only items that share no value of this column.")
    ] = None,
    filters: Filter = None,
    seed: Seed = None,
    as_json: AsJson = False,
) -> None:
    """Find items like another.

    By look, by words, or as the model sees them.

    With --across genres only those of other genres: what else has this look?
    """
    catalog = Catalog.open(run, seed)
    table = catalog.similar_items(item, _by(by or [FINAL]), k, across, parse_filters(filters or []))
    if as_json:
        print_json({"run": str(run), "similar": table.to_dicts()})
        return
    named = "title" if "title" in table.columns else "item_id"
    names = dict(zip(catalog.item_ids, catalog.items[named].to_list(), strict=True))
    for query in dict.fromkeys(item):
        mine = table.filter(pl.col("query_id") == query)
        columns = ["rank", "item_id", *([named] if named != "item_id" else []), "similarity"]
        print_table(f"like {names[query]}", columns, [list(row) for row in mine.select(columns).rows()])


def _by(names: list[str]) -> By:
    if len(names) == 1 and "=" not in names[0]:
        return names[0]
    return parse_numbers("by", names)
