"""AlignRec's own repository, sjtulyf123/AlignRec_CIKM24."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anchorrec_graph.graph.knn import KnnConfig
from anchorrec_graph.models.alignrec import AlignRecConfig
from anchorrec_graph.nn.backbone import LightGCNBackboneConfig
from anchorrec_graph.testing.golden.base import Reference, gate, layers


def alignrec_config(public: Mapping[str, Any]) -> AlignRecConfig:
    return AlignRecConfig(
        embedding_dim=public["embedding_size"],
        backbone=LightGCNBackboneConfig(num_layers=public["n_ui_layers"]),
        knn=KnnConfig(k=public["knn_k"], include_self=True, drop_negative=False),
        num_knn_layers=public["n_layers"],
        l2_weight=public["reg_weight"],
        l2_batch_size=public["train_batch_size"],
        align_weight=public["cl_loss"],
        cosine_weight=public["ui_cosine_loss_weight"] if public["ui_cosine_loss"] else 0.0,
        preserve_weight=public["sim_weight"],
    )


ALIGNREC = Reference(
    alignrec_config,
    {
        "user_embedding.weight": "user.weight",
        "item_id_embedding.weight": "item.weight",
        "mm_embedding.weight": "features.rows",
        **layers("mm_trs", "view.project"),
        **gate("gate_v", "view.gate"),
        # without effect in the public code
        **layers("query_common", "query_common", "0"),
        "query_common.2.weight": "query_common.2.weight",
        **gate("gate_mm_prefer", "gate_mm_prefer"),
    },
    modalities=("fused",),
)
