"""AnchorRec's release, hun9008/AnchorRec_SIGIR26."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anchorrec_graph.graph.knn import KnnConfig
from anchorrec_graph.losses.ranking import BPRConfig
from anchorrec_graph.models.anchorrec import AnchorRecConfig
from anchorrec_graph.nn.alignment import AlignConfig, AlignTerm
from anchorrec_graph.nn.backbone import LightGCNBackboneConfig
from anchorrec_graph.nn.history import HistoryConfig
from anchorrec_graph.nn.preservation import PreserveConfig
from anchorrec_graph.testing.golden.base import Reference, gate, layers


def anchorrec_config(public: Mapping[str, Any]) -> AnchorRecConfig:
    """The `released` settings (models.md 1.2) with the public hyper-parameters."""
    return AnchorRecConfig(
        embedding_dim=public["embedding_size"],
        backbone=LightGCNBackboneConfig(num_layers=public["n_ui_layers"]),
        feature_dim=None,
        trainable_features=True,
        knn=KnnConfig(k=public["knn_k"], include_self=True, drop_negative=False),
        num_knn_layers=public["n_layers"],
        view_start="gate",
        score_views=("fused", "text"),
        loss=BPRConfig(),
        popularity_weight=0.0,
        l2_weight=public["lambda_weight"],
        l2_batch_size=public["train_batch_size"],
        margin_weight=public["ui_cosine_loss_weight"] if public["ui_cosine_loss"] else 0.0,
        align=AlignConfig(
            weight=public["aal_loss"],
            temperature=public["tau_weight"],
            source="feature",
            terms=(
                AlignTerm(targets={"id": 1.0}),
                AlignTerm(targets={"image": 0.25, "text": 0.75}, detach_anchor=True),
            ),
        ),
        preserve=PreserveConfig(
            weight=public["amp_loss"], modalities={"fused": 1.0, "text": 0.03, "image": 0.01}
        ),
        smooth_weight=0.1,
        recover_weight=public["recover_lambda"],
        history=HistoryConfig(weight=0),
    )


ANCHORREC = Reference(
    anchorrec_config,
    {
        "user_embedding.weight": "user.weight",
        "item_id_embedding.weight": "item.weight",
        **layers("W_id_i", "heads.id", "0", "2"),
        **layers("W_mm_i", "heads.fused", "0", "2"),
        **layers("W_v", "heads.image", "0", "2"),
        **layers("W_t", "heads.text", "0", "2"),
        **layers("D_mm2id", "decoder", "0", "2"),
        "mm_embedding.weight": "features.fused.rows",
        "v_embedding.weight": "features.image.rows",
        "t_embedding.weight": "features.text.rows",
        **layers("mm_trs", "views.fused.project"),
        **layers("v_trs", "views.image.project"),
        **layers("t_trs", "views.text.project"),
        **gate("gate_mm", "views.fused.gate"),
        **gate("gate_v", "views.image.gate"),
        **gate("gate_t", "views.text.gate"),
    },
    modalities=("image", "text", "fused"),
)
