"""LightGCN as in enoche/MMRec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anchorrec_graph.models.lightgcn import LightGCNConfig
from anchorrec_graph.nn.backbone import LightGCNBackboneConfig
from anchorrec_graph.testing.golden.base import Reference


def lightgcn_config(public: Mapping[str, Any]) -> LightGCNConfig:
    return LightGCNConfig(
        embedding_dim=public["embedding_size"],
        backbone=LightGCNBackboneConfig(num_layers=public["n_layers"]),
        l2_weight=public["reg_weight"],
    )


LIGHTGCN = Reference(
    lightgcn_config,
    {"embedding_dict.user_emb": "user.weight", "embedding_dict.item_emb": "item.weight"},
)
