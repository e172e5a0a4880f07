"""anchorrec update"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import typer
from polars.exceptions import PolarsError

from anchorrec_graph.cli.index import WithoutIndex, index_line, open_to_write
from anchorrec_graph.cli.options import AsJson, CatalogPath, Quiet, print_json
from anchorrec_graph.data.table import read_table
from anchorrec_graph.errors import ConfigError, DataError
from anchorrec_graph.serve.export import has_scorer, save_export
from anchorrec_graph.serve.update import Drift

READERS: dict[str, Callable[[Path], pl.DataFrame]] = {
    ".csv": read_table,
    ".parquet": pl.read_parquet,
    ".jsonl": pl.read_ndjson,
}


def update(
    export: CatalogPath,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="The new export; a new folder.")],
    interactions: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="user_id and item_id, as .csv, .parquet or .jsonl."),
    ] = None,
    items: Annotated[
        Path | None, typer.Option(metavar="FILE", help="New items: item_id and columns of the item table.")
    ] = None,
    features: Annotated[
        list[str] | None,
        typer.Option(metavar="MODALITY=FILE.npy", help="A row per new item; may be repeated."),
    ] = None,
    no_ann: WithoutIndex = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Add users, items and purchases.

    Nothing is trained; it says when training is due. Users are folded in through their items; new items
    are placed by their features. An index of the items takes up the new ones, and its recall is measured
    again; a scorer.onnx is made anew. The export that is updated stays as it is; to serve the new one,
    rename a link to it over the old link.
    """
    if interactions is None and items is None:
        raise ConfigError("give --interactions or --items with --features")
    if (items is None) != (not features):
        raise ConfigError("--items and --features go together")
    catalog, drift = open_to_write(export, no_ann), None
    if items is not None:
        catalog = catalog.add_items(_read(items), _features(features or []))
    if interactions is not None:
        catalog, drift = catalog.update(_read(interactions))
    manifest = save_export(catalog.contents, out, onnx=has_scorer(export))
    counts = {"users": len(catalog.user_ids), "items": len(catalog.items)}
    if as_json:
        found = {"drift": drift._asdict() if drift else None, "shortlist": manifest.get("shortlist")}
        print_json({"out": str(out), **counts, **found})
    elif not quiet:
        print(f"{counts['users']} users and {counts['items']} items written to {out}")
        if line := index_line(manifest):
            print(line)
        if drift:
            print(_sentence(drift))


def _sentence(drift: Drift) -> str:
    parts = [
        f"{drift.new_pairs} new purchases, {drift.new_users} new users, {drift.changed_users} changed",
    ]
    if drift.hits is not None:
        parts.append(f"{drift.hits:.1%} of the purchases of known users were among their best 20 before")
    grown = ", ".join(f"{name} {share:.1%}" for name, share in drift.shares.items())
    parts.append(f"since training: {grown}")
    parts.append("train again: more than 10 % is new" if drift.retrain else "training is not due")
    return "; ".join(parts)


def _read(path: Path) -> pl.DataFrame:
    if path.suffix not in READERS:
        raise ConfigError(f"{path}: the file must end in {', '.join(READERS)}")
    path.stat()  # a missing file is one error for all
    try:
        return READERS[path.suffix](path)
    except PolarsError as error:
        raise DataError(f"{path}: cannot be read ({str(error).splitlines()[0]})") from error


def _features(texts: list[str]) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    found = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not equals:
            raise ConfigError(f"--features {text}: expected MODALITY=FILE.npy, for example image=new.npy")
        try:
            found[name] = np.load(path, allow_pickle=False).astype(np.float32)
        except (ValueError, EOFError) as error:
            raise DataError(f"{path}: is no .npy file of numbers ({error})") from error
    return found
