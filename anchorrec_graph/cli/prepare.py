"""anchorrec prepare"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from anchorrec_graph.cli.options import (
    AsJson,
    Quiet,
    interruptible,
    print_json,
    print_table,
    say,
    silent,
)
from anchorrec_graph.data.prepared import REJECTS, check_folder, read_manifest
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.prepare.pipeline import prepare as run_prepare
from anchorrec_graph.prepare.pipeline import survey
from anchorrec_graph.prepare.settings import Duplicates, prepare_settings
from anchorrec_graph.prepare.sources import SOURCES

METADATA = ("repeated_metadata_rows", "items_without_interactions", "items_without_metadata")


def prepare(
    source: Annotated[
        str | None, typer.Argument(metavar="SOURCE", help=f"The format: {', '.join(sorted(SOURCES))}.")
    ] = None,
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="PATH", help="Files of interactions, or their folder.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="The folder to make.")] = None,
    items: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Metadata of items; may be repeated.")
    ] = None,
    require_metadata: Annotated[
        bool, typer.Option("--require-metadata", help="Drop rows of items that no --items file lists.")
    ] = False,
    min_rating: Annotated[
        float | None, typer.Option(metavar="X", help="Drop rows with a lower rating, or none.")
    ] = None,
    duplicates: Annotated[
        Duplicates, typer.Option(help="Which of several rows of a user and item stays.")
    ] = "last",
    k_core: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Both --user-core and --item-core.")
    ] = None,
    user_core: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Fewest rows of a user that stays.")
    ] = None,
    item_core: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Fewest rows of an item that stays.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Store a split; default: the source's own, else training splits by its settings.",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, metavar="N", help="Of --split.")] = None,
    pseudonymise: Annotated[
        Path | None, typer.Option(metavar="KEYFILE", help="Replace user ids by a hash with this key.")
    ] = None,
    max_reject_share: Annotated[
        float, typer.Option(metavar="X", help="More malformed rows are an error.")
    ] = 0.01,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only report; write nothing.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a prepared folder, features too.")
    ] = False,
    check: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Only compare a prepared folder with its manifest.")
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option(
            "-o", "--override", metavar="KEY=VALUE", help="Any setting: -o source.user_column=buyer."
        ),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make a folder that every model can train on, from raw tables.

    Rows are filtered by rating, duplicates resolved, users and items with few rows dropped, ids numbered,
    metadata aligned; every dropped row is counted. The same command goes on after a crash or kill.
    """
    if check is not None:
        check_folder(check)
        _show(read_manifest(check), f"{check}: whole", as_json)
        return
    if source is None or not paths:
        raise ConfigError("name a SOURCE and its files, or --check FOLDER")
    if k_core is not None and (user_core is not None or item_core is not None):
        raise ConfigError("--k-core sets --user-core and --item-core; give it or them")
    if seed is not None and split is None:
        raise ConfigError("--seed is the seed of a split; give --split NAME too")
    given = {"files": [str(path) for path in paths], **({"items": list(map(str, items))} if items else {})}
    values: dict[str, Any] = {
        "source": {"name": source, **given},
        "require_metadata": require_metadata,
        "min_rating": min_rating,
        "duplicates": duplicates,
        "user_core": user_core or k_core or 0,
        "item_core": item_core or k_core or 0,
        "pseudonymise": pseudonymise,
        "max_reject_share": max_reject_share,
    }
    if split is not None:
        values["split"] = {"name": split, **({} if seed is None else {"seed": seed})}
    settings = prepare_settings(values, override or [])
    tell = silent if quiet else say
    with interruptible():
        if dry_run:
            _show(survey(settings, tell), "dry run, nothing written", as_json)
            return
        if out is None:
            raise ConfigError("name --out FOLDER, or --dry-run")
        try:
            manifest, made = run_prepare(settings, out, overwrite, tell)
        except KeyboardInterrupt as stop:
            stop.add_note("the same command goes on with what was read")
            raise
    _show(manifest, f"written: {out}" if made else f"{out}: made before, nothing to do", as_json)


def _show(manifest: dict[str, Any], title: str, as_json: bool) -> None:
    if as_json:
        print_json({"result": title, **manifest})
        return
    density = f"density {manifest['counts']['density']:.3g}"
    print_table(f"{title}; {density}", ["step", "what", "number"], _rows(manifest))
    if REJECTS in manifest.get("files", {}):
        print(f"samples of malformed rows: {REJECTS} in the folder")


def _rows(manifest: dict[str, Any]) -> list[list[object]]:
    """Read, rejected by reason, dropped by step and reason, kept, split."""
    read, rejected, dropped = Counter[str](), Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for entry in manifest["read"]:
        read[f"rows of {entry['kind']}"] += entry["rows"]
    for entry in manifest["rejected"]:
        rejected[entry["kind"], entry["reason"]] += entry["rows"]
    for entry in manifest["dropped"]:
        dropped[entry["step"], entry["reason"]] += entry["rows"]
    counts = manifest["counts"]
    return [
        *(["read", kind, rows] for kind, rows in read.items()),
        *([f"rejected {kind}", reason, rows] for (kind, reason), rows in rejected.items()),
        *([f"dropped by {step}", reason, rows] for (step, reason), rows in dropped.items()),
        *(["left out", f"{name}: rows without one", n] for name, n in manifest["columns_left_out"].items()),
        *(["kept", name, counts[name]] for name in ("interactions", "users", "items")),
        *(["metadata", name.replace("_", " "), counts[name]] for name in METADATA if counts["metadata_rows"]),
        *(["split", part, size] for part, size in (manifest["split"] or {}).items()),
        *([["split", "of the source", manifest["source_split"]]] if manifest.get("source_split") else []),
    ]
