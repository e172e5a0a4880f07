"""Content hashes: what a data set, a graph or a run was made from."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from anchorrec_graph.data.raw import TEST, TRAIN, VALIDATION, RawData

if TYPE_CHECKING:  # base imports this module
    from anchorrec_graph.data.base import DatasetConfig


def content_hash(*arrays: NDArray[Any] | torch.Tensor) -> str:
    """SHA-256 (hex) over the dtype, shape and little-endian bytes of each array, in order.

    A tensor and the equal numpy array have the same hash; memory maps are read in place.

    Raises:
        TypeError: an array of Python objects (its bytes are addresses), or a dtype numpy lacks.
    """
    digest = hashlib.sha256()
    for array in arrays:
        values = array.detach().cpu().numpy() if isinstance(array, torch.Tensor) else array
        if values.dtype.hasobject:
            raise TypeError(f"content_hash cannot hash an array of dtype {values.dtype}")
        flat = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).reshape(-1)
        digest.update(f"{flat.dtype.str}{values.shape}".encode())
        digest.update(flat.view(np.uint8).data)
    return digest.hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 (hex) over the bytes of a file, read in blocks. Raises what reading it raises."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def json_hash(value: Any) -> str:
    """SHA-256 (hex) of a value's JSON; what JSON does not know enters as its `str`."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def dataset_manifest(config: DatasetConfig, raw: RawData, label: NDArray[np.int64]) -> dict[str, object]:
    """Counts and content hashes of a loaded data set, ready for JSON.

    `hash` is over the counts and content hashes, not over `settings`: equal content has an equal
    hash wherever its folder lies and however it was made.
    """
    parts = np.bincount(label, minlength=3)
    content: dict[str, object] = {
        "counts": {
            "users": len(raw.user_ids),
            "items": len(raw.items),
            "train": int(parts[TRAIN]),
            "validation": int(parts[VALIDATION]),
            "test": int(parts[TEST]),
        },
        "interactions": _interactions_hash(raw),
        "split": content_hash(label),
        "items": json_hash(raw.items.to_dict(as_series=False)),
        "features": {
            modality: {"shape": list(rows.shape), "hash": content_hash(rows)}
            for modality, rows in raw.features.items()
        },
    }
    return {
        "name": config.name,
        **content,
        "settings": config.model_dump(mode="json"),
        "hash": json_hash(content),
    }


def _interactions_hash(raw: RawData) -> str:
    columns = {"user_ids": raw.user_ids, **raw.interactions._asdict()}
    return json_hash({name: content_hash(column) for name, column in columns.items() if column is not None})
