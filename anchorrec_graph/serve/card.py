"""The model card of an export, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from anchorrec_graph.diagnose.structure import knn_overlap
from anchorrec_graph.serve.contents import Contents

SAMPLE = 20_000  # items whose neighbours are compared at most


def card_text(contents: Contents) -> str:
    """Data, metrics, what the item space keeps of every modality, and how the files are read."""
    card = contents.card
    lines = [
        f"# {card['name']}",
        "",
        "Exported by anchorrec_graph. Files and their SHA-256: export.json.",
        "",
    ]
    lines += ["| | |", "|---|---|"]
    lines += [
        f"| {name} | {_plain(card[name])} |" for name in ("model", "dataset", "modalities") if name in card
    ]
    lines += [f"| users | {len(contents.user_ids)} |", f"| items | {len(contents.items)} |"]
    lines += [f"| {name} | {card[name]} |" for name in ("training_pairs", "seed", "settings") if name in card]
    licence = card.get("data", {}).get("licence") if isinstance(card.get("data"), Mapping) else None
    lines += [f"| licence of the data | {licence or 'not stated by the data set'} |", ""]
    for split in ("validation", "test"):
        if card.get(split):
            lines += [f"## Metrics on {split}", "", "| metric | value |", "|---|---:|"]
            lines += [f"| {name} | {value:.4f} |" for name, value in card[split].items()] + [""]
    lines += _structure(contents)
    lines += [
        "## Files",
        "",
        "- arrays.safetensors: final rows `user` [U, D] and `item` [I, D], whose product is the score, and",
        "  `views/...`, which they are the sum of; `features/...`; what folds users in and places new items",
        "- items.parquet, users.parquet: row number -> id",
        "- scorer.onnx, if asked for: the score and the best k as a graph",
        "",
        "Users are in these files by id, with what they bought. `anchorrec forget` removes one.",
        "",
    ]
    return "\n".join(lines)


def _structure(contents: Contents) -> list[str]:
    if not contents.features or len(contents.items) > SAMPLE:
        return []
    lines = ["## Does a view keep its modality?", ""]
    lines += ["Shared 10 nearest items with the native features, above chance (1: all, 0: none).", ""]
    lines += ["| modality | its view | final space |", "|---|---:|---:|"]
    for modality, native in contents.features.items():
        view = contents.space.views.get(modality)
        with torch.no_grad():
            final = knn_overlap(contents.space.item, native).corrected
            own = "" if view is None else f"{knn_overlap(view.item, native).corrected:.3f}"
        lines.append(f"| {modality} | {own} | {final:.3f} |")
    return [*lines, ""]


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
