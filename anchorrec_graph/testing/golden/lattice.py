"""LATTICE as in enoche/MMRec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anchorrec_graph.graph.knn import KnnConfig
from anchorrec_graph.models.lattice import LATTICEConfig
from anchorrec_graph.nn.backbone import LightGCNBackboneConfig
from anchorrec_graph.testing.golden.base import Reference, layers


def lattice_config(public: Mapping[str, Any]) -> LATTICEConfig:
    """For `cf_model` lightgcn, the public default."""
    return LATTICEConfig(
        embedding_dim=public["embedding_size"],
        backbone=LightGCNBackboneConfig(num_layers=len(public["weight_size"])),
        projection_dim=public["feat_embed_dim"],
        knn=KnnConfig(k=public["knn_k"], include_self=True, drop_negative=False),
        num_knn_layers=public["n_layers"],
        native_share=public["lambda_coeff"],
        l2_weight=public["reg_weight"],
        l2_batch_size=public["train_batch_size"],
    )


LATTICE = Reference(
    lattice_config,
    {
        "modal_weight": "modality_logits",
        "user_embedding.weight": "user.weight",
        "item_id_embedding.weight": "item.weight",
        "image_embedding.weight": "features.image.rows",
        "text_embedding.weight": "features.text.rows",
        **layers("image_trs", "project.image"),
        **layers("text_trs", "project.text"),
    },
)
