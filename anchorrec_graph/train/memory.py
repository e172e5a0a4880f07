"""A forecast of the memory that training needs, from the sizes of its parts."""

from __future__ import annotations

import torch
from torch_geometric.data import HeteroData

from anchorrec_graph.config import Config
from anchorrec_graph.models.base import build_model

LIBRARIES = 450 * 2**20  # bytes resident once torch, PyG and polars are imported (measured, CPU build)
ACTIVATIONS = 12  # embedding matrices [U + I, d] alive at the peak of a step (measured on `default`)


def forecast(config: Config, data: HeteroData) -> dict[str, int]:
    """Bytes by part, and their total. The model is built on the way, as training would.

    Parameters count four times: values, gradients and Adam's two moments.
    """
    model = build_model(config.model, data)
    parameters = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    fixed = sum(_bytes(t) for t in model.buffers())
    nodes = int(data["user"].num_nodes) + int(data["item"].num_nodes)
    row = config.model.embedding_dim * 4
    parts = {
        "libraries": LIBRARIES,
        "data": sum(_bytes(value) for store in data.stores for value in store.values() if torch.is_tensor(value)),
        "graphs and frozen features": fixed,
        "parameters, gradients, Adam": 4 * parameters,
        "activations": ACTIVATIONS * nodes * row if parameters else 0,
        "evaluation block": 2 * config.evaluate.block_size * int(data["item"].num_nodes) * 4,
    }
    return parts | {"total": sum(parts.values())}


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()
