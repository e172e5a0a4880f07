"""SMORE as in enoche/MMRec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anchorrec_graph.graph.knn import KnnConfig
from anchorrec_graph.models.smore import SMOREConfig
from anchorrec_graph.nn.backbone import LightGCNBackboneConfig
from anchorrec_graph.testing.golden.base import Reference, gate, layers


def smore_config(public: Mapping[str, Any]) -> SMOREConfig:
    """Without `temperature`, which the public code does not read: it has .2 in its loss."""
    return SMOREConfig(
        embedding_dim=public["embedding_size"],
        backbone=LightGCNBackboneConfig(num_layers=public["n_ui_layers"]),
        knn=KnnConfig(include_self=True, drop_negative=False),
        num_neighbours={"image": public["image_knn_k"], "text": public["text_knn_k"]},
        num_knn_layers=public["n_layers"],
        dropout=public["dropout_rate"],
        l2_weight=public["reg_weight"],
        l2_batch_size=public["train_batch_size"],
        align_weight=public["cl_loss"],
    )


SMORE = Reference(
    smore_config,
    {
        "user_embedding.weight": "user.weight",
        "item_id_embedding.weight": "item.weight",
        "image_embedding.weight": "features.image.rows",
        "text_embedding.weight": "features.text.rows",
        **layers("image_trs", "project.image"),
        **layers("text_trs", "project.text"),
        "image_complex_weight": "filters.image.weight",
        "text_complex_weight": "filters.text.weight",
        "fusion_complex_weight": "filters.fusion.weight",
        **gate("gate_v", "gates.image"),
        **gate("gate_t", "gates.text"),
        **gate("gate_f", "gates.fusion"),
        **layers("query_v", "attention.image", "0"),
        "query_v.2.weight": "attention.image.2.weight",
        **layers("query_t", "attention.text", "0"),
        "query_t.2.weight": "attention.text.2.weight",
        **gate("gate_image_prefer", "preference.image"),
        **gate("gate_text_prefer", "preference.text"),
        **gate("gate_fusion_prefer", "preference.fusion"),
    },
)
