"""`Contents`: everything that a catalog serves from, made from a trained run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.evaluate.user_items import UserItems, positives
from anchorrec_graph.graph.knn import unit_rows
from anchorrec_graph.nn.attachment import Attachment
from anchorrec_graph.nn.fold_in import FoldIn
from anchorrec_graph.serve.shortlist import Shortlist
from anchorrec_graph.serve.space import Space
from anchorrec_graph.train.fit import Run, load_run
from anchorrec_graph.train.run import RunFolder
from anchorrec_graph.typing import Embeddings

T = TypeVar("T")


class Contents(NamedTuple):
    """Arrays and tables, and nothing that learns."""

    card: dict[str, Any]  # what it is: model, data, metrics; ready for JSON
    items: pl.DataFrame  # first column item_id
    user_ids: NDArray[np.str_]
    space: Space
    features: Mapping[str, Tensor]  # native, in unit rows [I, D] by modality; zero for an item without
    bought: UserItems  # what users are sums over: training
    known: UserItems  # what is not recommended again: training and validation
    fold_in: FoldIn | str  # or why there is none
    attachment: Attachment | str
    shortlist: Shortlist | None = None  # None: all items are scored


def contents_of(embeddings: Embeddings, data: HeteroData) -> Contents:
    """Of embeddings alone: no strangers and no new items."""
    reason = "this catalog was made from embeddings alone; make it from a run"
    return Contents(
        card={"name": "embeddings"},
        items=data["item"].table,
        user_ids=np.asarray(data["user"].ids).astype(str),
        space=Space.from_embeddings(embeddings),
        features={modality: unit_rows(data["item"][modality])[0] for modality in data.modalities},
        bought=positives(data, "train"),
        known=positives(data, "train", "validation"),
        fold_in=reason,
        attachment=reason,
    )


def run_contents(folder: str | Path, seed: int | None = None) -> Contents:
    """Of a run folder. Raises what `load_run` raises."""
    run = load_run(folder, seed)
    with torch.no_grad():
        contents = contents_of(run.model.encode(), run.data)._replace(card=card(run))
        return contents._replace(
            fold_in=_or_reason(run.model.fold_in),
            attachment=_or_reason(lambda: run.model.attachment(run.data)),
        )


def _or_reason(make: Callable[[], T]) -> T | str:
    """What a model makes, or why it cannot."""
    try:
        return make()
    except ConfigError as error:
        return str(error)


def card(run: Run) -> dict[str, Any]:
    """What a reader should know of a trained model before using it."""
    result = RunFolder.open(run.folder).seed(run.seed).load_result() or {}
    model, dataset = run.config.model.name, run.config.dataset.name
    return {
        "name": f"{model} on {dataset}",
        "model": model,
        "dataset": dataset,
        "modalities": list(run.data.modalities),
        "users": int(run.data["user"].num_nodes),
        "items": int(run.data["item"].num_nodes),
        "training_pairs": len(positives(run.data, "train").keys),
        "seed": run.seed,
        "validation": result.get("validation", {}),
        "test": result.get("test", {}),
        "settings": run.config.hash,
        "data": run.data.manifest,
    }
