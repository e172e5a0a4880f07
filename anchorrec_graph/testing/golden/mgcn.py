"""MGCN as in enoche/MMRec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anchorrec_graph.graph.knn import KnnConfig
from anchorrec_graph.models.mgcn import MGCNConfig
from anchorrec_graph.nn.backbone import LightGCNBackboneConfig
from anchorrec_graph.testing.golden.base import Reference, gate, layers


def mgcn_config(public: Mapping[str, Any]) -> MGCNConfig:
    return MGCNConfig(
        embedding_dim=public["embedding_size"],
        backbone=LightGCNBackboneConfig(num_layers=public["n_ui_layers"]),
        knn=KnnConfig(k=public["knn_k"], include_self=True, drop_negative=False),
        num_knn_layers=public["n_layers"],
        l2_weight=public["reg_weight"],
        l2_batch_size=public["train_batch_size"],
        align_weight=public["cl_loss"],
    )


MGCN = Reference(
    mgcn_config,
    {
        "user_embedding.weight": "user.weight",
        "item_id_embedding.weight": "item.weight",
        "image_embedding.weight": "features.image.rows",
        "text_embedding.weight": "features.text.rows",
        **layers("image_trs", "views.image.project"),
        **layers("text_trs", "views.text.project"),
        **gate("gate_v", "views.image.gate"),
        **gate("gate_t", "views.text.gate"),
        **layers("query_common", "attention", "0"),
        "query_common.2.weight": "attention.2.weight",
        **gate("gate_image_prefer", "preference.image"),
        **gate("gate_text_prefer", "preference.text"),
    },
)
