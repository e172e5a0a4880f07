"""FREEDOM as in enoche/MMRec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from anchorrec_graph.graph.knn import KnnConfig
from anchorrec_graph.graph.relation import Relation
from anchorrec_graph.models.base import Recommender
from anchorrec_graph.models.freedom import FREEDOM as Model
from anchorrec_graph.models.freedom import FREEDOMConfig
from anchorrec_graph.nn.backbone import LightGCNBackboneConfig
from anchorrec_graph.testing.golden.base import Arrays, Reference, layers


def freedom_config(public: Mapping[str, Any]) -> FREEDOMConfig:
    image = public["mm_image_weight"]
    return FREEDOMConfig(
        embedding_dim=public["embedding_size"],
        backbone=LightGCNBackboneConfig(num_layers=public["n_ui_layers"]),
        knn=KnnConfig(k=public["knn_k"], include_self=True, weight="binary", drop_negative=False),
        num_knn_layers=public["n_mm_layers"],
        graph_shares={"image": image, "text": 1 - image},
        drop_edges=public["dropout"],
        feature_weight=public["reg_weight"],
    )


def use_drawn_graph(model: Recommender, arrays: Arrays) -> None:
    """Train on the edges that the public code drew."""
    assert isinstance(model, Model)
    row, column = torch.from_numpy(arrays["buffer/masked_adj_index"])
    weight = torch.from_numpy(arrays["buffer/masked_adj_value"])
    model.pruned = Relation(row, column, weight, model.user_item.size)


FREEDOM = Reference(
    freedom_config,
    {
        "user_embedding.weight": "user.weight",
        "item_id_embedding.weight": "item.weight",
        "image_embedding.weight": "features.image.rows",
        "text_embedding.weight": "features.text.rows",
        **layers("image_trs", "project.image"),
        **layers("text_trs", "project.text"),
    },
    prepare=use_drawn_graph,
)
