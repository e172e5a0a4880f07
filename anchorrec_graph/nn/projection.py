"""Projections into the anchor space."""

from __future__ import annotations

from torch import nn


def mlp_head(input_dim: int, output_dim: int) -> nn.Sequential:
    """Linear, ReLU, Linear (hidden width = output width); weights xavier-uniform, biases PyTorch's default.

    Shapes: [n, input_dim] -> [n, output_dim].
    """
    head = nn.Sequential(nn.Linear(input_dim, output_dim), nn.ReLU(), nn.Linear(output_dim, output_dim))
    for layer in (head[0], head[2]):
        nn.init.xavier_uniform_(layer.weight)
    return head


def linear_head(input_dim: int, output_dim: int) -> nn.Linear:
    """One linear map with xavier-uniform weights. Shapes: [n, input_dim] -> [n, output_dim]."""
    head = nn.Linear(input_dim, output_dim)
    nn.init.xavier_uniform_(head.weight)
    return head
