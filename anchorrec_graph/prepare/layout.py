"""Writing the prepared layout, which `anchorrec_graph.data.prepared` reads and describes."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from anchorrec_graph.data.manifest import file_hash
from anchorrec_graph.data.prepared import (
    FEATURES,
    FORMAT,
    INTERACTIONS,
    ITEMS,
    MANIFEST,
    REJECTS,
    USERS,
    items_hash,
)
from anchorrec_graph.files import replacing, save_json
from anchorrec_graph.prepare.clean import Dropped
from anchorrec_graph.prepare.inputs import Input
from anchorrec_graph.prepare.items import Aligned, write_features
from anchorrec_graph.prepare.pieces import Pieces
from anchorrec_graph.prepare.pseudonyms import Pseudonyms
from anchorrec_graph.prepare.settings import PrepareSettings
from anchorrec_graph.train.environment import version

PACKAGES = ("anchorrec_graph", "numpy", "polars")
PARTS = ("train", "validation", "test")


class Content(NamedTuple):
    """What a prepared folder will hold."""

    interactions: pl.DataFrame  # user, item, and of rating, timestamp and label what there is
    users: pl.DataFrame  # user_id
    items: Aligned
    features: dict[str, Path]  # modality -> the source's matrix, one row per metadata row
    read: list[Pieces]
    dropped: list[Dropped]
    left_out: dict[str, int]  # column -> rows without a value, which is why it is not kept
    source_split: str | None  # what became of the split of the source: kept or replaced; None: it has none


def origin_of(
    settings: PrepareSettings, inputs: list[Input], pseudonyms: Pseudonyms | None
) -> dict[str, Any]:
    """What a folder is made from: settings, with the key's fingerprint for its path, and files."""
    values = settings.model_dump(mode="json")
    for name in ("files", "items"):  # they stand among the inputs
        values["source"].pop(name, None)
    values["pseudonymise"] = pseudonyms.fingerprint if pseudonyms else None
    files = [
        {"kind": file.kind, "path": str(file.path), "bytes": file.bytes, "sha256": file.sha256}
        for file in inputs
    ]
    return {"settings": values, "inputs": files}


def same_origin(manifest: dict[str, Any], origin: dict[str, Any]) -> bool:
    """Whether a manifest's folder was made from equal files, wherever they lie, with equal settings."""

    def essence(value: dict[str, Any]) -> list[Any]:
        files = [(file["kind"], Path(file["path"]).name, file["sha256"]) for file in value["inputs"]]
        return [value["settings"], files]

    try:
        return essence(manifest) == essence(origin)
    except (KeyError, TypeError):
        return False


def write_folder(content: Content, origin: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write every file of the layout into a new folder; returns the manifest, which is written last."""
    folder.mkdir()
    tables = {INTERACTIONS: content.interactions, USERS: content.users, ITEMS: content.items.items}
    for name, table in tables.items():
        with replacing(folder / name) as temporary:
            table.write_parquet(temporary)
    write_rejects(content.read, folder / REJECTS)
    made_for = items_hash(content.items.items)
    metadata_rows = content.items.counts["metadata_rows"]
    for modality, source in content.features.items():
        target = folder / FEATURES / f"{modality}.npy"
        write_features(source, target, content.items.row, metadata_rows)
        save_json(target.with_suffix(".json"), {"items_hash": made_for, "source": str(source)})
    files = {}
    for path in sorted(folder.iterdir()):
        if path.is_file():
            files[path.name] = {"bytes": path.stat().st_size, "sha256": file_hash(path)}
    manifest = {**manifest_of(content, origin), "files": files}
    save_json(folder / MANIFEST, manifest)
    return manifest


def manifest_of(content: Content, origin: dict[str, Any]) -> dict[str, Any]:
    """The manifest but for `files`."""
    users, items, n = len(content.users), len(content.items.items), len(content.interactions)
    split = None
    if "label" in content.interactions.columns:
        sizes = np.bincount(content.interactions["label"].to_numpy(), minlength=len(PARTS))
        split = dict(zip(PARTS, sizes.tolist(), strict=True))
    return {
        "format": FORMAT,
        **origin,
        "read": [
            {"kind": pieces.input.kind, "file": str(pieces.input.path), "rows": pieces.rows}
            for pieces in content.read
        ],
        "rejected": [
            {"kind": pieces.input.kind, "file": str(pieces.input.path), "reason": reason, "rows": rows}
            for pieces in content.read
            for reason, rows in pieces.rejects.items()
        ],
        "dropped": [dropped._asdict() for dropped in content.dropped if dropped.rows],
        "columns_left_out": content.left_out,
        "counts": {
            "interactions": n,
            "users": users,
            "items": items,
            "density": n / (users * items),
            **content.items.counts,
        },
        "split": split,
        "source_split": content.source_split,
        "items_hash": items_hash(content.items.items),
        "packages": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }


def write_rejects(read: list[Pieces], path: Path) -> None:
    """Samples of the malformed rows as JSON lines; no file if there are none."""
    samples = [sample for pieces in read for sample in pieces.samples]
    if samples:
        with replacing(path) as temporary:
            lines = (json.dumps({**s._asdict(), "row": s.row or None}, ensure_ascii=False) for s in samples)
            temporary.write_text(
                "".join(f"{line}\n" for line in lines), encoding="utf-8", errors="backslashreplace"
            )
