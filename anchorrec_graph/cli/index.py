"""The index of the items (`anchorrec export --ann`) where an export is written again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from anchorrec_graph.graph.hnsw import require_faiss
from anchorrec_graph.serve.catalog import Catalog
from anchorrec_graph.serve.export import has_shortlist

WithoutIndex = Annotated[
    bool, typer.Option("--no-ann", help="Leave out the index of the items that the export has.")
]


def open_to_write(folder: Path, without: bool, seed: int | None = None) -> Catalog:
    """The catalog of a run or an export with its index of the items, or without it.

    Raises:
        ConfigError: there is an index and faiss is missing: what is written would not have it any more.
        AnchorRecError: what `Catalog.open` raises.
    """
    catalog = Catalog.open(folder, seed)
    if without:
        return Catalog(catalog.contents._replace(shortlist=None))
    if catalog.contents.shortlist is None and has_shortlist(folder):
        require_faiss("keeping the index of the items (--no-ann leaves it out)")
    return catalog


def index_line(manifest: Mapping[str, Any]) -> str | None:
    """What people are told of an export's index; None: it has none."""
    facts = manifest.get("shortlist")
    return facts and f"index of the items: recall@{facts['k']} {facts['recall']:.4f} against all items scored"
