"""Projections into the anchor space."""

from __future__ import annotations

from torch import nn


def mlp_head(input_dim: int, output_dim: int) -> nn.Sequential:
    """Linear, ReLU, Linear (hidden width = output width); weights xavier-uniform, biases PyTorch's default.

    Shapes: [n, input_dim] -> [n, output_dim].
    """
    return nn.Sequential(linear_head(input_dim, output_dim), nn.ReLU(), linear_head(output_dim, output_dim))


def linear_head(input_dim: int, output_dim: int, bias: bool = True) -> nn.Linear:
    """One linear map with xavier-uniform weights. Shapes: [n, input_dim] -> [n, output_dim]."""
    head = nn.Linear(input_dim, output_dim, bias)
    nn.init.xavier_uniform_(head.weight)
    return head
