"""An export: a folder of plain files that a catalog is served from, without the run or its data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from polars.exceptions import PolarsError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from anchorrec_graph.data.manifest import file_hash
from anchorrec_graph.encoders.fused import Fusion
from anchorrec_graph.errors import RunError
from anchorrec_graph.evaluate.user_items import UserItems
from anchorrec_graph.files import new_folder, save_json, save_tensors
from anchorrec_graph.graph.knn import KnnConfig
from anchorrec_graph.nn.attachment import Attachment, Neighbourhood
from anchorrec_graph.nn.feature_ridge import FeatureRidge
from anchorrec_graph.nn.fold_in import FoldIn
from anchorrec_graph.serve.card import card_text
from anchorrec_graph.serve.contents import Contents
from anchorrec_graph.serve.scorer import onnx_scorer
from anchorrec_graph.serve.shortlist import build_shortlist, read_shortlist
from anchorrec_graph.serve.space import Space, SpaceView

FORMAT = 3
MANIFEST, ARRAYS, ITEMS, USERS, CARD = (
    "export.json",
    "arrays.safetensors",
    "items.parquet",
    "users.parquet",
    "README.md",
)
SCORER, SHORTLIST = "scorer.onnx", "items.faiss"
Arrays = dict[str, Tensor]


def is_export(folder: str | Path) -> bool:
    return (Path(folder) / MANIFEST).is_file()


def has_shortlist(folder: str | Path) -> bool:
    """Whether it is an export with `items.faiss`, also where faiss is missing and `load_export` leaves it."""
    return _has(folder, SHORTLIST)


def has_scorer(folder: str | Path) -> bool:
    """Whether it is an export with `scorer.onnx`."""
    return _has(folder, SCORER)


def _has(folder: str | Path, name: str) -> bool:
    return is_export(folder) and name in check_export(Path(folder))["files"]


def save_export(
    contents: Contents, folder: str | Path, onnx: bool = False, ann: bool = False
) -> dict[str, Any]:
    """Write an export; returns its manifest. The folder appears whole, or not at all.

    Args:
        onnx: also write `scorer.onnx` (`onnx_scorer`).
        ann: also write `items.faiss` (`build_shortlist`); contents that have a shortlist keep it without.

    Raises:
        RunError: the folder is there already.
        ConfigError: onnx or ann is asked for and not installed, or the shortlist misses too much.
    """
    with new_folder(Path(folder)) as temporary:
        arrays, layout = _arrays(contents)
        save_tensors(temporary / ARRAYS, arrays, {"format": str(FORMAT)})
        contents.items.write_parquet(temporary / ITEMS)
        pl.DataFrame({"user_id": contents.user_ids}).write_parquet(temporary / USERS)
        if onnx:
            (temporary / SCORER).write_bytes(onnx_scorer(contents.space))
        shortlist = build_shortlist(contents.space) if ann else contents.shortlist
        if shortlist is not None:
            shortlist.write(temporary / SHORTLIST)
        (temporary / CARD).write_text(card_text(contents), encoding="utf-8")
        files = {path.name: file_hash(path) for path in sorted(temporary.iterdir())}
        manifest = {"format": FORMAT, "card": contents.card, "layout": layout, "files": files}
        if shortlist is not None:
            manifest["shortlist"] = shortlist.facts
        save_json(temporary / MANIFEST, manifest)
    return manifest


def load_export(folder: str | Path) -> Contents:
    """Read an export after checking every file against its hash. Arrays are memory-mapped.

    Raises:
        RunError: no export, of a newer format, or a file that is missing, damaged or changed.
    """
    folder = Path(folder)
    manifest = check_export(folder)
    try:
        arrays = load_file(folder / ARRAYS)
        items, users = pl.read_parquet(folder / ITEMS), pl.read_parquet(folder / USERS)
        contents = _contents(arrays, manifest["layout"], manifest["card"], items, users)
        if SHORTLIST not in manifest["files"]:
            return contents
        shortlist = read_shortlist(folder / SHORTLIST, manifest["shortlist"], contents.space.item)
        return contents._replace(shortlist=shortlist)
    except (SafetensorError, PolarsError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{folder}: is no whole export ({error}); export the run again") from error


def check_export(folder: Path) -> dict[str, Any]:
    """The manifest of an export whose files all have the hashes that it names."""
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        files, version = dict(manifest["files"]), int(manifest["format"])
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror}); is this an export?") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: is no manifest of an export ({error}); export the run again") from error
    if version != FORMAT:
        raise RunError(f"{path}: has format {version}, this version reads {FORMAT}; export the run again")
    for name, expected in files.items():
        if Path(name).name != name:
            raise RunError(f"{path}: names a file '{name}' outside the folder; do not use this export")
        if not (folder / name).is_file() or file_hash(folder / name) != expected:
            raise RunError(f"{folder / name}: is missing or not as it was exported; export the run again")
    return manifest


def _arrays(contents: Contents) -> tuple[Arrays, dict[str, Any]]:
    space, fold, attachment = contents.space, contents.fold_in, contents.attachment
    arrays: Arrays = {"user": space.user, "item": space.item}
    for name, view in space.views.items():
        arrays[f"views/{name}/item"] = view.item
        if view.user is not None:
            arrays[f"views/{name}/user"] = view.user
    arrays |= {f"features/{name}": rows for name, rows in contents.features.items()}
    for name, pairs in (("bought", contents.bought), ("known", contents.known)):
        arrays |= {f"{name}/keys": pairs.keys, f"{name}/pointers": pairs.pointers}
    layout: dict[str, Any] = {
        "views": {name: view.start for name, view in space.views.items()},
        "features": list(contents.features),
        "fold_in": fold if isinstance(fold, str) else _fold_in_arrays(fold, arrays),
        "attachment": attachment if isinstance(attachment, str) else _attachment_arrays(attachment, arrays),
    }
    return arrays, layout


def _fold_in_arrays(fold: FoldIn, arrays: Arrays) -> dict[str, Any]:
    arrays |= {f"fold_in/sent/{name}": rows for name, rows in fold.sent.items()}
    arrays |= {f"fold_in/own/{name}": row for name, row in fold.own.items()}
    if fold.length is not None:
        arrays["fold_in/length"] = fold.length
    return {"start": dict(fold.start), "dim": fold.dim, "learned": list(fold.learned)}


def _attachment_arrays(attachment: Attachment, arrays: Arrays) -> dict[str, Any]:
    arrays |= {f"attachment/lent/{view}": rows for view, rows in attachment.lent.items()}
    for name, graph in attachment.graphs.items():
        arrays[f"attachment/sent/{name}"] = graph.sent
        arrays[f"attachment/unit/{name}"] = graph.unit
    for name, part in attachment.fusion.items():
        arrays[f"attachment/mean/{name}"] = part.mean
        if part.basis is not None:
            arrays[f"attachment/basis/{name}"] = part.basis
    for view, ridge in attachment.regressed.items():
        arrays[f"attachment/center/{view}"] = ridge.center
        arrays |= {f"attachment/regressed/{view}/{name}": rows for name, rows in ridge.maps.items()}
    return {
        "knn": attachment.knn.model_dump(),
        "graphs": list(attachment.graphs),
        "id_view": attachment.id_view,
        "fused": attachment.fused,
        "fusion": {name: part.scale for name, part in attachment.fusion.items()},
        "regressed": list(attachment.regressed),
        "start": dict(attachment.start),
        "dim": attachment.dim,
        "unit": attachment.unit,
    }


def _contents(
    arrays: Arrays, layout: Mapping[str, Any], card: dict[str, Any], items: pl.DataFrame, users: pl.DataFrame
) -> Contents:
    views = {
        name: SpaceView(start, arrays.get(f"views/{name}/user"), arrays[f"views/{name}/item"])
        for name, start in layout["views"].items()
    }
    fold, attachment = layout["fold_in"], layout["attachment"]
    return Contents(
        card=card,
        items=items,
        user_ids=np.asarray(users["user_id"].to_numpy()).astype(str),
        space=Space(arrays["user"], arrays["item"], views),
        features={name: arrays[f"features/{name}"] for name in layout["features"]},
        bought=UserItems(arrays["bought/keys"], arrays["bought/pointers"], len(items)),
        known=UserItems(arrays["known/keys"], arrays["known/pointers"], len(items)),
        fold_in=fold if isinstance(fold, str) else _fold_in(fold, arrays),
        attachment=attachment if isinstance(attachment, str) else _attachment(attachment, arrays),
    )


def _fold_in(layout: Mapping[str, Any], arrays: Arrays) -> FoldIn:
    return FoldIn(
        sent=_below(arrays, "fold_in/sent/"),
        own=_below(arrays, "fold_in/own/"),
        start=layout["start"],
        dim=layout["dim"],
        learned=tuple(layout["learned"]),
        length=arrays.get("fold_in/length"),
    )


def _attachment(layout: Mapping[str, Any], arrays: Arrays) -> Attachment:
    place = "attachment"
    return Attachment(
        knn=KnnConfig(**layout["knn"]),
        graphs={
            name: Neighbourhood(arrays[f"{place}/unit/{name}"], arrays[f"{place}/sent/{name}"])
            for name in layout["graphs"]
        },
        id_view=layout["id_view"],
        lent=_below(arrays, f"{place}/lent/"),
        fused=layout["fused"],
        fusion={
            name: Fusion(arrays.get(f"{place}/basis/{name}"), arrays[f"{place}/mean/{name}"], scale)
            for name, scale in layout["fusion"].items()
        },
        regressed={
            view: FeatureRidge(arrays[f"{place}/center/{view}"], _below(arrays, f"{place}/regressed/{view}/"))
            for view in layout["regressed"]
        },
        start=layout["start"],
        dim=layout["dim"],
        unit=layout["unit"],
    )


def _below(arrays: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(prefix): rows for name, rows in arrays.items() if name.startswith(prefix)}
