"""BM3 as in enoche/MMRec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anchorrec_graph.models.bm3 import BM3Config
from anchorrec_graph.nn.backbone import LightGCNBackboneConfig
from anchorrec_graph.testing.golden.base import Reference, layers


def bm3_config(public: Mapping[str, Any]) -> BM3Config:
    return BM3Config(
        embedding_dim=public["embedding_size"],
        backbone=LightGCNBackboneConfig(num_layers=public["n_layers"]),
        dropout=public["dropout"],
        modality_weight=public["cl_weight"],
        l2_weight=public["reg_weight"],
    )


BM3 = Reference(
    bm3_config,
    {
        "user_embedding.weight": "user.weight",
        "item_id_embedding.weight": "item.weight",
        **layers("predictor", "predictor"),
        "image_embedding.weight": "features.image.rows",
        "text_embedding.weight": "features.text.rows",
        **layers("image_trs", "project.image"),
        **layers("text_trs", "project.text"),
    },
)
