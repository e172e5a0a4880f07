"""Importing this module registers every encoder. Their libraries are imported when one is loaded."""

from __future__ import annotations

from anchorrec_graph.encoders import (
    efficientnet,
    function,
    onnx_model,
    open_clip_model,
    text,
    timm_model,
    transformers_model,
)

__all__ = [
    "efficientnet",
    "function",
    "onnx_model",
    "open_clip_model",
    "text",
    "timm_model",
    "transformers_model",
]
