"""The item spaces of a model: its views without padding, their sum, and the native features."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.data.base import native_features
from anchorrec_graph.models.anchorrec import AnchorRec
from anchorrec_graph.models.base import HISTORY, POPULARITY, Recommender
from anchorrec_graph.typing import Embeddings, View

FINAL, RANDOM, ORACLE = "final", "random", "oracle"


def native_name(modality: str) -> str:
    return f"native/{modality}"


def view_name(view: str) -> str:
    return f"view/{view}"


def native_spaces(data: HeteroData) -> dict[str, Tensor]:
    """The features of every modality as the data has them: "native/<m>" -> [n, D_m]."""
    return {native_name(modality): rows for modality, rows in native_features(data).items()}


def learned_views(views: Mapping[str, View]) -> dict[str, Tensor]:
    """Item rows of the views that are neither history nor popularity."""
    return {name: view.item for name, view in views.items() if name not in (HISTORY, POPULARITY)}


def final_space(views: Mapping[str, View]) -> Tensor | None:
    """The sum of the learned views: [n, d], or None without any."""
    learned = learned_views(views)
    return torch.stack([*learned.values()]).sum(0) if learned else None


def item_spaces(model: Recommender, embeddings: Embeddings) -> dict[str, Tensor]:
    """Every space that the model puts the items in: name -> [n, d].

    "final" is the sum of the learned views, and "view/<name>" is a learned view or the history view; the
    modality views of an AnchorRec that do not enter its score are there too. Popularity, which is one
    column, and views that are zero for all items are left out. Learned views have the columns in which
    history and popularity have nothing, history has its own.
    """
    learned, views = learned_views(embeddings.views), embeddings.views
    logits = [views[name].item.any(0) for name in (HISTORY, POPULARITY) if name in views]
    used = torch.stack(logits).any(0) if logits else None
    spaces: dict[str, Tensor] = {}
    total = final_space(views)
    if total is not None:
        spaces[FINAL] = _without(total, used)
    spaces |= {view_name(name): _without(item, used) for name, item in learned.items()}
    if HISTORY in views:
        spaces[view_name(HISTORY)] = views[HISTORY].item[:, views[HISTORY].item.any(0)]
    if isinstance(model, AnchorRec):
        unscored = {m: item for m, item in model.propagate()[2].items() if m not in learned}
        spaces |= {view_name(name): item for name, item in unscored.items()}
    return {name: space.contiguous() for name, space in spaces.items() if space.any()}


def comparable_pairs(spaces: Mapping[str, Tensor]) -> list[tuple[str, str]]:
    """Pairs of learned views of one width that have a column in common.

    Without one (VBPR's id and content) they are orthogonal whatever was learned, and have no common place.
    """
    names = [name for name in spaces if name not in (FINAL, view_name(HISTORY))]
    return [
        (a, b)
        for a, b in combinations(names, 2)
        if spaces[a].shape == spaces[b].shape and bool((spaces[a].any(0) & spaces[b].any(0)).any())
    ]


def _without(item: Tensor, used: Tensor | None) -> Tensor:
    return item if used is None else item[:, ~used]
