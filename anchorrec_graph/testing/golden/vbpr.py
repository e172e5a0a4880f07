"""VBPR as in enoche/MMRec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anchorrec_graph.models.vbpr import VBPRConfig
from anchorrec_graph.testing.golden.base import Reference, layers


def vbpr_config(public: Mapping[str, Any]) -> VBPRConfig:
    return VBPRConfig(embedding_dim=public["embedding_size"], l2_weight=public["reg_weight"])


VBPR = Reference(
    vbpr_config,
    {
        "u_embedding": "user.weight",
        "i_embedding": "item.weight",
        **layers("item_linear", "project"),
    },
    modalities=("text", "image"),  # the order in which it concatenates them
)
